"""Packets through namespaces: made and counted at XDP, beside plain forwarding and nftables.

Everything runs on one processor, one frame's way after the other's, so the time of a
run divided by its frames is what a frame costs. What the rig itself costs is
measured by the same generator wired straight to the sink, and subtracted.
"""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Final

from bench import rig
from bench.director import director, service
from bench.effort import Effort, undisturbed
from bench.harness import MeasureError
from bench.recipe import Recipe, Traffic
from bench.report import Row, Samples, at_most, plain
from bench.rig import Link
from vipd.dataplane.program import Object
from vipd.lab.namespace import inside
from vipd.model.director import Method, Scheduler, Transport

OBJECT: Final = Path("build/bpf/bench_live.bpf.o")
_LIVE_FRAMES: Final = 2
"BPF_F_TEST_XDP_LIVE_FRAMES"
FLOWS: Final = 1024
SERVERS: Final = 4
VIP: Final = "198.18.0.1"
PORT: Final = 53
_WARM_UP: Final = 2 * FLOWS
_RUN: Final = struct.Struct("<QQQQQQ")
"`struct run`: made, arrived, unmeasured, wanted, began, ended."
_ARRIVAL: Final = 1.0
"Seconds that the last frames may take."


@dataclass(slots=True)
class Wire:
    """A generator at one end and a sink at the other, with something between them."""

    name: str
    objects: Object
    source: Link
    traffic: Traffic
    cursor: int = 0

    def send(self, frames: int) -> float:
        """Nanoseconds that a frame took; every one of them has arrived, and those that warmed up."""
        total = frames + _WARM_UP
        recipe: Recipe = self.traffic.recipe(FLOWS, scattered=True)
        recipe.cursor = self.cursor
        self.cursor = (self.cursor + total) & 0xFFFFFFFF
        self.objects.maps["recipes"].update(bytes(4), bytes(recipe))
        self.objects.maps["runs"].update(bytes(4), _RUN.pack(0, 0, _WARM_UP, total, 0, 0))
        with inside(self.source.namespace):
            self.objects.programs["generate"].run(
                bytes(self.traffic.length), repeat=total, ifindex=self.source.ifindex, flags=_LIVE_FRAMES, batch_size=64
            )
        deadline = time.monotonic() + _ARRIVAL
        while True:
            _, arrived, _, _, began, ended = _RUN.unpack(self.objects.maps["runs"].lookup(bytes(4)))
            if ended:
                return float(ended - began) / frames
            if time.monotonic() > deadline:
                raise MeasureError(f"{self.name}: {total - arrived} of {total} frames never arrived")


@contextmanager
def _objects() -> Iterator[Object]:
    with Object(OBJECT) as objects:
        objects.load()
        yield objects


def _traffic(to: Link, source: Link, destination: str, servers: int) -> Traffic:
    clients, address = ip_address("10.0.0.0"), ip_address(destination)
    return Traffic(to.mac, source.mac, clients, address, PORT, Transport.UDP, servers=servers)


@contextmanager
def straight() -> Iterator[Wire]:
    """The rig's own cost."""
    with _objects() as objects, rig.namespaces("base-from", "base-to") as (here, there):
        source, sink = rig.wire((here, "out"), (there, "in"))
        rig.attach(source, objects.programs["pass"].fd)
        rig.attach(sink, objects.programs["count"].fd)
        yield Wire("base", objects, source, _traffic(sink, source, server(0), SERVERS))


def server(number: int) -> str:
    return f"172.31.1.{number + 16}"


@dataclass(frozen=True, slots=True)
class Middle:
    """The namespace between generator and sink, and its two interfaces."""

    namespace: str
    client_side: Link
    server_side: Link
    sink_mac: str
    passing: int


@contextmanager
def between(name: str, destination: str, servers: int = 1) -> Iterator[tuple[Wire, Middle]]:
    """Generator, router, sink; the router knows every neighbour for good."""
    roles = (f"{name}-from", f"{name}-mid", f"{name}-to")
    with _objects() as objects, rig.namespaces(*roles) as (here, middle, there):
        source, client_side = rig.wire((here, "out"), (middle, "clients"))
        server_side, sink = rig.wire((middle, "servers"), (there, "in"))
        rig.address(client_side, "172.30.0.1/16")
        rig.address(server_side, "172.31.0.1/16")
        rig.neighbours(client_side, ["172.30.0.2"], source.mac)
        rig.neighbours(server_side, [server(number) for number in range(SERVERS)], sink.mac)
        rig.route(client_side, "10.0.0.0/8", "172.30.0.2")
        rig.attach(source, objects.programs["pass"].fd)
        rig.attach(sink, objects.programs["count"].fd)
        passing = objects.programs["pass"].fd
        yield (
            Wire(name, objects, source, _traffic(client_side, source, destination, servers)),
            Middle(middle, client_side, server_side, sink.mac, passing),
        )


