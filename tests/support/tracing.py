"""`vipd trace` as a process of its own: started, tracing, ended by Ctrl-C, and what it said."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

VIPD: Final = (sys.executable, "-m", "vipd.cli.main")
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ending:
    status: int
    out: str
    err: str

    @property
    def told(self) -> list[dict[str, Any]]:
        """Of --json."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def packets(self) -> list[dict[str, Any]]:
        return [each for each in self.told if each["type"] == "packet"]

    @property
    def summary(self) -> dict[str, Any]:
        return self.told[-1]


class Reader:
    """All lines of a stream, as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            self._lines.put(line)
        self._lines.put(None)

    def close(self) -> None:
        """Once the process has ended."""
        self._thread.join(PATIENCE)
        self._stream.close()

    def until(self, text: str) -> str:
        """The line with this text in it."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self._seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {''.join(self._seen)}")

    def rest(self) -> str:
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self._seen.append(line)
        return "".join(self._seen)


class Trace:
    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TZ": "UTC"}
        )
        assert self.process.stdout
        assert self.process.stderr
        self.out, self.err = Reader(self.process.stdout), Reader(self.process.stderr)

    def end(self, number: signal.Signals | None = signal.SIGINT) -> Ending:
        """By Ctrl-C; None: it ends by itself."""
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        return Ending(status, self.out.rest(), self.err.rest())


@contextmanager
def trace(instance: str, *options: str, before: Sequence[str] = ()) -> Iterator[Trace]:
    """From when it traces; `before` is what runs it, such as nsenter."""
    made = Trace([*before, *VIPD, "--instance", instance, "trace", *options])
    try:
        made.err.until("tracing instance")
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()
        made.out.close()
        made.err.close()
