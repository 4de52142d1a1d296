"""A case played through a director, whichever it is."""

from __future__ import annotations

from typing import Final, Protocol

from tests.golden.data import Action, Case, Frame, Seen, Step
from tests.golden.services import SERVICES, Service

_STEP: Final = 10
"Seconds; all timeouts are a number of these."


class Directing(Protocol):
    """One that all of SERVICES were given to."""

    def act(self, words: list[str]) -> None:
        """Of an action."""

    def restore(self) -> None:
        """What actions changed is as before."""

    def exchange(self, frame: Frame) -> tuple[Frame, ...]:
        """What comes out of either wire because of the frame."""

    def connection(self, port: int) -> str:
        """As Seen has it, of the client with this port."""

    def counts(self, service: Service) -> str:
        """As Seen has them, of TCP."""


def play(director: Directing, case: Case) -> tuple[Seen, ...]:
    try:
        return tuple(_seen(director, case, step) for step in case.steps)
    finally:
        if any(isinstance(step.does, Action) for step in case.steps):
            director.restore()


def _seen(director: Directing, case: Case, step: Step) -> Seen:
    frames: tuple[Frame, ...] = ()
    if isinstance(step.does, Frame):
        frames = director.exchange(step.does)
    else:
        director.act(step.does.what.split())
    return Seen(frames, director.connection(case.port), director.counts(SERVICES[case.service]) if case.alone else "")


def told(state: str, left: float, port: int) -> str:
    """A connection as `Seen.connection` has it; seconds in tens, whatever time the steps before took."""
    return f"{state.upper()} {round(left / _STEP) * _STEP} to {port}"
