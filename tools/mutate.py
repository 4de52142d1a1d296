"""Mutants of the data plane: each is the program with one thing wrong, and must be found out.

A mutant that survives shows something that is not tested: improve the search (tests/support/oracle) or
the tests until it is killed, or list it in tests/spec/equivalent.yaml with the reason why nothing can
tell it from the program. Results are kept in build/mutants; a run that was stopped goes on where it was.
Ends with 1 where something survived, or the list is not true any more. Needs root.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.mutants import defects, ledger, population, trial  # noqa: E402 - the path comes first
from vipd.drivers.namespace import call  # noqa: E402

if TYPE_CHECKING:
    from tests.support.mutants.defects import Defect
    from tests.support.mutants.population import Key, Mutant
    from tests.support.mutants.trial import Verdict

DEFECT_SECONDS: Final = 120
_WHEN_PARENT_DIES: Final = 1
"PR_SET_PDEATHSIG (prctl(2))."
_at_work: Final = ExitStack()
_mine: list[trial.Trials] = []
"Of a worker, for all mutants that it tries."


def begin(folder: Path) -> None:
    """In each worker. Ctrl-C is the first process's business: it ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    call("prctl", _WHEN_PARENT_DIES, signal.SIGTERM)
    _mine.append(_at_work.enter_context(trial.trials(folder)))


def try_out(mutant: Mutant, seed: int, seconds: float) -> Verdict:
    try:
        return _mine[0].try_out(mutant, seed, seconds)
    except Exception as error:  # noqa: BLE001 - one that cannot be tried must not keep the others from it
        return trial.Verdict(trial.FAILED, f"{type(error).__name__}: {error}"[:300], 0.0)


def find(defect: Defect, seed: int) -> Verdict:
    try:
        return _mine[0].find(defect, seed, DEFECT_SECONDS)
    except Exception as error:  # noqa: BLE001 - as above
        return trial.Verdict(trial.FAILED, f"{type(error).__name__}: {error}"[:300], 0.0)


def picked(options: argparse.Namespace, every: list[Mutant]) -> list[Mutant]:
    """The mutants to be tried; those that are listed are always among them."""
    there = [mutant for mutant in every if not options.only or mutant.key.file in options.only]
    if options.match:
        return [mutant for mutant in there if options.match in str(mutant.key)]
    listed = {each.key for each in ledger.equivalent(ledger.EQUIVALENT.read_text())}
    chosen = there if options.all else population.sample(there, options.count, options.seed)
    return [*chosen, *(mutant for mutant in there if mutant.key in listed and mutant not in chosen)]


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Ctrl-C ends them at once, and nothing of them stays."""
    with tempfile.TemporaryDirectory(prefix="vipd-mutants-") as folder:
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), begin, (Path(folder),))
        with pool:
            try:
                yield pool
            except BaseException:
                running = list(pool._processes.values())  # noqa: SLF001 - the executor offers no other way to stop
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in running:
                    worker.terminate()
                raise


def results(mutants: list[Mutant], options: argparse.Namespace, known: ledger.Ledger) -> Iterator[tuple[Key, Verdict]]:
    """As they come; what is known already, first."""
    fresh = []
    for mutant in mutants:
        verdict = None if options.again else known.known(mutant)
        if verdict is None:
            fresh.append(mutant)
        else:
            yield mutant.key, verdict
    if len(fresh) < len(mutants):
        print(f"{len(mutants) - len(fresh)} are known from earlier runs (--again tries them once more)")
    with workers(options.jobs) as pool:
        waiting: dict[Future[Verdict], Mutant] = {
            pool.submit(try_out, mutant, options.search_seed, options.seconds): mutant for mutant in fresh
        }
        for number, done in enumerate(as_completed(waiting), start=1):
            mutant, verdict = waiting[done], done.result()
            known.note(mutant, verdict)
            print(f"{number}/{len(fresh)} {verdict.by} {verdict.seconds:g} s: {mutant.key}", flush=True)
            yield mutant.key, verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="FILE", action="append", default=[], help="of this header, such as parse.h")
    parser.add_argument("--count", type=int, default=150, help="how many, of all headers (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (%(default)s)")
    parser.add_argument("--all", action="store_true", help="every one that there is: hours")
    parser.add_argument("--match", metavar="TEXT", help="all whose name, as it is printed, has this in it")
    parser.add_argument("--seconds", type=float, default=40, help="of the processor, for a search (%(default)s)")
    parser.add_argument("--search-seed", type=int, default=1, help="what the search begins with (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once (%(default)s)")
    parser.add_argument("--again", action="store_true", help="also those whose result is known")
    parser.add_argument("--defects", action="store_true", help="tests/spec/defects.yaml instead: the search finds each")
    parser.add_argument("--list", action="store_true", help="print them and try none")
    options = parser.parse_args()
    names = [path.name for path in population.headers()]
    for name in options.only:
        if name not in names:
            parser.error(f"--only {name}: no header of the program is called so; there are: {', '.join(names)}")
    every = population.population()
    mutants = picked(options, every)
    if options.list:
        print("\n".join(f"{mutant.operator:12}{mutant.key}" for mutant in mutants))
        return 0
    if os.geteuid():
        parser.error("BPF programs need root: run as root")
    if options.defects:
        return planted(options)
    print(f"{len(mutants)} of {len(every)} mutants, {options.jobs} at once")
    return tried(mutants, every, options)


def planted(options: argparse.Namespace) -> int:
    """Each defect, and how long the search took for it. 1 where one was not found in time."""
    every = defects.defects()
    print(f"{len(every)} defects, {options.jobs} at once, each looked for by one processor")
    with workers(options.jobs) as pool:
        waiting = [(defect, pool.submit(find, defect, options.search_seed)) for defect in every]
        found = {}
        for defect, each in waiting:
            found[defect] = each.result()
            print(f"{defect.stage}: {defect.name}: {found[defect].told or 'NOT FOUND'}", flush=True)
    print("\n" + defects.found_table({defect: (verdict.seconds, verdict.told) for defect, verdict in found.items()}))
    return 0 if all(verdict.killed for verdict in found.values()) else 1


def tried(mutants: list[Mutant], every: list[Mutant], options: argparse.Namespace) -> int:
    listed = ledger.equivalent(ledger.EQUIVALENT.read_text())
    found: dict[Key, Verdict] = {}
    stopped = False
    try:
        # One by one: what was found stays where it is stopped.
        found.update(results(mutants, options, ledger.Ledger()))
    except KeyboardInterrupt:
        stopped = True
    print(f"\n{ledger.table(found, listed)}\n")
    wrong = list(ledger.complaints(every, found, listed, options.only or {mutant.key.file for mutant in every}))
    for each in wrong:
        print(each)
    if stopped:
        print(f"stopped after {len(found)} of {len(mutants)}; the same command goes on there")
        return 130
    return 1 if wrong else 0


def stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
