"""Nanoseconds a packet by BPF_PROG_TEST_RUN, beside floors that were timed in turn with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from bench import rig
from bench.director import Director, director, service
from bench.effort import Effort, undisturbed
from bench.harness import DIRECTOR, OBJECT, XDP_PASS, XDP_TX, Harness, MeasureError, Race
from bench.recipe import Traffic
from bench.report import Row, Samples, at_most, plain
from vipd.dataplane.program import Object
from vipd.model.director import Method, Scheduler, Transport

SERVERS: Final = 16
_SERVERS4: Final = [f"172.31.1.{number + 16}" for number in range(SERVERS)]
_SERVERS6: Final = [f"fd00:1::{number + 16:x}" for number in range(SERVERS)]
_TCP, _UDP = Transport.TCP, Transport.UDP
_DR_VIP: Final = "198.18.0.1"
_NAT_VIP: Final = "198.18.0.2"
_TUN_VIP4: Final = "198.18.0.3"
_TUN_VIP6: Final = "fd00:5::3"
_MH_VIP: Final = "198.18.0.4"
_NOBODYS: Final = "198.19.7.7"
_NEW_FLOWS: Final = 1 << 20
"New connections take their flows from so many, the table being emptied between."


@dataclass(frozen=True, slots=True)
class Bed:
    """What every case is run on."""

    harness: Harness
    director: Director
    race: Race

    def traffic(self, address: str, port: int = 80, transport: Transport = _TCP) -> Traffic:
        link = self.harness.link
        clients = ip_address("fd00:c::" if ":" in address else "10.0.0.0")
        return Traffic(link.mac, _PEER_MAC, clients, ip_address(address), port, transport)


_PEER_MAC: Final = "02:00:00:00:00:02"


@contextmanager
def bed(effort: Effort) -> Iterator[Bed]:
    """An interface with routes and neighbours for the program's lookups; nothing is ever sent on it."""
    with ExitStack() as stack:
        here, there = stack.enter_context(rig.namespaces("run", "peer"))
        link, _ = rig.wire((here, "clients"), (there, "peer"))
        rig.address(link, "172.31.0.1/16", "fd00:1::1/64")
        rig.route(link, "10.0.0.0/8", "172.31.0.254")
        rig.route(link, "fd00:c::/64", "fd00:1::fe")
        rig.neighbours(link, ["172.31.0.254", "fd00:1::fe", *_SERVERS4, *_SERVERS6], _PEER_MAC)
        under_test = stack.enter_context(director("run"))
        under_test.serve(
            [
                service(_DR_VIP, 80, _TCP, _SERVERS4, Method.DR, Scheduler.RR),
                service(_NAT_VIP, 80, _TCP, _SERVERS4, Method.NAT, Scheduler.RR),
                service(_TUN_VIP4, 80, _TCP, _SERVERS4, Method.TUN, Scheduler.RR),
                service(_TUN_VIP6, 80, _TCP, _SERVERS6, Method.TUN, Scheduler.RR),
                service(_DR_VIP, 53, _UDP, _SERVERS4, Method.DR, Scheduler.RR),
                service(_MH_VIP, 80, _TCP, _SERVERS4, Method.DR, Scheduler.MH),
            ],
            [link],
        )
        objects = stack.enter_context(Object(OBJECT))
        objects.load()
        harness = Harness(objects, link)
        harness.prepare(under_test.program)
        stack.enter_context(undisturbed())
        yield Bed(harness, under_test, Race(harness, effort.rounds, effort.frames))


@dataclass(frozen=True, slots=True)
class Known:
    """A case of packets of known connections."""

    name: str
    address: str
    floor: str
    factor: float
    outcome: str
    port: int = 80
    transport: Transport = _TCP
    two_way: bool = False
    reply: bool = False


KNOWN: Final = (
    Known("DR", _DR_VIP, "hash", 1.35, "forward_dr"),
    Known("NAT in", _NAT_VIP, "hash", 1.5, "forward_nat", two_way=True),
    Known("NAT back", _NAT_VIP, "hash", 1.5, "forward_nat_reply", two_way=True, reply=True),
    Known("TUN 4-in-4", _TUN_VIP4, "hash_ip4ip4", 1.5, "forward_tun"),
    Known("TUN 6-in-6", _TUN_VIP6, "hash_ip6ip6", 1.5, "forward_tun"),
    Known("DR UDP", _DR_VIP, "hash", 1.35, "forward_dr", port=53, transport=_UDP),
)


def _replies(forward: Traffic) -> Traffic:
    """rr deals an empty table's first flows to the servers in order, so flow n is with server n."""
    return Traffic(
        forward.destination_mac,
        forward.source_mac,
        forward.clients,
        ip_address(_SERVERS4[0]),
        forward.port,
        forward.transport,
        reply=True,
        servers=SERVERS,
    )


