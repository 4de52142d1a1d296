"""What does not fit, and what comes in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.packet import Raw

from tests.golden.data import FILLER
from tests.golden.services import METHODS
from tests.golden.talk import Play, Script, Talk
from tests.support.packets import FAMILIES, HEADER

_UDP: Final = 8
_TCP: Final = 20


def _filler(size: int) -> bytes:
    return (FILLER * (size // len(FILLER) + 1))[:size]


def sized(talk: Talk, size: int, flags: str = "") -> Any:
    """A datagram of so many bytes of IP."""
    fields = {"flags": flags} if talk.family == 4 else {}
    return talk.ip(**fields) / talk.udp() / Raw(_filler(size - HEADER[talk.family] - _UDP))


def sizes(talk: Talk, limits: tuple[int, ...]) -> None:
    """At each limit, and a byte more."""
    for size in (each for limit in limits for each in (limit, limit + 1) if each <= 1500):
        talk.says(f"{size}", sized(talk, size))
        if talk.family == 4:
            talk.says(f"{size}-df", sized(talk, size, "DF"))


def segments(talk: Talk, limit: int) -> None:
    talk.opened()
    room = limit - HEADER[talk.family] - _TCP
    talk.says("fits", talk.segment("PA", _filler(room)))
    if limit < 1500:
        talk.says("does-not", talk.segment("PA", _filler(room + 1)))


def large_reply(talk: Talk) -> None:
    talk.says("request", sized(talk, 60))
    fields = {"flags": "DF"} if talk.family == 4 else {}
    reply = talk.from_server(**fields) / talk.udp(**talk.back()) / Raw(_filler(1500 - HEADER[talk.family] - _UDP))
    talk.hears("reply-1500", reply)


def pieces(talk: Talk, whole: Any, *sizes: int) -> list[Any]:
    """The packet in fragments of so many bytes of payload; the last takes the rest."""
    head = HEADER[talk.family]
    body = bytes(whole)[head:]
    made, offset = [], 0
    for size in (*sizes, len(body) - sum(sizes)):
        rest = body[offset : offset + size]
        more = offset + size < len(body)
        number = int(whole.nh if talk.family == 6 else whole.proto)
        if talk.family == 4:
            ip = talk.ip(proto=number, frag=offset // 8, flags="MF" if more else 0, src=whole.src, dst=whole.dst)
            made.append(ip / Raw(rest))
        else:
            fragment = IPv6ExtHdrFragment(nh=number, offset=offset // 8, m=int(more), id=talk.port)
            made.append(talk.ip(src=whole.src, dst=whole.dst, nh=44) / fragment / Raw(rest))
        offset += size
    return made


def in_order(talk: Talk) -> None:
    for n, piece in enumerate(pieces(talk, sized(talk, 200), 64, 64)):
        talk.says(f"piece-{n}", piece)


def reversed_order(talk: Talk) -> None:
    for n, piece in reversed(list(enumerate(pieces(talk, sized(talk, 200), 64, 64)))):
        talk.says(f"piece-{n}", piece)


def in_connection(talk: Talk) -> None:
    talk.opened()
    for n, piece in enumerate(pieces(talk, talk.segment("PA", _filler(120)), 64)):
        talk.says(f"piece-{n}", piece)


def syn_in_pieces(talk: Talk) -> None:
    for n, piece in enumerate(pieces(talk, talk.segment("S", _filler(120)), 64)):
        talk.says(f"piece-{n}", piece)


def tiny_first(talk: Talk) -> None:
    """RFC 1858: the first piece ends before TCP's flags."""
    for n, piece in enumerate(pieces(talk, talk.segment("S", _filler(120)), 8)):
        talk.says(f"piece-{n}", piece)


def overlapping(talk: Talk) -> None:
    """RFC 1858: the second piece would overwrite TCP's flags."""
    first, second = pieces(talk, talk.segment("S", _filler(120)), 64)
    talk.says("piece-0", first)
    if talk.family == 4:
        second.frag = 1
    else:
        second[IPv6ExtHdrFragment].offset = 1
    talk.says("piece-over-it", second)


def twice(talk: Talk) -> None:
    first, second = pieces(talk, sized(talk, 200), 64)
    talk.says("piece-0", first)
    talk.says("piece-0-again", first)
    talk.says("piece-1", second)


def last_alone(talk: Talk) -> None:
    *_, last = pieces(talk, sized(talk, 200), 64)
    talk.says("piece-1", last)


def large(talk: Talk) -> None:
    """Pieces as a link of 1,500 bytes makes them, larger together than any link takes."""
    whole = talk.ip() / talk.udp() / Raw(_filler(3000))
    for n, piece in enumerate(pieces(talk, whole, 1448, 1448)):
        talk.says(f"piece-{n}", piece)


def not_to_be_fragmented(talk: Talk) -> None:
    """Fragments with DF: IPv4 allows them, and some stacks send them."""
    for n, piece in enumerate(pieces(talk, sized(talk, 200), 64)):
        if talk.family == 4:
            piece.flags = "MF+DF" if n == 0 else "DF"
        talk.says(f"piece-{n}", piece)


def reply_in_pieces(talk: Talk) -> None:
    talk.says("request", sized(talk, 60))
    reply = talk.from_server() / talk.udp(**talk.back()) / Raw(_filler(200))
    for n, piece in enumerate(pieces(talk, reply, 64)):
        talk.hears(f"piece-{n}", piece)


_FRAGMENTS: Final[dict[str, Script]] = {
    "in-order": in_order,
    "reversed": reversed_order,
    "in-connection": in_connection,
    "syn-in-pieces": syn_in_pieces,
    "tiny-first": tiny_first,
    "overlapping": overlapping,
    "twice": twice,
    "last-alone": last_alone,
    "large": large,
    "not-to-be-fragmented": not_to_be_fragmented,
}


def _tunnel_limit(method: str, family: int) -> int:
    outer = {"tun": family, "cross": 10 - family}.get(method)
    return 1500 - HEADER[outer] if outer else 1500


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        for method in METHODS:
            service, limit = f"{method}{family}", _tunnel_limit(method, family)
            yield Play(f"{service}/size/datagrams", service, partial(sizes, limits=(limit,)))
            yield Play(f"{service}/size/segments", service, partial(segments, limit=limit))
            for name, script in _FRAGMENTS.items():
                yield Play(f"{service}/fragments/{name}", service, script)
        for method in ("nat", "dr", "tun"):
            overhead = HEADER[family] if method == "tun" else 0
            limit = 1400 - overhead
            name = f"narrow-{method}{family}"
            yield Play(f"{method}{family}/size/narrow-datagrams", name, partial(sizes, limits=(limit,)))
            yield Play(f"{method}{family}/size/narrow-segments", name, partial(segments, limit=limit))
        yield Play(f"nat{family}/size/large-reply", f"nat{family}", large_reply)
        yield Play(f"nat{family}/fragments/reply-in-pieces", f"nat{family}", reply_in_pieces)
