"""One mutant tried: compiled, loaded, held against the specification, and at last against the packet tests.

A worker keeps its wires and its copy of the sources for all the mutants that it tries.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.mutants.building import DoesNotCompileError, Workshop, code
from tests.support.mutants.defects import Defect
from tests.support.mutants.population import ROOT, Mutant
from tests.support.oracle import Disagreement, Runner, pairs
from tests.support.oracle.plane import DIRECTOR
from tests.support.oracle.search import batch
from tests.support.wires import Wires
from vipd.dataplane.libbpf import KernelRefusal

SURVIVED: Final = "survived"
NO_MUTANT: Final = ("does not compile", "same code")
"It cannot be told from what it was made of, or not be run."
FAILED: Final = "failed"
"The trial itself went wrong."
_FIRST, _OTHERS = 16, (3, 1)
"Sizes of tables: the first finds most; the others are full soon."
_FEW: Final = 15
"Conversations with one seed."
_TESTS: Final = {
    "account.h": ("bpf/test_tracing",),
    "event.h": ("bpf/test_tracing",),
    "packet.h": ("bpf/test_tracing",),
    "trace.h": ("bpf/test_tracing", "dataplane/test_tracing"),
    "sweep.h": ("bpf/test_expiry", "bpf/test_connection_table", "bpf/test_tracing", "dataplane/test_tracing"),
    "connection.h": ("bpf/test_connection_table", "bpf/test_expiry"),
    "lookup.h": ("bpf/test_tcp_states", "bpf/test_connection_table", "bpf/test_tracing"),
    "schedule.h": ("bpf/test_schedulers", "bpf/test_connection_table", "bpf/test_tracing"),
    "point_to_point.h": ("bpf/test_point_to_point", "bpf/test_point_to_point_answers"),
    "options.h": ("bpf/test_options", "bpf/test_headers"),
    "nexthop.h": ("bpf/test_next_hops", "bpf/test_point_to_point"),
    "parse.h": ("bpf/test_headers", "bpf/test_jumbo", "bpf/test_truncation"),
    "reply.h": ("bpf/test_jumbo", "bpf/test_point_to_point_answers", "bpf/test_icmp_errors"),
    "rewrite.h": ("bpf/test_tunnels", "bpf/test_checksums", "bpf/test_methods", "bpf/test_headers"),
    "hash.h": ("bpf/test_schedulers", "bpf/test_tunnels", "bpf/test_connection_table"),
    "forward.h": ("bpf/test_jumbo", "bpf/test_methods", "bpf/test_tunnels"),
    "icmp.h": ("bpf/test_icmp_errors", "bpf/test_tracing"),
    "tcp_state.h": ("bpf/test_tcp_states", "bpf/test_expiry"),
    "maps.h": (
        "bpf/test_maps",
        "bpf/test_tracing",
        "bpf/test_expiry",
        "bpf/test_connection_table",
        "bpf/test_fragments",
    ),
}
"The tests about what the specification does not speak of, by header."
_TESTS_FIRST: Final = ("trace.h", "sweep.h", "maps.h")
"The specification hardly speaks of these: a search would mostly be in vain."
_OTHERWISE: Final = ("bpf/test_headers", "bpf/test_methods")
_PATIENCE: Final = 240
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", re.MULTILINE)
_SHORT: Final = {errno.ENOMEM, errno.EMFILE, errno.EAGAIN, errno.EBUSY}
"What this machine lacks is no verdict about a mutant."


@dataclass(frozen=True, slots=True)
class Verdict:
    by: str
    "Who killed it, or one of NO_MUTANT, or SURVIVED."
    told: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.by not in (SURVIVED, FAILED, *NO_MUTANT)


class Trials:
    """Within `trials`."""

    def __init__(self, wires: Wires, workshop: Workshop) -> None:
        self._wires, self._workshop = wires, workshop
        self._code = code(DIRECTOR)

    def try_out(self, mutant: Mutant, seed: int, seconds: float) -> Verdict:
        """`seconds`: how long to look for a disagreement."""
        begun = time.monotonic()
        by, told = self._by(mutant, seed, seconds)
        return Verdict(by, told, round(time.monotonic() - begun, 1))

    def find(self, defect: Defect, seed: int, seconds: float) -> Verdict:
        """By the search alone; the time is the search's own, without compiling and loading."""
        built = self._workshop.build(defect.file, defect.text)
        meter = Meter()
        told = disagreement(self._wires, built, seed, seconds, meter)
        return Verdict("spec" if told else SURVIVED, told, round(meter.seconds, 1))

    def _by(self, mutant: Mutant, seed: int, seconds: float) -> tuple[str, str]:
        try:
            built = self._workshop.build(mutant.key.file, mutant.text)
        except DoesNotCompileError as error:
            return "does not compile", str(error)[-120:]
        if mutant.key.file in ("abi.h", "abi_trace.h", "maps.h"):
            if _is_another_border(built):
                return "gen_abi", "the generated copy is stale"
        elif code(built) == self._code:
            return "same code", "the compiler makes the same of it"
        tests_first = mutant.key.file in _TESTS_FIRST
        try:
            told = disagreement(self._wires, built, seed, 0 if tests_first else seconds)
        except KernelRefusal as error:
            if error.errno in _SHORT:
                raise RuntimeError(str(error)) from None
            return "verifier", " ".join(str(error).split())[-120:]
        if told:
            return "spec", told
        told = failing_test(self._workshop, _TESTS.get(mutant.key.file, _OTHERWISE))
        if told:
            return "tests", told
        told = disagreement(self._wires, built, seed, seconds) if tests_first else ""
        return ("spec", told) if told else (SURVIVED, "")


