"""Capture files that vipd writes are read by vipd, tshark and scapy alike: frames, times, interfaces, comments."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import rdpcap

from vipd.wire.capture import read
from vipd.wire.pcap import Captured, LinkType
from vipd.wire.pcapng_out import Writer

ARP: Final = bytes.fromhex("ffffffffffff0200000000010806000108000604000102000000000100000000000000000000ac100001")
PACKET: Final = bytes.fromhex("4500001c000000004011f9cfac100001ac10000200350035000800ff")
TIME: Final = 1_764_105_243_123_456_789
FRAMES: Final = (
    ("eth0", Captured(ARP, len(ARP), LinkType.ETHERNET, TIME), "vipd: pass_not_ip"),
    ("tun0", Captured(PACKET, len(PACKET), LinkType.RAW_IP, TIME + 1), "vipd: für 你"),
    ("eth0", Captured(ARP[:14], 9000, LinkType.ETHERNET, TIME + 2), ""),
)


def written() -> bytes:
    writer = Writer("vipd trace")
    return writer.header() + b"".join(writer.packet(*each) for each in FRAMES)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "out.pcapng"
    path.write_bytes(written())
    return path


def test_what_is_written_is_read_again() -> None:
    assert list(read(io.BytesIO(written()))) == [frame for _, frame, _ in FRAMES]


def test_tshark_reads_interfaces_times_and_comments(file: Path) -> None:
    fields = ("frame.interface_name", "frame.time_epoch", "frame.cap_len", "frame.len", "frame.comment")
    options = [word for name in fields for word in ("-e", name)]
    shown = subprocess.run(
        ["tshark", "-r", str(file), "-T", "fields", *options], capture_output=True, text=True, check=True
    )
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    assert rows == [
        ["eth0", "1764105243.123456789", str(len(ARP)), str(len(ARP)), "vipd: pass_not_ip"],
        ["tun0", "1764105243.123456790", str(len(PACKET)), str(len(PACKET)), "vipd: für 你"],
        ["eth0", "1764105243.123456791", "14", "9000", ""],
    ]


def test_scapy_reads_the_frames(file: Path) -> None:
    assert [bytes(packet) for packet in rdpcap(str(file))] == [frame.data for _, frame, _ in FRAMES]


@given(st.binary(max_size=70), st.integers(0, 2**63 - 1), st.text(max_size=9))
def test_any_frame_survives(data: bytes, time_ns: int, comment: str) -> None:
    frame = Captured(data, len(data) + 5, LinkType.ETHERNET, time_ns)
    writer = Writer("")
    assert list(read(io.BytesIO(writer.header() + writer.packet("", frame, comment)))) == [frame]


def test_a_comment_that_is_too_long_is_cut() -> None:
    frame = Captured(ARP, len(ARP), LinkType.ETHERNET)
    writer = Writer("")
    assert list(read(io.BytesIO(writer.header() + writer.packet("", frame, "x" * 70_000)))) == [frame]
