"""All mutants that the operators make of the data plane's headers, each under a name that outlives moved lines."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.mutants.operators import edits, enumerators, operators

ROOT: Final = Path(__file__).parents[3]
HEADERS: Final = ROOT / "bpf"
MAIN: Final = "vipd.bpf.c"
_INCLUDE: Final = re.compile(r'^#include "(\w+\.h)"', re.MULTILINE)
_LEAST: Final = 3
"Mutants of each header, however short."


@dataclass(frozen=True, slots=True)
class Key:
    """What names a mutant: its file, the function or macro, and the lines as they are and become, on one line."""

    file: str
    place: str
    was: str
    now: str
    nth: int = 1
    "Of several places that read alike."

    def __str__(self) -> str:
        again = f" ({self.nth})" if self.nth > 1 else ""
        return f"{self.file} {self.place}{again}: {self.was}  =>  {self.now}"


@dataclass(frozen=True, slots=True)
class Mutant:
    key: Key
    operator: str
    text: str
    "Of the whole file."


def headers() -> list[Path]:
    """Those that the director's program is made of; benchmarks' and the real servers' own are not."""
    found: list[str] = []
    waiting = [MAIN]
    while waiting:
        for name in _INCLUDE.findall((HEADERS / waiting.pop()).read_text()):
            if name not in found:
                found.append(name)
                waiting.append(name)
    return [HEADERS / name for name in sorted(found)]


def population() -> list[Mutant]:
    """Every mutant there is."""
    files = {path.name: path.read_text() for path in headers()}
    names = enumerators(list(files.values()))
    return [mutant for name, text in files.items() for mutant in mutants(name, text, names)]


def mutants(file: str, text: str, names: dict[str, str]) -> Iterator[Mutant]:
    seen: Counter[Key] = Counter()
    for operator, by in operators(names).items():
        for edit in edits(text, by):
            changed = text[: edit.start] + edit.text + text[edit.end :]
            first = text.rfind("\n", 0, edit.start) + 1
            last = text.find("\n", edit.end)
            was, now = text[first:last], changed[first : last + len(changed) - len(text)]
            key = Key(file, edit.place, _on_one_line(was), _on_one_line(now))
            seen[key] += 1
            yield Mutant(Key(key.file, key.place, key.was, key.now, seen[key]), operator, changed)


def _on_one_line(text: str) -> str:
    return " ".join(text.replace("\\\n", " ").split())


def sample(every: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many, each header by its share. A mutant's lot does not depend on the others: a change moves few."""
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in sorted(every, key=lambda each: _lot(each, seed)):
        by_file[mutant.key.file].append(mutant)
    picked = []
    for found in by_file.values():
        picked += found[: max(_LEAST, round(count * len(found) / len(every)))]
    return sorted(picked, key=lambda each: _lot(each, seed))


def _lot(mutant: Mutant, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {mutant.key}".encode()).digest()
