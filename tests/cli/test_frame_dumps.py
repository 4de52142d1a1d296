"""Dumps as other programs print them: their octets are read, their columns of offsets and characters are not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from tests.support.frame_cli import refused, told
from vipd.cli.frame.choices import Form
from vipd.cli.frame.source import Octets, of_text

TOOLS = {
    "hexdump": ["hexdump", "-Cv"],
    "od": ["od", "-Ax", "-tx1", "-v"],
    "od with characters": ["od", "-Ax", "-tx1z", "-v"],
    "xxd": ["xxd"],
    "xxd by single octets": ["xxd", "-g1"],
    "xxd plain": ["xxd", "-p"],
}


def read(text: str) -> bytes:
    source = of_text("a dump", text, Form.HEX)
    assert isinstance(source, Octets)
    return source.whole


def wireshark(octets: bytes) -> str:
    """As it copies a packet's bytes."""
    rows = [octets[at : at + 16] for at in range(0, len(octets), 16)]
    shown = ["".join(chr(each) if 32 <= each < 127 else "." for each in row) for row in rows]
    return "\n".join(f"{16 * n:04x}   {row.hex(' '):<47}   {shown[n]}" for n, row in enumerate(rows))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 15, 16, 17, 33, 300])
@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_tool_prints_is_read(tmp_path: Path, tool: str, size: int) -> None:
    octets = Random(size).randbytes(size)
    path = tmp_path / "octets"
    path.write_bytes(octets)
    dump = subprocess.run([*TOOLS[tool], str(path)], capture_output=True, check=True, text=True).stdout
    assert read(dump) == octets
    assert read(dump.replace("\n", "\r\n")) == octets


@given_any(st.binary(min_size=1, max_size=100) | st.text("abcdef 0123456789", min_size=1).map(str.encode))
def test_what_wireshark_copies_is_read(octets: bytes) -> None:
    assert read(wireshark(octets)) == octets


def test_several_packets_are_several_frames() -> None:
    packets = [bytes(range(40)), b"\x7e" * 3, bytes(16)]
    source = of_text("a dump", "\n\n".join(map(wireshark, packets)), None)
    assert isinstance(source, Octets)
    assert source.pieces == tuple(packets)


@pytest.mark.parametrize(
    "text",
    [
        "0000 7eff",
        "0000 01 02",
        "0000  01 02 03",
        "0001  01 02\n0003  04 05",
        "0000 01 02\n0008 03 04",
        "0000 0102 0304\n0004 0506 0708",
        "deadbeef 00 01\ndeadbeff 02 03",
        "00000000 11\n00001111 00",
    ],
)
def test_octets_that_look_a_little_like_a_dump_are_octets(text: str) -> None:
    assert read(text) == bytes.fromhex("".join(text.split()))


def test_rows_that_were_left_out_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "octets").write_bytes(bytes(100))
    dump = subprocess.run(["hexdump", "-C", str(tmp_path / "octets")], capture_output=True, check=True).stdout
    assert "'*' at offset 79 stands for rows that are left out; hexdump -v shows them" in refused(
        "decode", "ppp", "-", data=dump
    )


def test_a_mistake_in_a_dump_is_told_by_its_place_in_the_file() -> None:
    dump = wireshark(bytes(20)).replace("00 00   ..", "00 0g   ..")
    assert f"'g' at offset {dump.index('g')} is no hex digit" in refused("decode", "ppp", "-", data=dump.encode())


def test_a_dumped_frame_is_taken_apart() -> None:
    frame = bytes.fromhex("ff03c021 09 01 0008 deadbeef")
    [found] = told("decode", "ppp", "-", data=f"# from somewhere\n{wireshark(frame)}\n".encode())["frames"]
    assert found["octets"] == frame.hex()
