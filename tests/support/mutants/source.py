"""C, as far as it takes to change one thing in it: tokens, and the function, macro or table that each stands in.

Knows the kernel's style, in which the data plane is written, and no more of the language than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<comment> /\*.*?\*/ | //[^\n]* )
    | (?P<directive> ^[ \t]*\#[ \t]*(?!define)(?:\\\n|[^\n])* )
    | (?P<define> ^[ \t]*\#[ \t]*define[ \t]+(?P<macro>\w+)(?:\([^)]*\))? )
    | (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' )
    | (?P<number> (?:0[xX][0-9a-fA-F]+|\d+)[uUlL]* )
    | (?P<word> [A-Za-z_]\w* )
    | (?P<sign> -> | <<= | >>= | \+\+ | -- | << | >> | <= | >= | == | != | && | \|\| | [-+*/%&|^]= | [^\s\w\\] )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_TYPE: Final = re.compile(r"__[usb]e?\d+|void|int|long|char|const|volatile|unsigned|struct|enum|union")
_UNNAMED: Final = "struct"
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    "word, number, string or sign."
    text: str
    start: int
    end: int
    place: str
    "The function, macro, table or type that it is in; empty outside of all."

    @property
    def is_type(self) -> bool:
        return self.kind == "word" and _TYPE.fullmatch(self.text) is not None


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    macro, macro_end, place, depth = "", -1, "", 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if match["define"]:
            macro, macro_end = match["macro"], _end_of_line(text, match.end())
            continue
        if kind in ("comment", "directive"):
            continue
        if match.start() >= macro_end:
            macro = ""
        sign = match.group()
        if not macro and sign == "{":
            if not depth:
                place = _name(found)
            depth += 1
        found.append(Token(kind, sign, match.start(), match.end(), macro or (place if depth else "")))
        if not macro and sign == "}":
            depth -= 1
    return _named_after(found)


def _named_after(found: list[Token]) -> list[Token]:
    """A map's name stands behind its type, which has none."""
    for at in range(1, len(found)):
        if found[at].kind == "word" and not found[at].place and found[at - 1].place == _UNNAMED:
            back = at - 1
            while back >= 0 and found[back].place == _UNNAMED:
                found[back] = replace(found[back], place=found[at].text)
                back -= 1
    return found


def _end_of_line(text: str, at: int) -> int:
    """Of a logical one, which a backslash continues."""
    while True:
        end = text.find("\n", at)
        if end < 0:
            return len(text)
        if not text[:end].rstrip(" \t").endswith("\\"):
            return end
        at = end + 1


def _name(before: Sequence[Token]) -> str:
    """What a brace outside of everything opens."""
    at = len(before) - 1
    while at >= 0 and not before[at].place and before[at].text not in (";", "}"):
        at -= 1
    head = list(before[at + 1 :])
    for number, token in enumerate(head):
        following = head[number + 1].text if number + 1 < len(head) else ""
        if token.kind == "word" and following in ("(", "[", "="):
            return token.text
    words = [token.text for token in head if token.kind == "word"]
    return words[-1] if words else ""


def closing(found: Sequence[Token], at: int) -> int:
    """Where the bracket that opens there is closed."""
    depth = 0
    for number in range(at, len(found)):
        depth += (found[number].text in _OPENING) - (found[number].text in _OPENING.values())
        if not depth:
            return number
    raise ValueError(f"{found[at].text} is never closed")


_NO_STATEMENT: Final = {
    *("if", "for", "while", "do", "switch", "case", "default", "return", "break", "continue", "goto", "else"),
    *("static", "asm", "SEC", "typedef", "__uint", "__type"),
}


def statements(found: Sequence[Token]) -> Iterator[tuple[Token, Token]]:
    """First and last token of each statement that does something: assignments and calls."""
    heads = _ends_of_heads(found)
    for at in range(1, len(found)):
        first = found[at]
        if not first.place or not (found[at - 1].text in ("{", "}", ";", "else", ":") or at - 1 in heads):
            continue
        if first.text in _NO_STATEMENT or first.is_type or (first.kind != "word" and first.text not in ("*", "(")):
            continue
        end = _semicolon(found, at)
        body = {token.text for token in found[at:end]}
        # Enumerators, cells of tables and labels have neither; a conditional's second half begins after a colon.
        if end < len(found) and found[at + 1].kind != "word" and body & {"=", "(", "++", "--", "+=", "|=", "-=", "&="}:
            yield first, found[end]


def _ends_of_heads(found: Sequence[Token]) -> set[int]:
    """The closing brackets of if, for and while."""
    return {
        closing(found, at + 1)
        for at in range(len(found) - 1)
        if found[at].text in ("if", "for", "while") and found[at + 1].text == "("
    }


def _semicolon(found: Sequence[Token], at: int) -> int:
    while at < len(found) and found[at].text not in (";", "{", "}"):
        at = closing(found, at) + 1 if found[at].text in ("(", "[") else at + 1
    return at if at < len(found) and found[at].text == ";" else len(found)
