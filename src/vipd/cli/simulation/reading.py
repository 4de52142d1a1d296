"""Flows from a file: a list of them as text, or a capture. Opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from vipd.config.values import printable
from vipd.errors import ConfigError, Problem, WireError
from vipd.simulation import captured, listed
from vipd.simulation.gathering import Gathering
from vipd.simulation.staging import Asked, Listeners, named
from vipd.spec.configuration import PROTOCOLS
from vipd.wire import capture
from vipd.wire.pcap import Captured


@dataclass(frozen=True, slots=True)
class Told:
    gathering: Gathering
    note: str
    "What was in the file, for people."


def read(path: Path, asked: Asked) -> Told:
    """ConfigError, with the place, where it cannot be used."""
    file = printable(str(path), 1000)
    groups, names = named(asked.endpoints, asked.director)
    gathering, unread = Gathering(groups), ""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
            is_capture = capture.is_capture(stream.peek(4)[:4])
            if is_capture:
                listeners = Listeners(asked.endpoints, [PROTOCOLS[each.transport] for each in asked.endpoints])
                found = captured.read(_frames(stream, file), gathering, listeners, asked.director.timeouts.udp)
                kinds = ", ".join(map(str, sorted(found.unread)))
                unread = f"; frames of link type {kinds} are not read" if kinds else ""
                note = f"{file}: {found.frames:,} frames, {found.ours:,} of them to the VIPs{unread}"
            else:
                listed.read(_lines(stream, file), file, gathering, names)
                note = f"{file}: {len(gathering):,} flows listed"
        except OSError as error:
            raise _mistake(file, f"cannot be read: {error.strerror}") from None
    if not len(gathering):
        what = "no packet in it goes to a service of the configuration" if is_capture else "there is no flow in it"
        raise _mistake(file, what + unread)
    return Told(gathering, note)


def _frames(stream: BinaryIO, file: str) -> Iterator[Captured]:
    try:
        yield from capture.read(stream)
    except WireError as error:
        raise _mistake(file, str(error)) from None


def _lines(stream: BufferedReader, file: str) -> Iterator[str]:
    if b"\0" in stream.peek(4096)[:4096]:
        raise _mistake(
            file, "is neither a capture (pcap, pcapng) nor text; a list has client,port,start,duration,service"
        )
    try:
        for number, line in enumerate(stream):
            yield line.decode("utf-8" if number else "utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.object[error.start]:#04x} is not UTF-8; a list of flows is plain text"
        raise _mistake(file, what) from None


def _mistake(file: str, message: str) -> ConfigError:
    return ConfigError([Problem("", message, file)])
