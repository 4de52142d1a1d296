"""What a person hands to `vipd frame`: bits, hex digits, octets, a capture; on the command line or in a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from vipd.cli.frame.choices import Form
from vipd.cli.frame.dumps import undumped
from vipd.errors import ConfigError, Problem, WireError
from vipd.wire import capture
from vipd.wire.bits import BitOrder, from_text, is_text, pack, unpack
from vipd.wire.capture import Readable
from vipd.wire.pcap import Captured

MOST: Final = 512 * 1024
"Octets that are looked at at once; captures are read frame by frame."
_MOST_WRITTEN: Final = 10 * MOST
"The same as text: its bits, and what stands between them."
_COMPRESSED: Final = {b"\x1f\x8b\x08": "gunzip", b"\xfd7zXZ\0": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
"What a compressed file begins with (RFC 1952, RFC 8878; xz's own format), and what undoes it."
_PREFIX: Final = re.compile(r"(?<![0-9a-fA-F])0[xX]|\\x")
_NO_DIGIT: Final = re.compile(r"[^0-9a-fA-F]+")
_WRONG: Final = re.compile(r"[^0-9a-fA-F\s_|.,:-]")
_BLANK_LINE: Final = re.compile(r"\n[ \t\r]*\n")


@dataclass(frozen=True, slots=True)
class Bits:
    name: str
    bits: bytes
    "An octet for each (see `wire.bits`)."

    def as_bits(self, order: BitOrder) -> bytes:  # noqa: ARG002, they are in the line's order
        return self.bits

    def as_octets(self, order: BitOrder) -> tuple[bytes, ...]:
        if len(self.bits) % 8:
            raise mistake(self.name, f"{len(self.bits)} bits are no whole number of octets")
        return (pack(self.bits, order),)


@dataclass(frozen=True, slots=True)
class Octets:
    name: str
    pieces: tuple[bytes, ...]
    "What a blank line was between."

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)

    def as_bits(self, order: BitOrder) -> bytes:
        return unpack(self.whole, order)

    def as_octets(self, order: BitOrder) -> tuple[bytes, ...]:  # noqa: ARG002, they are octets already
        return self.pieces


@dataclass(frozen=True, slots=True)
class Capture:
    name: str
    file: Readable

    def frames(self) -> Iterator[Captured]:
        with _told_of(self.name):
            yield from capture.read(self.file)


Source = Bits | Octets | Capture


def mistake(where: str, what: str) -> ConfigError:
    return ConfigError([Problem(where, what)])


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise mistake(name, str(error)) from None


@contextmanager
def given(file: str | None, bits: str | None, digits: str | None, form: Form | None) -> Iterator[Source]:
    """The one that was: a file (`-` is the standard input), or text on the command line."""
    if [file, bits, digits].count(None) != 2:
        raise mistake("", "one of FILE, --bits BITS and --hex HEX is needed")
    if form is not None and file is None:
        raise mistake("--form", "it tells what FILE holds, and there is none")
    if bits is not None:
        yield of_text("--bits", bits, Form.BITS)
    elif digits is not None:
        yield of_text("--hex", digits, Form.HEX)
    elif file is not None:
        with of_file(file, form) as source:
            yield source


@contextmanager
def of_file(path: str, form: Form | None = None) -> Iterator[Source]:
    """`-` is the standard input. Without a form it is found out."""
    if path == "-":
        assert isinstance(sys.stdin.buffer, BufferedIOBase)
        yield _of_stream("standard input", sys.stdin.buffer, form)
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise mistake(path, f"cannot be read: {error.strerror}") from None
        yield _of_stream(path, file, form)


def _of_stream(name: str, file: BufferedIOBase, form: Form | None) -> Source:
    try:
        start = file.read(4)
        if form is Form.CAPTURE or (form is None and capture.is_capture(start)):
            return Capture(name, _Live(start, file))
        start += file.read(_MOST_WRITTEN + 1 - len(start))
    except OSError as error:
        raise mistake(name, f"cannot be read: {error.strerror}") from None
    if not start:
        raise mistake(name, "it is empty")
    for magic, program in _COMPRESSED.items():
        if form is None and start.startswith(magic):
            raise mistake(name, f"it is compressed: {program} < {name} | vipd frame ... - reads it")
    if form is Form.BINARY or (form is None and not _is_text(start)):
        return _bounded(Octets(name, (start,)))
    if len(start) > _MOST_WRITTEN:
        raise _too_long(name)
    return _bounded(of_text(name, start.decode("ascii", "replace"), form))


def _bounded(source: Bits | Octets) -> Bits | Octets:
    octets = len(source.bits) // 8 if isinstance(source, Bits) else sum(map(len, source.pieces))
    if octets > MOST:
        raise _too_long(source.name)
    return source


def _too_long(name: str) -> ConfigError:
    return mistake(name, f"more than {MOST} octets, and no capture; look at a part of it: head -c {MOST}")


def octets_of_hex(option: str, text: str) -> bytes:
    """At least one, as people write them."""
    source = of_text(option, text, Form.HEX)
    assert isinstance(source, Octets)
    return source.whole


class _Live:
    """A capture that begins with what was read already, and goes on with whatever is there: it may still grow."""

    def __init__(self, start: bytes, file: BufferedIOBase) -> None:
        self._start, self._file = start, file

    def read(self, size: int, /) -> bytes:
        start, self._start = self._start, b""
        return start or self._file.read1(size)


def _is_text(octets: bytes) -> bool:
    return all(32 <= octet < 127 or octet in b"\t\r\n" for octet in octets)


def of_text(name: str, text: str, form: Form | None) -> Bits | Octets:
    # Comments become spaces, so that offsets stay what they are in the file; and so do a dump's columns
    # of offsets and characters.
    text = re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), text)
    with _told_of(name):
        text = text if form is Form.BITS else undumped(text)
        if form is Form.BITS or (form is None and is_text(text)):
            found = from_text(text)
            if not found:
                raise WireError("there is not one bit in it")
            return Bits(name, found)
        pieces = tuple(piece for piece in _hex_pieces(text) if piece)
        if not pieces:
            raise WireError("there is not one octet in it")
        return Octets(name, pieces)


def _hex_pieces(text: str) -> Iterator[bytes]:
    """What stands between blank lines; any number of digits at a time, for there may be millions."""
    text = _PREFIX.sub("  ", text)
    wrong = _WRONG.search(text)
    if wrong is not None:
        raise WireError(
            f"{wrong[0]!r} at offset {wrong.start()} is no hex digit;"
            " two of them make an octet, with spaces, line ends or _|.,:- between if you like"
        )
    ends = [(found.start(), found.end()) for found in _BLANK_LINE.finditer(text)]
    starts = [0, *(after for _, after in ends)]
    for start, end in zip(starts, [*(before for before, _ in ends), len(text)], strict=True):
        piece = text[start:end]
        digits = _NO_DIGIT.sub("", piece)
        if len(digits) % 2:
            last = start + piece.rfind(digits[-1])
            raise WireError(f"the octet at offset {last} has one hex digit; two make an octet")
        yield bytes.fromhex(digits)
