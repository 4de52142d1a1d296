"""A capture through a director that a configuration makes up, and where the result goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from vipd import plot
from vipd.cli.frame.choices import Form
from vipd.cli.frame.source import Capture, of_file
from vipd.cli.imagining import imagine, require_file
from vipd.cli.replay_picture import draw
from vipd.cli.replay_view import as_json, show
from vipd.errors import ConfigError
from vipd.explain.ends import refused
from vipd.explain.question import interface_of
from vipd.explain.replay import Beside, Replay
from vipd.explain.scene import Scene
from vipd.explain.walk import framed
from vipd.model.instance import Instance
from vipd.wire import pcap
from vipd.wire.pcap import Captured, LinkType

_TOLD_EVERY: Final = 0.5
"Seconds between two signs of life on a terminal."


@dataclass(frozen=True, slots=True)
class Wanted:
    instance: Instance
    file: str
    config: Path | None
    live: bool
    out: Path | None
    picture: Path | None
    secret: Path | None
    mtu: int
    interface: str | None
    keep_macs: bool
    as_json: bool


def replay_to(wanted: Wanted) -> None:
    if wanted.picture is not None:
        plot.require(wanted.picture)
    if wanted.config is None:
        require_file(wanted.secret, wanted.mtu)
    with ExitStack() as stack:
        made = _director(wanted, stack)
        source = stack.enter_context(of_file(wanted.file, Form.CAPTURE))
        assert isinstance(source, Capture)
        sent = _Sent(made, source)
        if wanted.out is None:
            for _ in sent.frames():
                pass
        else:
            _write(wanted.out, wanted.file, sent)
        _tell(made, wanted, sent)
    if sent.interrupted:
        raise typer.Exit(130)
    if sent.damaged is not None:
        raise sent.damaged
    if made.disagreements:
        raise typer.Exit(1)


def _director(wanted: Wanted, stack: ExitStack) -> Replay:
    if wanted.config is not None:
        made = imagine(wanted.config, wanted.secret, wanted.mtu)
        if not wanted.live:
            return _begun(wanted, made.scene())
        return _begun(wanted, *stack.enter_context(made.live()))
    from vipd.cli.source import service_names
    from vipd.rehearsal.live import live
    from vipd.rehearsal.running import require_privileges, running

    require_privileges()
    found = stack.enter_context(running(wanted.instance, service_names(wanted.instance)))
    beside = stack.enter_context(live(found, remembering=False)) if wanted.live else None
    return _begun(wanted, found.scene, beside)


def _begun(wanted: Wanted, scene: Scene, beside: Beside | None = None) -> Replay:
    if not scene.configuration.interfaces:
        raise refused("", "the director looks at no interface: no packet comes in")
    interface = interface_of("--interface", wanted.interface, scene) if wanted.interface else None
    return Replay(scene, interface, wanted.keep_macs, beside)


class _Sent:
    """What comes out, frame by frame; it ends early at Ctrl-C, and where the capture is damaged."""

    def __init__(self, made: Replay, source: Capture) -> None:
        self._made, self._source = made, source
        self.count = 0
        self.interrupted = False
        self.damaged: ConfigError | None = None

    def frames(self) -> Iterator[Captured]:
        alive = sys.stderr.isatty()
        told = time.monotonic()
        try:
            for frame in self._source.frames():
                done = self._made.put(frame)
                if done is not None and (sent := framed(done)):
                    self.count += 1
                    yield Captured(sent, len(sent), LinkType.ETHERNET, frame.time_ns)
                if alive and time.monotonic() - told > _TOLD_EVERY:
                    told = time.monotonic()
                    print(f"\r{self._made.frames:,} frames", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            self.interrupted = True
        except ConfigError as error:
            if not self._made.frames:
                raise
            self.damaged = error
        finally:
            if alive:
                print("\r\033[K", end="", file=sys.stderr, flush=True)


def _write(out: Path, source: str, sent: _Sent) -> None:
    if source != "-" and out.exists() and out.samefile(source):
        raise refused("--out", f"{out} is the capture that is read")
    try:
        with out.open("wb") as file:
            pcap.write(file, LinkType.ETHERNET, sent.frames())
    except OSError as error:
        raise refused("--out", f"{out}: cannot be written: {error.strerror}") from None


def _tell(made: Replay, wanted: Wanted, sent: _Sent) -> None:
    origin = str(wanted.config) if wanted.config else f"instance {wanted.instance.name}"
    if wanted.as_json:
        print(as_json(made, wanted.file, origin, sent.count))
    else:
        show(made, sent.count, sent.interrupted)
    if wanted.picture is None:
        return
    try:
        draw(made, wanted.picture)
    except OSError as error:
        raise refused("--picture", f"{wanted.picture}: cannot be written: {error.strerror}") from None
