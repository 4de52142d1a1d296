"""What is changed in C to make a mutant: each operator yields places and what stands there instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.support.mutants.source import Token, closing, statements, tokens


@dataclass(frozen=True, slots=True)
class Edit:
    """Text from `start` to `end` gives way to another."""

    start: int
    end: int
    text: str
    place: str


Operator: TypeAlias = Callable[[Sequence[Token]], Iterator[Edit]]

_RELATIONS: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_JUNCTIONS: Final = {"&&": "||", "||": "&&"}
_ASSIGNMENTS: Final = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "^=": "|=", "++": "--", "--": "++"}
_ARITHMETIC: Final = _ASSIGNMENTS | dict(zip("+-*/%&|^", "-++*+|&|", strict=True)) | {"<<": ">>", ">>": "<<"}
_UNARY_TOO: Final = {"+", "-", "*", "&"}
_BYTE_ORDER: Final = re.compile(r"bpf_(hton|ntoh)[sl]")
_PAIRS: Final = (
    *(("source", "destination"), ("saddr", "daddr"), ("source_port", "destination_port"), ("h_source", "h_dest")),
    *(("active", "inactive"), ("packets_in", "packets_out"), ("bytes_in", "bytes_out"), ("smac", "dmac")),
    *(("address", "tunnel_source"), ("slots", "fallback"), ("slot_count", "fallback_count"), ("mtu", "ifindex")),
    *(("real_server", "service"), ("real_server_id", "service_id"), ("first_port", "last_port"), ("vip", "pad")),
    *(("seq", "ack_seq"), ("sport", "dport"), ("dest", "check"), ("ttl", "protocol"), ("hop_limit", "nexthdr")),
    *(("tot_len", "id"), ("position", "service_id"), ("twin", "real_server"), ("INPUT", "OUTPUT"), ("tos", "ttl")),
    *(("l3_length", "l4_offset"), ("service_port", "return_hop"), ("seen_at", "source_port"), ("tags", "pad")),
    *(("resolved_at", "ifindex"), ("overhead", "weight"), ("matched", "lost"), ("ip4", "ip6"), ("tcp", "udp")),
)
_FIELDS: Final[Mapping[str, str]] = {one: other for pair in reversed(_PAIRS) for one, other in (pair, pair[::-1])}
_STATES: Final = ("NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA")
_ENUM: Final = re.compile(r"\benum\s+\w+\s*\{(.*?)\}", re.DOTALL)
_LARGE: Final = 1000
"A number of at least so much is doubled: one more would be a nanosecond, or less than a word."


def _signs(swaps: Mapping[str, str]) -> Operator:
    def operator(found: Sequence[Token]) -> Iterator[Edit]:
        for at, token in enumerate(found):
            if token.kind == "sign" and token.text in swaps and token.place and not _is_unary(found, at):
                yield Edit(token.start, token.end, swaps[token.text], token.place)

    return operator


def _is_unary(found: Sequence[Token], at: int) -> bool:
    """A sign that takes an address, dereferences, declares or negates; a cast before it counts as such too."""
    if found[at].text not in _UNARY_TOO:
        return False
    before, following = found[at - 1], found[at + 1].text
    if before.kind == "number" or before.text == "]":
        return False
    if before.text == ")":
        return found[at - 2].is_type or found[at - 2].text == "*" or found[at].text == "*"
    if before.kind != "word" or before.is_type or before.text in ("return", "case"):
        return True
    return found[at].text == "*" and (found[at - 2].text in ("struct", "enum") or following in (")", ","))


def _constants(found: Sequence[Token]) -> Iterator[Edit]:
    for token in found:
        if token.kind != "number" or not token.place:
            continue
        digits = token.text.rstrip("uUlL")
        value, suffix = int(digits, 0), token.text[len(digits) :]
        others = [2 * value] if value >= _LARGE else [value + 1, *([value - 1] if value else [])]
        for other in others:
            written = hex(other) if digits[:2] in ("0x", "0X") else str(other)
            yield Edit(token.start, token.end, written + suffix, token.place)


def _dropped(found: Sequence[Token]) -> Iterator[Edit]:
    for first, last in statements(found):
        yield Edit(first.start, last.end, ";", first.place)


def _conditions(found: Sequence[Token]) -> Iterator[Edit]:
    """Turned round, and never true: the check removed."""
    for at, token in enumerate(found[:-1]):
        if token.text == "if" and found[at + 1].text == "(":
            opened, closed = found[at + 1], found[closing(found, at + 1)]
            for begin in ("!", "0 && "):
                yield Edit(opened.end, closed.start, f"{begin}({{}})", token.place)
        elif token.text == "?" and found[at + 1].text != ":":
            yield Edit(token.start, token.end, "== 0 ?", token.place)


def _byte_order(found: Sequence[Token]) -> Iterator[Edit]:
    for token in found:
        if _BYTE_ORDER.fullmatch(token.text):
            yield Edit(token.start, token.end, "", token.place)


def _fields(found: Sequence[Token]) -> Iterator[Edit]:
    for at, token in enumerate(found):
        before = ("?", ":", ",") if token.text in ("INPUT", "OUTPUT") else (".", "->")
        if token.text in _FIELDS and found[at - 1].text in before:
            yield Edit(token.start, token.end, _FIELDS[token.text], token.place)


def enumerators(texts: Sequence[str]) -> dict[str, str]:
    """Each enumerator of these files, and the next one of its kind."""
    found: dict[str, str] = {}
    for text in texts:
        for body in _ENUM.findall(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
            names = [each.split("=")[0].strip() for each in body.split(",") if each.strip()]
            names = [name for name in names if not name.endswith("COUNT")]
            found |= dict(zip(names, [*names[1:], *names[:1]], strict=True))
    return found


def _values(names: Mapping[str, str]) -> Operator:
    def operator(found: Sequence[Token]) -> Iterator[Edit]:
        for at, token in enumerate(found):
            following = found[at + 1].text if at + 1 < len(found) else ""
            # In its own definition, and as a table's index, an enumerator's place is its meaning.
            if token.text in names and token.place and following not in ("=", "]") and not _defines(found, at):
                yield Edit(token.start, token.end, names[token.text], token.place)
            elif token.text in _STATES and token.place == "next_state":
                other = _STATES[(_STATES.index(token.text) + 1) % len(_STATES)]
                yield Edit(token.start, token.end, other, token.place)

    return operator


def _defines(found: Sequence[Token], at: int) -> bool:
    while at > 0 and found[at].text not in ("{", ";", "}", "(", "?", "return"):
        at -= 1
    return found[at].text == "{" and at > 1 and "enum" in (found[at - 1].text, found[at - 2].text)


def operators(names: Mapping[str, str]) -> dict[str, Operator]:
    """By name. `names`: of every enumerator, the one to take for it."""
    return {
        "relation": _signs(_RELATIONS),
        "and-or": _signs(_JUNCTIONS),
        "arithmetic": _signs(_ARITHMETIC),
        "constant": _constants,
        "dropped": _dropped,
        "condition": _conditions,
        "byte order": _byte_order,
        "field": _fields,
        "value": _values(names),
    }


def edits(text: str, by: Operator) -> Iterator[Edit]:
    """Each with its own text in place of `{}`."""
    for edit in by(tokens(text)):
        yield Edit(edit.start, edit.end, edit.text.replace("{}", text[edit.start : edit.end]), edit.place)
