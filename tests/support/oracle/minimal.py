"""A script that still shows a disagreement, with all taken away that it does not need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.support.oracle.script import Configure, Send, Step
from vipd.errors import WireError
from vipd.model.director import VirtualService
from vipd.wire import ip
from vipd.wire.icmp import Icmp
from vipd.wire.transport import Tcp, Udp

_ROUNDS = 6


def minimal(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """`fails` runs steps from the beginning and says whether the two still differ."""
    now = list(steps)
    for _ in range(_ROUNDS):
        before = list(now)
        for at in reversed(range(len(now))):
            for smaller in (*_without(now, at), *_simpler(now, at)):
                if fails(smaller):
                    now = smaller
                    break
        if now == before:
            break
    return now


def _without(steps: list[Step], at: int) -> Iterator[list[Step]]:
    if at < len(steps):
        yield steps[:at] + steps[at + 1 :]


def _simpler(steps: list[Step], at: int) -> Iterator[list[Step]]:
    """One step made smaller: a shorter payload, fewer services or servers."""
    if at >= len(steps):
        return
    match steps[at]:
        case Configure(services):
            for fewer in _fewer(services):
                yield [*steps[:at], Configure(fewer), *steps[at + 1 :]]
        case Send(_, frame) as send:
            plain = without_payload(frame)
            if plain != frame:
                yield [*steps[:at], replace(send, frame=plain), *steps[at + 1 :]]
            for size in (len(frame) // 2, len(frame) - 64, len(frame) - 8, len(frame) - 1):
                if 14 <= size < len(frame):
                    yield [*steps[:at], replace(send, frame=frame[:size]), *steps[at + 1 :]]
        case _:
            pass


def _fewer(services: tuple[VirtualService, ...]) -> Iterator[tuple[VirtualService, ...]]:
    for place, service in enumerate(services):
        yield services[:place] + services[place + 1 :]
        for server in service.servers:
            less = tuple(each for each in service.servers if each is not server)
            yield (*services[:place], replace(service, servers=less), *services[place + 1 :])


def without_payload(frame: bytes) -> bytes:
    """The same headers about nothing; of an ICMP error, the shortest quote. What cannot be read stays."""
    try:
        packet = ip.decode(frame[14:])
        ends = packet.source, packet.destination
        match packet.protocol:
            case ip.TCP:
                payload = replace(Tcp.decode(packet.payload, *ends), payload=b"").encode(*ends)
            case ip.UDP:
                payload = replace(Udp.decode(packet.payload, *ends), payload=b"", length=None).encode(*ends)
            case ip.ICMP | ip.ICMPV6:
                error = Icmp.decode(packet.payload, *ends)
                payload = replace(error, body=error.body[: {4: 28, 6: 48}[packet.source.version]]).encode(*ends)
            case _:
                payload = b""
    except WireError:
        return frame
    return frame[:14] + replace(packet, payload=payload).encode()