def fill(bed: Bed, case: Known, flows: int) -> Traffic:
    """Connections made as real ones are, by their own packets; then the traffic to measure."""
    forward = bed.traffic(case.address, case.port, case.transport)
    bed.director.clear()
    if case.transport is _UDP:
        bed.harness.each(DIRECTOR, forward, flows)
        return forward
    bed.harness.each(DIRECTOR, forward.with_flags("S"), flows)
    if case.two_way:
        bed.harness.each(DIRECTOR, _replies(forward).with_flags("SA"), flows)
    bed.harness.each(DIRECTOR, forward, flows)
    if bed.director.active() != flows:
        raise MeasureError(f"{case.name}: {bed.director.active()} of {flows} connections are established")
    return _replies(forward) if case.reply else forward


def known(bed: Bed, case: Known, flows: int) -> Iterator[Row]:
    traffic = fill(bed, case, flows)
    bed.harness.each("insert", traffic, flows)
    before = bed.director.outcomes()
    floors = dict.fromkeys(("hash", case.floor), XDP_TX)
    net = bed.race.run(floors | {DIRECTOR: XDP_TX}, traffic, flows)
    after = bed.director.outcomes()
    bed.harness.each("forget", traffic, flows)
    did = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name)}
    if set(did) != {case.outcome}:
        raise MeasureError(f"{case.name}, {flows} connections: {case.outcome} expected, not {did}")
    label = f"{case.name}, {flows:,} connection{'s' if flows > 1 else ''}"
    yield at_most(label, net[DIRECTOR], net[case.floor], case.factor, _FLOOR_NAMES[case.floor])


_FLOOR_NAMES: Final = {"hash": "hash", "hash_ip4ip4": "hash + IPIP", "hash_ip6ip6": "hash + IPIP", "insert": "insert"}


def new(bed: Bed, name: str, address: str, effort: Effort) -> Iterator[Row]:
    """SYNs of flows that nobody knows; both tables are emptied between the runs."""
    traffic = bed.traffic(address).with_flags("S")
    values: dict[str, list[float]] = {"nothing": [], "insert": [], DIRECTOR: []}
    for turn in range(effort.new_rounds + 1):
        for program in sorted(values, reverse=turn % 2 == 0):
            took = bed.harness.some(program, traffic, _NEW_FLOWS, effort.new_frames)
            if turn:  # the first warms up
                values[program].append(took)
        bed.harness.again("forget", traffic, _NEW_FLOWS, effort.new_frames, after="insert")
        if bed.director.active() != effort.new_frames:
            raise MeasureError(f"new {name}: {bed.director.active()} of {effort.new_frames} connections were made")
        # Last, because it leaves neither table in the processor's own cache.
        bed.director.clear()
    base = Samples(tuple(values["nothing"]))
    net = {program: Samples(tuple(took)).minus(base) for program, took in values.items()}
    yield at_most(f"new connection, {name}", net[DIRECTOR], net["insert"], 1.5, "insert")


def not_ours_traffic(bed: Bed) -> Traffic:
    return bed.traffic(_NOBODYS)


def not_ours(bed: Bed) -> Iterator[Row]:
    net = bed.race.run({"swap": XDP_TX, DIRECTOR: XDP_PASS}, not_ours_traffic(bed), 1024)
    row = at_most("not ours", net[DIRECTOR], net["swap"], 1.5, "swap")
    met = bool(row.met) or row.value <= 40
    yield Row(
        row.name,
        row.value,
        row.unit,
        row.baseline,
        row.ratio,
        f"<= 40 ns or {row.goal[3:]}",
        met,
        row.spread,
        row.against,
    )


def floors(bed: Bed, flows: int) -> Iterator[Row]:
    """What everything else is held against, in figures."""
    traffic = bed.traffic(_DR_VIP)
    bed.harness.each("insert", traffic, flows)
    net = bed.race.run(dict.fromkeys(("swap", "hash", "hash_ip4ip4"), XDP_TX), traffic, flows)
    bed.harness.each("forget", traffic, flows)
    for name, samples in net.items():
        yield plain(f"floor: {name}, {flows:,} flow{'s' if flows > 1 else ''}", samples)


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    with bed(effort) as ready:
        for case in KNOWN:
            for flows in effort.flows:
                told(f"{case.name}, {flows:,} connections")
                yield from known(ready, case, flows)
        for name, address in (("rr", _DR_VIP), ("mh", _MH_VIP)):
            told(f"new connections by {name}")
            yield from new(ready, name, address, effort)
        told("not ours")
        yield from not_ours(ready)
        for flows in effort.flows:
            told(f"floors, {flows:,} flows")
            yield from floors(ready, flows)
