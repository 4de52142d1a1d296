"""Where no signal may act: what comes meanwhile is kept, and acts at the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def shielded() -> Iterator[None]:
    """From Ctrl-C, SIGTERM and a closed terminal. No mask: children would inherit it."""
    kept: list[int] = []

    def keep(number: int, _: FrameType | None) -> None:
        kept.append(number)

    with handled(keep):
        yield
    if kept:
        signal.raise_signal(kept[0])


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    """Each of the three, by this one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    before = {number: signal.signal(number, handler) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
