"""Simulations side by side: a process for each processor, all with the same flows in memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from typing import Any, Final

from vipd.errors import EnvironmentProblem
from vipd.simulation.report import Report
from vipd.simulation.simulate import Scene, simulate

FEW: Final = 200_000
"Flows for which no process is worth its start."
_LOOK: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Running:
    number: int
    process: ForkProcess
    answer: connection.Connection


def run(scenes: Sequence[Scene], told: Callable[[int], None]) -> list[Report]:
    """A report for each. `told` hears, now and then, how many flows have got their servers in all."""
    flows = sum(each.count for each in scenes[0].flows)
    processes = min(len(scenes), len(os.sched_getaffinity(0)))
    if processes > 1 and flows > FEW:
        return _side_by_side(scenes, processes, told)
    done = 0

    def heard(_what: str, count: int) -> None:
        nonlocal done
        done += count
        told(done)

    return [simulate(scene, heard) for scene in scenes]


def _side_by_side(scenes: Sequence[Scene], processes: int, told: Callable[[int], None]) -> list[Report]:
    done = multiprocessing.get_context("fork").Value("q", 0)
    waiting = list(range(len(scenes)))
    running: list[_Running] = []
    found: dict[int, Report] = {}
    # What no collector walks through stays shared.
    gc.freeze()
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                with _uninterrupted():
                    running.append(_begun(waiting[0], scenes[waiting.pop(0)], done))
            ready = connection.wait([each.answer for each in running], _LOOK)
            for each in [each for each in running if each.answer in ready]:
                found[each.number] = _answer(each)
                running.remove(each)
            told(done.value)
    finally:
        gc.unfreeze()
        for each in running:
            each.process.kill()
            each.process.join()
    return [found[number] for number in range(len(scenes))]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A process that is half begun would be nobody's to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _begun(number: int, scene: Scene, done: Any) -> _Running:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = ForkProcess(target=_one, args=(scene, done, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Running(number, process, ours)


def _answer(of: _Running) -> Report:
    try:
        report = of.answer.recv()
    except EOFError:
        of.process.join()
        raise EnvironmentProblem(
            f"a process of the simulation ended with {of.process.exitcode}: most likely memory ran out; "
            "ask for fewer flows, or for one --scheduler at a time"
        ) from None
    of.process.join()
    assert isinstance(report, Report)
    return report


def _one(scene: Scene, done: Any, answer: connection.Connection) -> None:
    # Ctrl-C reaches every process of the terminal; the first one answers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def heard(_what: str, count: int) -> None:
        with done.get_lock():
            done.value += count
        first = multiprocessing.parent_process()
        if first is None or not first.is_alive():
            os._exit(1)  # nobody waits for an answer

    answer.send(simulate(scene, heard))
