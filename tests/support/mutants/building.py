"""A mutant's object: compiled as the Makefile compiles, and whether the compiler sees any difference at all."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.mutants.population import HEADERS, MAIN, ROOT
from tests.support.oracle.plane import DIRECTOR

_QUIET: Final = ("-Wall", "-Wextra", "-Werror", "-MMD", "-MP")
"Flags that are not for mutants: what they no longer use is no reason to refuse them."
_NEEDED: Final = ("bpf", "src", "tests", "tools", "build/bpf")
_TELLS: Final = (".BTF", ".debug", ".symtab", ".strtab", ".llvm", ".rel.BTF", ".rel.debug", ".rel.eh", ".shstrtab")
"Sections that say where code comes from, not what it does."


class DoesNotCompileError(Exception):
    """It is no mutant: its text is no program."""


@cache
def command() -> tuple[str, ...]:
    """The compiler and its flags, as the Makefile has them."""
    told = ["make", "-s", "--no-print-directory", "--eval", "told: ; @echo $(CLANG) $(BPFFLAGS)", "told"]
    words = subprocess.run(told, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return tuple(word for word in words if word not in _QUIET)


class Workshop:
    """A copy of the tree in a folder of its own, whose tests load what was built last; the tree stays as it is."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        for name in _NEEDED:
            shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.tree)
        self._sources, self.object = self.tree / HEADERS.name, self.tree / DIRECTOR.relative_to(ROOT)

    def build(self, file: str, text: str) -> Path:
        """The data plane with this text in place of one of its files."""
        changed = self._sources / file
        before = changed.read_text()
        changed.write_text(text)
        try:
            run = subprocess.run(
                [*command(), "-c", str(self._sources / MAIN), "-o", str(self.object)],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            changed.write_text(before)
        if run.returncode:
            raise DoesNotCompileError(next(line for line in run.stderr.splitlines() if "error: " in line))
        return self.object


def code(path: Path) -> dict[str, bytes]:
    """By section, all of an object that is loaded but its types: instructions, relocations, constants."""
    return {name: content for name, content in _sections(path.read_bytes()) if not name.startswith(_TELLS)}


def _sections(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Of a 64-bit ELF file in this machine's byte order (System V ABI, chapter 4)."""
    [table] = struct.unpack_from("=Q", raw, 0x28)
    size, count, names = struct.unpack_from("=HHH", raw, 0x3A)
    headers = [struct.unpack_from("=IIQQQQ", raw, table + size * number) for number in range(count)]
    text = headers[names][4]
    for name, _, _, _, offset, length in headers:
        start = text + name
        yield raw[start : raw.index(b"\0", start)].decode(), raw[offset : offset + length]
