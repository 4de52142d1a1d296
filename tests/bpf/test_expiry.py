"""The sweeper ends what is over without anybody's help, and the counts of servers come back to zero."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.bpf import loaded
from tests.support.lan import eventually
from tests.support.packets import FAMILIES, PORT, answer, framed, request, segment
from tests.support.tables import CONSTANTS, TCP, TIMEOUTS, UDP, Director, Load, now
from tests.support.wires import VIP, Wire, Wires, server
from vipd.dataplane import _abi
from vipd.dataplane._abi import Method

BUCKETS = 16_384
CONNECTIONS = 100_000
SHORT = {state.name.lower(): 0.01 for state in TIMEOUTS}
LIVES = ["", "S", "A", "A PA", "A FA", "A FA A", "A R", "RA", "A PA FA S", "A R S A"]
"What a client may send after its SYN."
_CLIENT_PORT = 34
"Where a TCP or UDP source port is in an IPv4 frame; the destination port follows."


@pytest.fixture
def swept(wires: Wires) -> Iterator[Director]:
    """A data plane with a large table, not yet swept."""
    with loaded(buckets=BUCKETS, sweep_buckets=1024, **CONSTANTS) as bpf:
        made = Director(bpf, wires)
        made.clear()
        with wires.entered():
            yield made


def start_sweeper(director: Director) -> None:
    assert director.bpf.programs["start_sweeper"].run(bytes(64)).action == 2


def serve(director: Director) -> list[int]:
    servers = []
    for port, method, protocol in (
        (PORT, Method.DR, TCP),
        (PORT + 1, Method.NAT, TCP),
        (PORT + 2, Method.TUN, UDP),
        (PORT + 3, Method.NAT, UDP),
    ):
        service = director.service(VIP[4], port, protocol)
        own = [director.server(service, server(4, n), method, source="172.16.0.1") for n in (1, 2, 3)]
        director.serve(service, own)
        servers += own
    return servers


class Conversations:
    """Frames from a few templates, a port apart; sums do not matter to the data plane."""

    def __init__(self, director: Director) -> None:
        out, inner = director.wires.out, director.wires.inner
        self.run = director.bpf.programs["director"].run
        self.client = {
            flags: (bytearray(framed(segment(4, flags), out)), out) for flags in ("S", "A", "PA", "FA", "R", "RA")
        } | {"datagram": (bytearray(framed(request(4, UDP), out)), out)}
        self.server = {
            (flags, n): (bytearray(framed(answer(4, TCP, server(4, n), PORT + 1, flags), inner)), inner)
            for flags in ("SA", "FA", "RA")
            for n in (1, 2, 3)
        }

    def send(self, template: tuple[bytearray, Wire], source: int, destination: int) -> None:
        frame, wire = template
        frame[_CLIENT_PORT : _CLIENT_PORT + 4] = source.to_bytes(2, "big") + destination.to_bytes(2, "big")
        self.run(bytes(frame), ifindex=wire.ifindex)

    def one(self, number: int, chance: random.Random) -> None:
        """One of LVS's lives: finished, reset, half open, with a lost FIN; and datagrams."""
        host, port = divmod(number, 25_000)
        source, destination = 1024 + port, PORT + host
        if host >= 2:
            for _ in range(chance.randint(1, 2)):
                self.send(self.client["datagram"], source, destination)
            return
        self.send(self.client["S"], source, destination)
        if host == 1 and chance.random() < 0.5:  # under NAT, sometimes, a reply
            for n in (1, 2, 3):
                self.send(self.server[chance.choice(["SA", "FA", "RA"]), n], destination, source)
        for flags in chance.choice(
            ["", "A", "A PA", "A FA", "A FA A", "A R", "RA", "A PA FA S", "A R S A", "S"]
        ).split():
            self.send(self.client[flags], source, destination)


def totals(director: Director, servers: list[int]) -> list[Load]:
    return [director.load(number) for number in servers]