@contextmanager
def redirecting() -> Iterator[Wire]:
    """The least that XDP can do: new MACs, out of the other interface."""
    with between("redirect", server(0), SERVERS) as (wire, middle):
        out, to = middle.server_side, middle.sink_mac
        way = struct.pack("<I6s6s", out.ifindex, _mac(to), _mac(out.mac))
        wire.objects.maps["ways_out"].update(bytes(4), way)
        rig.attach(middle.client_side, wire.objects.programs["redirect"].fd)
        rig.attach(out, wire.objects.programs["pass"].fd)
        yield wire


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


@contextmanager
def forwarding() -> Iterator[Wire]:
    """Plain kernel forwarding."""
    with between("forward", server(0), SERVERS) as (wire, middle):
        rig.attach(middle.client_side, middle.passing)
        yield wire


@contextmanager
def nftables(name: str, choice: str) -> Iterator[Wire]:
    """DNAT by nftables, the server chosen by `choice`."""
    with between(name, VIP) as (wire, middle):
        rig.attach(middle.client_side, middle.passing)
        load_ruleset(middle.namespace, dnat_ruleset(choice, "udp", PORT))
        yield wire


def dnat_ruleset(choice: str, transport: str, port: int, vip: str = VIP) -> str:
    targets = ", ".join(f"{number} : {server(number)}" for number in range(SERVERS))
    return f"""
        table ip nat {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                ip daddr {vip} {transport} dport {port} dnat to {choice} map {{ {targets} }}
            }}
        }}"""


NUMGEN: Final = f"numgen inc mod {SERVERS}"
JHASH: Final = f"jhash ip saddr . udp sport mod {SERVERS}"


def load_ruleset(where: str, ruleset: str) -> None:
    with inside(where):
        subprocess.run(["nft", "-f", "-"], input=ruleset, text=True, check=True)


@contextmanager
def directing(method: Method) -> Iterator[Wire]:
    """vipd, attached to both interfaces."""
    name = str(method)
    with between(name, VIP) as (wire, middle), director(f"live-{name}") as under_test:
        servers = [server(number) for number in range(SERVERS)]
        links = [middle.client_side, middle.server_side]
        under_test.serve([service(VIP, PORT, Transport.UDP, servers, method, Scheduler.RR)], links)
        under_test.attach(links)
        yield wire


def measure(wires: list[Wire], frames: int, rounds: int) -> dict[str, Samples]:
    """Nanoseconds a frame of every wire, in rounds of a new order each."""
    order, random = list(wires), Random(1)
    values: dict[str, list[float]] = {wire.name: [] for wire in wires}
    with undisturbed():
        for wire in wires:
            wire.send(frames)
        for _ in range(rounds):
            random.shuffle(order)
            for wire in order:
                values[wire.name].append(wire.send(frames))
    return {name: Samples(tuple(of)) for name, of in values.items()}


def rows(effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    told("packets through namespaces")
    with ExitStack() as stack:
        contexts = [straight(), redirecting(), forwarding(), nftables("numgen", NUMGEN), nftables("jhash", JHASH)]
        contexts += [directing(method) for method in Method]
        wires = [stack.enter_context(context) for context in contexts]
        spent = measure(wires, effort.live_frames, effort.live_rounds)
    base = spent.pop("base")
    net = {name: samples.minus(base) for name, samples in spent.items()}
    yield plain("rig alone, generator to sink", base)
    yield plain("redirect alone", net["redirect"])
    yield plain("plain forwarding", net["forward"])
    yield plain("nftables DNAT, numgen map", net["numgen"])
    yield plain("nftables DNAT, jhash map", net["jhash"])
    yield at_most("NAT beside plain forwarding", net["nat"], net["forward"], 1 / 5, "forwarding")
    yield at_most("NAT beside nftables numgen", net["nat"], net["numgen"], 1 / 8, "nftables")
    yield at_most("NAT beside nftables jhash", net["nat"], net["jhash"], 1 / 8, "nftables")
    yield plain("DR through namespaces", net["dr"])
    yield plain("TUN through namespaces", net["tun"])
