"""Long lines, large captures, programs that read: nothing takes for ever, and who stops reading hears nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from rich.console import Console

from tests.support.frame_cli import capture_file, frame, shown, told
from tests.support.promised import keeps
from tests.support.specimens import ETHERNET, PPP
from vipd.anatomy.dissect import Kind, Reading, bare
from vipd.cli.frame.documents import Decoded, Forwarded
from vipd.cli.frame.source import Octets, given
from vipd.cli.frame.view import show_specimen
from vipd.wire import pcap
from vipd.wire.pcap import Captured

NOISE: Final = Random(1).randbytes(40_000)
IN_FULL: Final = 100
LINES: Final = {
    "bits": ("hdlc", "--framing", "bit"),
    "bits of PPP": ("ppp", "--framing", "bit"),
    "octets": ("ppp", "--framing", "async"),
    "a burst": ("ethernet", "--framing", "bit"),
}


def decoded(*arguments: str, data: bytes = b"") -> Any:
    return json.loads(frame("decode", *arguments, "--json", data=data).stdout)


@pytest.mark.parametrize("name", LINES)
def test_of_a_long_line_a_part_is_shown_and_the_rest_in_a_line_for_each_frame(name: str) -> None:
    arguments = (*LINES[name], "--form", "binary")
    count = len(decoded(*arguments, "-", data=NOISE)["frames"])
    output = frame("decode", *arguments, "-", data=NOISE).stdout
    assert len(output) < 400_000
    tables = output.count("  octets  field") + output.count("  bits ")
    assert tables <= IN_FULL * 2
    assert f"frame {count}  " in output
    if count > IN_FULL:
        assert output.count("one line for each frame from here on; --count N shows N field by field") == 1
        assert "to the end; --all shows it" in output


@pytest.mark.parametrize(
    ("written", "octets"),
    [("7e " * 170_000, 170_000), ("ab" * 500_000, 500_000), ("0000: " + "aa " * 100_000, 100_000)],
)
def test_a_long_text_is_read_in_a_moment(tmp_path: Path, written: str, octets: int) -> None:
    """A loop over its signs took minutes: so would this test."""
    path = tmp_path / "long"
    path.write_text(written)
    with given(str(path), None, None, None) as source:
        assert isinstance(source, Octets)
        assert len(source.whole) == octets


def test_as_many_as_are_asked_for_are_shown_field_by_field(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "many.pcap", 9, [PPP["echo"]] * (IN_FULL + 20))
    fields = "at  octets"
    assert shown("decode", "ppp", path).count(fields) == IN_FULL
    assert shown("decode", "ppp", path, "--all").count(fields) == IN_FULL + 20
    assert shown("decode", "ppp", path, "--count", str(IN_FULL + 10)).count(fields) == IN_FULL + 10
    exactly = capture_file(tmp_path / "fewer.pcap", 9, [PPP["echo"]] * 3)
    assert "from here on" not in shown("decode", "ppp", exactly)


def test_all_of_a_long_line_is_shown_where_it_is_asked_for() -> None:
    line = "7e" + "7e".join(["0102030405"] * 400) + "7e"
    short, whole = (shown("decode", "hdlc", "--hex", line, "--fcs", "none", *more) for more in ((), ("--all",)))
    assert "and so on, from octet 1" in short
    assert "and so on" not in whole
    assert whole.count("flag") > short.count("flag")


@pytest.mark.parametrize(
    "arguments",
    [
        ("hdlc", "--bits", "0111111011000000111110100110110100011011101111110"),
        ("hdlc", "--bits", "01001111110001111100111"),
        ("ppp", "--hex", "7eff7d23c0217d216d7d207d243f7d357e"),
        ("ethernet", "--hex", ETHERNET["stacked"].hex()),
        ("ethernet", "--hex", "55555555555555d5"),
        *((*LINES[name], "--form", "binary", "-") for name in LINES),
    ],
)
def test_the_document_has_the_keys_that_are_promised_and_no_others(arguments: tuple[str, ...]) -> None:
    document = decoded(*arguments, data=NOISE[:2000])
    assert keeps(document, Decoded)
    for found in document["frames"]:
        assert found["line"] is None or document["lines"][found["line"]["number"]]["bits"] > 0


@pytest.mark.parametrize("arguments", [("nat",), ("dr",), ("tun",), ("dr", "--over", "p2p"), ("nat", "--over", "p2p")])
def test_the_document_of_what_is_forwarded_has_the_keys_that_are_promised(arguments: tuple[str, ...]) -> None:
    document = json.loads(frame("forward", "--method", *arguments, "--json").stdout)
    assert keeps(document, Forwarded)
    assert not keeps(document | {"more": 1}, Forwarded)


def test_frames_stand_on_a_line_each_as_soon_as_they_are_known() -> None:
    with started("decode", "ppp", "-", "--json", stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(pcap.Form().header(9))
        read = b""
        for number, octets in enumerate((PPP["echo"], PPP["ipcp"])):
            process.stdin.write(pcap.Form().record(Captured(octets, len(octets), 9)))
            process.stdin.flush()
            while octets.hex().encode() not in read:
                read += os.read(process.stdout.fileno(), 65536)
            assert read.count(b"\n") == number + 1
        process.stdin.close()
        assert len(json.loads(read + process.stdout.read())["frames"]) == 2


def test_nothing_is_an_empty_document() -> None:
    assert told("decode", "ppp", "-", data=pcap.Form().header(9)) == {"protocol": "ppp", "frames": [], "lines": []}


@contextmanager
def started(*arguments: str, stdin: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "vipd.cli.main", "frame", *arguments]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("more", [(), ("--brief",), ("--json",)])
def test_who_has_read_enough_hears_no_complaint(tmp_path: Path, more: tuple[str, ...]) -> None:
    path = capture_file(tmp_path / "many.pcap", 9, [PPP["echo"]] * 5000)
    with started("decode", "ppp", path, *more) as process:
        assert process.stdout
        assert process.stderr
        os.read(process.stdout.fileno(), 10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


@pytest.mark.parametrize("more", [(), ("--brief",), ("--json",)])
def test_whoever_presses_ctrl_c_sees_no_traceback(more: tuple[str, ...]) -> None:
    with started("decode", "ppp", "-", *more, stdin=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(pcap.Form().header(9) + pcap.Form().record(Captured(PPP["echo"], len(PPP["echo"]), 9)))
        process.stdin.flush()
        assert os.read(process.stdout.fileno(), 10)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
        assert process.wait(60) == 130


@pytest.mark.parametrize("width", [20, 60, 100])
def test_a_table_is_folded_where_the_terminal_is_narrow_and_nothing_is_lost(width: int) -> None:
    screen = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
    specimen = bare(bytes.fromhex("ff03c0210104001802060000000005062e4d1a2c"), Reading(Kind.PPP))
    show_specimen(screen, specimen, None, "frame 1", everything=False)
    assert isinstance(screen.file, StringIO)
    shown_lines = screen.file.getvalue().splitlines()
    heading, rule, *rows = shown_lines[[line.startswith("at") for line in shown_lines].index(True) :]
    meanings = [row[heading.index("meaning") :] for row in rows]
    assert len(rule) <= width
    assert ("no control character is escaped" in meanings) == (width == 100)
    assert "nocontrolcharacterisescaped" in "".join(meanings).replace(" ", "")