def recount(director: Director, servers: list[int]) -> list[Load]:
    """The same from the table itself."""
    slot = director.table["slot"]
    life = np.ascontiguousarray(slot["life"]).reshape(-1)
    owner = np.ascontiguousarray(slot["real_server"]).reshape(-1)
    flags = life >> np.uint64(_abi.LifeShift.FLAGS_SHIFT)
    client = (life != 0) & (flags & np.uint64(_abi.ConnectionFlag.REPLY) == 0)
    active = flags & np.uint64(_abi.ConnectionFlag.ACTIVE) != 0
    size = max(servers) + 1
    on, off = (np.bincount(owner[client & which], minlength=size) for which in (active, ~active))
    return [Load(int(on[number]), int(off[number])) for number in servers]


def test_a_hundred_thousand_connections_leave_no_count_behind(swept: Director) -> None:
    servers, talk, chance = serve(swept), Conversations(swept), random.Random(17)
    for number in range(CONNECTIONS):
        talk.one(number, chance)
    counted = totals(swept, servers)
    assert counted == recount(swept, servers)
    assert sum(load.active + load.inactive for load in counted) > 0.95 * CONNECTIONS
    assert all(load.active and load.inactive for load in counted[:6])
    # All are over a moment later: the sweeper alone finds them.
    life = swept.table["slot"]["life"]
    low = np.uint64(0xFFFFFFFF)
    life[:] = np.where(life != 0, life & ~low | np.uint64(now() - 1), life)
    start_sweeper(swept)
    eventually(lambda: not swept.table["tags"].any())
    assert not swept.table["slot"]["life"].any()
    assert totals(swept, servers) == [Load(0, 0)] * len(servers)


def test_counts_stay_right_while_the_sweeper_works(swept: Director) -> None:
    """Connections of a hundredth of a second are made, noted, reused and swept all at once."""
    servers, talk, chance = serve(swept), Conversations(swept), random.Random(4)
    swept.timeouts(**SHORT)
    start_sweeper(swept)
    for number in range(30_000):
        talk.one(number * 37 % CONNECTIONS, chance)
    eventually(lambda: not swept.table["tags"].any())
    assert totals(swept, servers) == [Load(0, 0)] * len(servers)
    expired = int(swept.maps["events"].read(np.dtype("<u8"))[_abi.Event.CONNECTION_EXPIRED].sum())
    made = int(swept.maps["events"].read(np.dtype("<u8"))[_abi.Event.CONNECTION_NEW].sum())
    reused = int(swept.maps["events"].read(np.dtype("<u8"))[_abi.Event.CONNECTION_REUSED].sum())
    assert 0 < expired <= made - reused


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_the_sweeper_leaves_those_that_are_not_over(swept: Director, family: int, method: Method) -> None:
    service = swept.service(VIP[family], PORT, TCP)
    only = swept.server(service, server(family, 1), method)
    swept.serve(service, [only])
    for port in range(1000, 1100):
        swept.run(framed(segment(family, sport=port), swept.wires.out))
    for entry in swept.connections():
        if entry.source_port % 2:
            swept.set_life(entry, expires=now() - 1)
    start_sweeper(swept)
    eventually(lambda: len(swept.connections()) == 50)
    beats = int(swept.get("sweeper", 0, _abi.SWEEPER)["beats"])
    eventually(lambda: int(swept.get("sweeper", 0, _abi.SWEEPER)["beats"]) > beats + 40)  # twice round
    entries = swept.entries()
    assert {entry.source_port % 2 for entry in entries if not entry.is_reply} == {0}
    assert len(entries) == (50 if method == Method.DR else 100)
    assert swept.load(only) == Load(50, 0)


def test_half_open_connections_are_gone_after_their_minute(swept: Director) -> None:
    """Not after the quarter of an hour that established ones have: here a second is a sixtieth of it."""
    swept.timeouts(syn_recv=0.2, established=900)
    service = swept.service(VIP[4], PORT, TCP)
    only = swept.server(service, server(4, 1), Method.DR)
    swept.serve(service, [only])
    talk = Conversations(swept)
    start_sweeper(swept)
    for number in range(10_000):
        talk.send(talk.client["S"], 1024 + number, PORT)
    eventually(lambda: swept.load(only) == Load(0, 0))
    assert swept.entries() == []
