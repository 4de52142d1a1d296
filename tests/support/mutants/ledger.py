"""What is known of mutants: the results so far, kept on disk, and the list of those that are equivalent."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import yaml

from tests.support.mutants.population import ROOT, Key, Mutant, headers
from tests.support.mutants.trial import FAILED, NO_MUTANT, SURVIVED, Verdict

RESULTS: Final = ROOT / "build" / "mutants" / "results.jsonl"
EQUIVALENT: Final = ROOT / "tests" / "spec" / "equivalent.yaml"


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A mutant that nothing can tell from the program, and why."""

    key: Key
    why: str


def equivalent(text: str) -> list[Equivalent]:
    """Of the list, as it is written."""
    listed = []
    for entry in yaml.safe_load(text) or []:
        nth = entry.get("nth", 1)
        key = Key(entry["file"], entry["in"], " ".join(entry["was"].split()), " ".join(entry["now"].split()), nth)
        listed.append(Equivalent(key, " ".join(entry["why"].split())))
    return listed


def entry_for(key: Key) -> str:
    """As it would be written in the list, but for the reason."""
    entry: dict[str, str | int] = {"file": key.file, "in": key.place, "was": key.was, "now": key.now}
    if key.nth > 1:
        entry["nth"] = key.nth
    return yaml.safe_dump([entry | {"why": "…"}], sort_keys=False, width=110, allow_unicode=True)


class Ledger:
    """Results of earlier runs count as long as the mutant's header is the same; survivors are tried again."""

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path
        self._texts = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in headers()}
        self._known: dict[str, Verdict] = dict(self._read())

    def _read(self) -> Iterator[tuple[str, Verdict]]:
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                held = json.loads(line)
            except ValueError:
                continue  # written when the machine stopped
            key = held.pop("key")
            if held.pop("text") == self._texts.get(key.split()[0]):
                yield key, Verdict(**held)

    def known(self, mutant: Mutant) -> Verdict | None:
        verdict = self._known.get(str(mutant.key))
        return None if verdict is None or verdict.by in (SURVIVED, FAILED) else verdict

    def note(self, mutant: Mutant, verdict: Verdict) -> None:
        self._known[str(mutant.key)] = verdict
        self._path.parent.mkdir(parents=True, exist_ok=True)
        of = {"key": str(mutant.key), "text": self._texts[mutant.key.file]}
        with self._path.open("a") as file:
            file.write(json.dumps(of | asdict(verdict)) + "\n")


def complaints(
    every: Iterable[Mutant], found: Mapping[Key, Verdict], listed: Sequence[Equivalent], asked: Iterable[str]
) -> Iterator[str]:
    """All that is wrong: survivors that nobody explained, and explanations that no longer hold."""
    known = {each.key for each in listed}
    for key, verdict in found.items():
        if verdict.by == FAILED:
            yield f"could not be tried: {key}: {verdict.told}"
        if verdict.by == SURVIVED and key not in known:
            yield f"SURVIVED: {key}"
        elif verdict.killed and key in known:
            yield f"listed as equivalent, but killed by {verdict.by} ({verdict.told}): {key}"
    there, files = {mutant.key for mutant in every}, set(asked)
    for key in known - there:
        if key.file in files:
            yield f"listed as equivalent, but no longer a mutant: {key}"


def table(found: Mapping[Key, Verdict], listed: Sequence[Equivalent]) -> str:
    """How many of each header's mutants who killed."""
    known = {each.key for each in listed}
    kinds = ("spec", "verifier", "tests", "gen_abi", "listed", SURVIVED, *NO_MUTANT)
    rows: dict[str, Counter[str]] = {}
    for key, verdict in found.items():
        kind = "listed" if verdict.by == SURVIVED and key in known else verdict.by
        rows.setdefault(key.file, Counter())[kind] += 1
    total = sum(rows.values(), start=Counter())
    lines = [f"{'':18}" + "".join(f"{kind:>10}" for kind in (*kinds[:-2], "no prog.", "same"))]
    lines += [
        f"{name:18}" + "".join(f"{row[kind]:>10}" for kind in kinds)
        for name, row in [*sorted(rows.items()), ("all", total)]
    ]
    return "\n".join(lines)
