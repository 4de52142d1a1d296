"""How much stack a compiled BPF program takes, as the verifier will count it: from the instructions alone.

Every function's frame is as deep as its lowest address below r10, rounded up to 32 bytes; what counts is the deepest
chain of calls, callbacks of bpf_loop and timers among them (check_max_stack_depth in kernel/bpf/verifier.c of 6.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

LIMIT: Final = 512
"MAX_BPF_STACK"
FRAMES: Final = 8
"MAX_CALL_FRAMES"
_ROUND: Final = 32

_SYMBOLS, _RELOCATIONS = 2, 9
"Of sections, the type."
_FUNCTION, _SECTION = 2, 3
"Of symbols, the type."
_EXECUTABLE: Final = 4
_LOAD, _STORES, _ALU64 = 1, (2, 3), 7
"Of instructions, the class; those not named here write into their destination."
_WRITES: Final = (0, 1, 4, 7)
_CALL, _MOVE, _ADD, _WIDE = 0x85, 0xBF, 0x07, 0x18
_LOCAL_CALL: Final = 1
_STACK: Final = 10


class _Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


class _Instruction(NamedTuple):
    code: int
    registers: int
    offset: int
    number: int

    @property
    def destination(self) -> int:
        return self.registers & 15

    @property
    def source(self) -> int:
        return self.registers >> 4


@dataclass(slots=True)
class Function:
    name: str
    depth: int = 0
    "Bytes below its frame's top."
    calls: set[str] = field(default_factory=set)

    @property
    def frame(self) -> int:
        return -(-max(self.depth, 1) // _ROUND) * _ROUND


class Chain(NamedTuple):
    """Calls from a program down: their bytes of stack, and who calls whom."""

    bytes: int
    functions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.bytes} bytes: {' > '.join(self.functions)}"


class Elf:
    """An object file of clang's, little-endian with 64 bits."""

    def __init__(self, path: Path) -> None:
        self._image = path.read_bytes()
        (start,) = struct.unpack_from("<Q", self._image, 0x28)
        size, count = struct.unpack_from("<HH", self._image, 0x3A)
        self.sections = [
            _Section(*struct.unpack_from("<IIQQQQIIQQ", self._image, start + n * size)) for n in range(count)
        ]
        table = next(section for section in self.sections if section.type == _SYMBOLS)
        names = self.content(self.sections[table.link])
        self.symbols = [_Symbol(*found) for found in struct.iter_unpack("<IBBHQQ", self.content(table))]
        self.functions = {
            (symbol.section, symbol.value // 8): (_text(names, symbol.name), symbol.size // 8)
            for symbol in self.symbols
            if symbol.info & 15 == _FUNCTION
        }
        "By section and first instruction: name, instructions."
        self.relocations = {
            (section.info, at // 8): self.symbols[info >> 32]
            for section in self.sections
            if section.type == _RELOCATIONS
            for at, info in struct.iter_unpack("<QQ", self.content(section))
        }

    def content(self, section: _Section) -> bytes:
        return self._image[section.offset : section.offset + section.size]

    def called(self, section: int, at: int, one: _Instruction) -> str | None:
        """The function that an instruction calls, or takes the address of."""
        if one.code == _CALL and one.source == _LOCAL_CALL:
            symbol = self.relocations.get((section, at))
            if symbol is None:
                return self.functions[section, at + one.number + 1][0]
            extra = one.number + 1 if symbol.info & 15 == _SECTION else 0
            return self.functions[symbol.section, symbol.value // 8 + extra][0]
        symbol = self.relocations.get((section, at)) if one.code == _WIDE else None
        if symbol and symbol.section < len(self.sections) and self.sections[symbol.section].flags & _EXECUTABLE:
            extra = one.number // 8 if symbol.info & 15 == _SECTION else 0
            return self.functions[symbol.section, symbol.value // 8 + extra][0]
        return None


def _text(names: bytes, at: int) -> str:
    return names[at : names.index(b"\0", at)].decode()


def functions(path: Path) -> dict[str, Function]:
    """All of an object, by name; programs are those that nobody calls."""
    elf = Elf(path)
    found = {}
    for (section, first), (name, count) in elf.functions.items():
        code = elf.content(elf.sections[section])
        found[name] = _read(elf, section, first, [*struct.iter_unpack("<BBhi", code[first * 8 : (first + count) * 8])])
        found[name].name = name
    return found


def _read(elf: Elf, section: int, first: int, code: list[tuple[int, int, int, int]]) -> Function:
    one = Function("")
    known = {_STACK: 0}
    "Registers that point into the frame, and how far from its top."
    wide = False
    for at, raw in enumerate(code, first):
        step = _Instruction(*raw)
        if wide:
            wide = False
            continue
        wide = step.code == _WIDE
        if called := elf.called(section, at, step):
            one.calls.add(called)
        one.depth = max(one.depth, -_lowest(step, known))
    return one


def _lowest(step: _Instruction, known: dict[int, int]) -> int:
    """The stack's address that an instruction reads, writes or makes, 0 for none; keeps `known` true."""
    to, kind = step.destination, step.code & 7
    lowest = 0
    if kind == _LOAD and step.source in known:
        lowest = known[step.source] + step.offset
    elif kind in _STORES and to in known:
        lowest = known[to] + step.offset
    if step.code == _MOVE and step.source in known:
        known[to] = lowest = known[step.source]
    elif step.code == _ADD and to in known:
        known[to] = lowest = known[to] + step.number
    elif step.code == _CALL:
        for register in range(6):
            known.pop(register, None)
    elif kind in _WRITES:
        known.pop(to, None)
    return lowest


def chains(all_: dict[str, Function], name: str) -> Iterator[Chain]:
    """Every way down from a function."""
    one = all_[name]
    yield Chain(one.frame, (name,))
    for called in one.calls:
        yield from (Chain(one.frame + below.bytes, (name, *below.functions)) for below in chains(all_, called))


def deepest(path: Path) -> dict[str, Chain]:
    """Of each program in an object."""
    all_ = functions(path)
    called = set().union(*(one.calls for one in all_.values()))
    return {name: max(chains(all_, name)) for name in all_ if name not in called}
