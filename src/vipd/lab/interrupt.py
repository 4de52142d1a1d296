"""Ctrl-C, SIGTERM and a closed terminal: one exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vipd.dataplane.shield import handled


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Each of the signals raises KeyboardInterrupt, so that `finally` tidies up after all of them."""
    with handled(_interrupt):
        yield