@dataclass(slots=True)
class Meter:
    """How long was looked, without the time that loading took: of the processor, whatever else the machine does."""

    seconds: float = 0.0


def disagreement(wires: Wires, program: Path, seed: int, seconds: float, meter: Meter | None = None) -> str:
    """What a search met first, in a line; empty if nothing. Raises KernelRefusal where it cannot be loaded.

    In 0 seconds it is only loaded.
    """
    meter = meter or Meter()
    with ExitStack() as stack:
        runners = [Runner(stack.enter_context(pairs(wires, _FIRST, program)))]
        number = 0
        while meter.seconds < seconds:
            if number == 2:
                runners += [Runner(stack.enter_context(pairs(wires, buckets, program))) for buckets in _OTHERS]
            runner, begun = runners[number % len(runners)], time.process_time()
            try:
                batch(runner, seed + number, _FEW)
            except Disagreement as error:
                return error.about[:200]
            except (AssertionError, ArithmeticError, LookupError, ValueError) as error:
                return f"what it leaves cannot be read: {error!r}"[:200]
            finally:
                meter.seconds += time.process_time() - begun
                runner.clear()
            number += 1
    return ""


def failing_test(workshop: Workshop, names: tuple[str, ...]) -> str:
    """Which of these tests finds what was built last, or an empty text."""
    files = [f"tests/{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "root", "-p", "no:cacheprovider", *files]
    try:
        run = subprocess.run(
            command,
            cwd=workshop.tree,
            env=os.environ | {"PYTHONPATH": str(workshop.tree / "src")},
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return "the tests do not end"
    if not run.returncode:
        return ""
    named = _FAILED.search(run.stdout)
    return named[1] if named else (run.stdout + run.stderr).strip().splitlines()[-1]


def _is_another_border(built: Path) -> bool:
    """Whether user space's copy of the types and enumerators would be another."""
    command = [sys.executable, str(ROOT / "tools" / "gen_abi.py"), "--check", "--object", str(built)]
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


@contextmanager
def trials(within: Path) -> Iterator[Trials]:
    """`within`: where to make a folder for what is compiled."""
    with tempfile.TemporaryDirectory(dir=within) as folder, ExitStack() as stack:
        wires = Wires()
        stack.callback(wires.close)
        stack.enter_context(wires.lined())
        yield Trials(wires, Workshop(Path(folder)))
