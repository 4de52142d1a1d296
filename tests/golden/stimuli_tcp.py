"""TCP: openings, ends, whatever comes without an opening, and what no stack sends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from scapy.layers.inet import IP

from tests.golden.services import METHODS, OWN
from tests.golden.talk import TEXT, Play, Script, Talk
from tests.support.packets import FAMILIES

_OPTIONS: Final = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]
_ODD: Final = {"null": "", "xmas": "FSRPAU", "syn-fin": "SF", "syn-rst": "SR", "fin-alone": "F", "rst-fin": "RFA"}
_LONE: Final = {"ack": "A", "data": "PA", "fin": "FA", "rst": "R", "syn-ack": "SA"}


def close_by_client(talk: Talk) -> None:
    talk.opened()
    talk.says("data", talk.segment("PA", TEXT))
    if talk.service.method == "nat":
        talk.hears("reply", talk.answer("PA", TEXT + TEXT))
    talk.says("fin", talk.segment("FA"))
    if talk.service.method == "nat":
        talk.hears("fin-back", talk.answer("FA"))
    talk.says("last-ack", talk.segment("A"))


def close_by_server(talk: Talk) -> None:
    talk.opened()
    if talk.service.method == "nat":
        talk.hears("fin", talk.answer("FA"))
    talk.says("ack-of-fin", talk.segment("A"))
    talk.says("fin-back", talk.segment("FA"))
    if talk.service.method == "nat":
        talk.hears("last-ack", talk.answer("A"))


def reset(talk: Talk) -> None:
    talk.opened().says("rst", talk.segment("R"))
    talk.says("late-data", talk.segment("PA", TEXT))


def reset_by_server(talk: Talk) -> None:
    talk.opened()
    if talk.service.method == "nat":
        talk.hears("rst", talk.answer("RA"))
    talk.says("answer-to-it", talk.segment("A"))


def half_open(talk: Talk) -> None:
    talk.says("syn", talk.segment())
    talk.says("again", talk.segment())
    talk.says("rst", talk.segment("R"))


def refused(talk: Talk) -> None:
    talk.says("syn", talk.segment())
    if talk.service.method == "nat":
        talk.hears("rst", talk.answer("RA"))
    talk.says("again", talk.segment())


OWN_SCRIPTS: Final[dict[str, Script]] = {
    "close-by-client": close_by_client,
    "close-by-server": close_by_server,
    "reset": reset,
    "reset-by-server": reset_by_server,
    "half-open": half_open,
    "refused": refused,
}
assert len(OWN_SCRIPTS) == OWN


def syn_with_all(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", options=_OPTIONS))
    if talk.service.method == "nat":
        talk.hears("syn-ack", talk.answer("SA", options=_OPTIONS))
    talk.says("ack", talk.segment("A", options=[("NOP", None), ("NOP", None), ("Timestamp", (8, 7))]))
    talk.says("urgent", talk.segment("PAU", TEXT, urgptr=5))
    talk.says("largest-header", talk.segment("PA", TEXT, options=[("NOP", None)] * 40))


def syn_with_payload(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", TEXT))


def syn_with_ecn(talk: Talk) -> None:
    talk.says("syn", talk.segment("SEC"))
    talk.says("cwr", talk.segment("PAC", TEXT))


def lone(flags: str, talk: Talk) -> None:
    talk.says("alone", talk.segment(flags, TEXT if "P" in flags else b""))


def odd_in_connection(talk: Talk) -> None:
    talk.opened()
    for name, flags in _ODD.items():
        talk.says(name, talk.segment(flags))


def wrong_sum(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", chksum=0x1234))
    talk.says("syn-with-right-sum", talk.segment("S"))


def header_longer_than_packet(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", dataofs=15))


def header_too_short(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", dataofs=4))


def cut(talk: Talk) -> None:
    """The IP packet ends within TCP's header."""
    whole = bytes(talk.segment("S"))
    if talk.family == 4:
        short = IP(whole[:30])
        del short.len, short.chksum
        talk.says("ten-bytes", bytes(short)[:20] + whole[20:30])
    else:
        talk.says("ten-bytes", whole[:4] + b"\0\x0a" + whole[6:50])


def port_zero(talk: Talk) -> None:
    talk.says("syn", talk.segment("S", sport=0))


def used_again(talk: Talk) -> None:
    """The client's port, once the old connection is closed at both ends as far as the director sees."""
    close_by_client(talk)
    _syn_again(talk)


def used_again_early(talk: Talk) -> None:
    """Only the client has closed."""
    talk.opened().says("fin", talk.segment("FA"))
    _syn_again(talk)


def used_again_after_reset(talk: Talk) -> None:
    talk.opened().says("rst", talk.segment("R"))
    _syn_again(talk)


def used_again_in_connection(talk: Talk) -> None:
    _syn_again(talk.opened())


def _syn_again(talk: Talk) -> None:
    """What is scheduled anew goes to the other server now."""
    talk.act("turn", f"turn {talk.service.name}")
    talk.says("syn-again", talk.segment("S", seq=7))


_SCRIPTS: Final[dict[str, Script]] = {
    "syn-with-all": syn_with_all,
    "syn-with-payload": syn_with_payload,
    "syn-with-ecn": syn_with_ecn,
    **{f"lone-{name}": partial(lone, flags) for name, flags in _LONE.items()},
    **{f"lone-{name}": partial(lone, flags) for name, flags in _ODD.items()},
    "odd-in-connection": odd_in_connection,
    "wrong-sum": wrong_sum,
    "header-longer-than-packet": header_longer_than_packet,
    "header-too-short": header_too_short,
    "cut": cut,
    "port-zero": port_zero,
}
_TWICE: Final[dict[str, Script]] = {
    "used-again": used_again,
    "used-again-early": used_again_early,
    "used-again-after-reset": used_again_after_reset,
    "used-again-in-connection": used_again_in_connection,
}


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        for method in METHODS:
            for number, (name, script) in enumerate(OWN_SCRIPTS.items()):
                yield Play(f"{method}{family}/tcp/{name}", f"own-{method}-{number}-{family}", script, alone=True)
            for name, script in _SCRIPTS.items():
                yield Play(f"{method}{family}/tcp/{name}", f"{method}{family}", script)
        for method in ("nat", "dr", "tun"):
            for name, script in _TWICE.items():
                yield Play(f"{method}{family}/tcp/{name}", f"two-{method}{family}", script)
