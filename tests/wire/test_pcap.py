"""Capture files against scapy, tshark, mergecap and tcpdump; cut, truncated and damaged ones."""

from __future__ import annotations

import subprocess
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import PcapNgReader, PcapReader, PcapWriter

from vipd.errors import WireError
from vipd.wire import capture, pcap
from vipd.wire.capture import CaptureReader
from vipd.wire.pcap import Captured, Form, LinkType

ARP = bytes.fromhex("ffffffffffff020000000001080600010800060400010200000000010a0000010000000000000a000002")
LCP = bytes.fromhex("ff03c0210901000851237fb7")
FORMS = [Form(order, exact) for order in ("little", "big") for exact in (True, False)]
TIMES = st.integers(0, pcap.MAX_SECONDS * 10**9)
FRAMES = st.builds(
    lambda data, more, time_ns: Captured(data, len(data) + more, LinkType.PPP, time_ns),
    st.binary(max_size=200),
    st.integers(0, 2000),
    TIMES,
)


def written(form: Form, frames: list[Captured], link_type: int = LinkType.PPP, fcs: int | None = None) -> bytes:
    file = BytesIO()
    pcap.write(file, link_type, frames, form, fcs)
    return file.getvalue()


def read(octets: bytes) -> list[Captured]:
    return list(capture.read(BytesIO(octets)))


def read_until_fault(octets: bytes) -> tuple[list[Captured], str]:
    frames: list[Captured] = []
    try:
        frames.extend(capture.read(BytesIO(octets)))
    except WireError as error:
        return frames, str(error)
    return frames, ""


def run(*command: str, data: bytes = b"") -> str:
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout.decode()


@pytest.mark.parametrize("form", FORMS, ids=repr)
@given(frames=st.lists(FRAMES, max_size=5))
def test_what_is_written_is_read_again(form: Form, frames: list[Captured]) -> None:
    unit = 1 if form.nanoseconds else 1000
    expected = [Captured(f.data, f.length, f.link_type, f.time_ns // unit * unit) for f in frames]
    assert read(written(form, frames)) == expected


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_scapy_reads_what_we_write(form: Form) -> None:
    frames = [Captured(LCP, len(LCP), 9, 1_700_000_000_123_456_789), Captured(LCP[:4], len(LCP), 9)]
    reader = PcapReader(BytesIO(written(form, frames)))
    assert (reader.linktype, reader.nano) == (9, form.nanoseconds)
    packets = [(bytes(packet), packet.wirelen, packet.time) for packet in reader]
    assert [(data, length) for data, length, _ in packets] == [(LCP, 12), (LCP[:4], 12)]
    assert int(packets[0][2] * 10**9) == (1_700_000_000_123_456_789 if form.nanoseconds else 1_700_000_000_123_456_000)


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("exact", [True, False])
def test_we_read_what_scapy_writes(tmp_path: Path, endianness: Literal["<", ">"], exact: bool) -> None:
    path = tmp_path / "scapy.pcap"
    with PcapWriter(str(path), linktype=104, nano=exact, endianness=endianness, snaplen=1500) as writer:
        writer.write_header(None)
        writer.write_packet(LCP, sec=7, usec=21_000 if exact else 21, wirelen=60)
        writer.write_packet(ARP, sec=8, usec=0)
    assert read(path.read_bytes()) == [
        Captured(LCP, 60, LinkType.CISCO_HDLC, 7_000_021_000),
        Captured(ARP, len(ARP), LinkType.CISCO_HDLC, 8_000_000_000),
    ]


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_tcpdump_and_tshark_read_what_we_write(tmp_path: Path, form: Form) -> None:
    path = tmp_path / "arp.pcap"
    path.write_bytes(written(form, [Captured(ARP, len(ARP), 1, 5_000_001_000)] * 2, LinkType.ETHERNET))
    lines = run("tcpdump", "-nn", "-tt", "-r", str(path)).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("5.000001")
    assert "who-has 10.0.0.2" in lines[0]
    fields = ("frame.time_epoch", "frame.cap_len", "frame.len", "arp.dst.proto_ipv4")
    shown = run("tshark", "-r", str(path), "-T", "fields", *(part for name in fields for part in ("-e", name)))
    assert shown.splitlines() == ["5.000001000\t42\t42\t10.0.0.2"] * 2


def test_an_fcs_that_the_file_tells_of_is_told(tmp_path: Path) -> None:
    octets = written(Form(), [Captured(ARP + bytes(18 + 4), 64, 1)], LinkType.ETHERNET, fcs=4)
    assert [(frame.fcs_octets, frame.link_type) for frame in read(octets)] == [(4, LinkType.ETHERNET)]
    assert read(written(Form(), [Captured(ARP, 42, 1)], LinkType.ETHERNET))[0].fcs_octets is None
    path = tmp_path / "fcs.pcap"
    path.write_bytes(octets)
    assert run("tshark", "-r", str(path), "-o", "eth.check_fcs:TRUE", "-T", "fields", "-e", "eth.fcs") == "0x00000000\n"


@pytest.mark.parametrize("exact", [True, False])
def test_we_read_what_mergecap_writes_as_pcapng(tmp_path: Path, exact: bool) -> None:
    first, second = tmp_path / "one.pcap", tmp_path / "two.pcap"
    first.write_bytes(written(Form(nanoseconds=exact), [Captured(ARP, 60, 1, 1_700_000_000_000_001_000)], 1))
    second.write_bytes(written(Form(nanoseconds=exact), [Captured(LCP, 12, 9, 1_700_000_001_000_002_000)], 9))
    both = tmp_path / "both.pcapng"
    run("mergecap", "-F", "pcapng", "-w", str(both), str(first), str(second))
    assert read(both.read_bytes()) == [
        Captured(ARP, 60, LinkType.ETHERNET, 1_700_000_000_000_001_000),
        Captured(LCP, 12, LinkType.PPP, 1_700_000_001_000_002_000),
    ]


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    total = len(body) + 12
    return pack(order + "II", kind, total) + body + pack(order + "I", total)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, snaplen: int = 0, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, pack(order + "HHI", link_type, 0, snaplen) + options, order)


def enhanced(number: int, time: int, data: bytes, length: int, order: str = "<") -> bytes:
    head = pack(order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), length)
    return block(6, head + data + bytes(-len(data) % 4), order)


def simple(data: bytes, length: int, order: str = "<") -> bytes:
    return block(3, pack(order + "I", length) + data + bytes(-len(data) % 4), order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_block_of_pcapng_that_brings_a_frame(order: str) -> None:
    exact = option(9, b"\x09", order) + option(13, b"\x02", order) + option(14, pack(order + "q", 100), order)
    file = (
        section(order)
        + interface(50, 4, option(2, b"line", order) + option(0, b"", order), order)
        + interface(1, 0, exact, order)
        + interface(104, 0, option(9, bytes([0x80 | 10]), order), order)
        + block(5, bytes(12), order)
        + enhanced(0, 3_000_001, LCP[:5], 12, order)
        + enhanced(1, 7, ARP, 42, order)
        + enhanced(2, 1536, LCP, 12, order)
        + simple(LCP[:4], 12, order)
    )
    assert read(file) == [
        Captured(LCP[:5], 12, 50, 3_000_001_000),
        Captured(ARP, 42, 1, 100_000_000_007, 2),
        Captured(LCP, 12, 104, 1_500_000_000),
        Captured(LCP[:4], 12, 50),
    ]
    seen = [(bytes(packet)[:4], packet.wirelen) for packet in PcapNgReader(BytesIO(file))]
    assert seen[:3] == [(LCP[:4], 12), (ARP[:4], 42), (LCP[:4], 12)]


def test_a_new_section_forgets_the_interfaces_and_may_turn_the_byte_order() -> None:
    first = section() + interface(9) + enhanced(0, 1, LCP, 12)
    second = section(">") + interface(1, order=">") + enhanced(0, 1, ARP, 42, ">")
    assert [frame.link_type for frame in read(first + second)] == [9, 1]
    assert read_until_fault(first + section() + enhanced(0, 1, ARP, 42))[1] == (
        "pcapng block at offset 120: interface 0 of 0"
    )


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "it is empty"),
        (b"\xd4\xc3", "4 octets expected at offset 0, 2 left"),
        (b"GIF89a", "begins with 47 49 46 38"),
        (Form().header(1)[:20], "20 octets expected at offset 4, 16 left"),
        (Form().magic + pack("<HHiIII", 2, 3, 0, 0, 0, 1), "pcap version 2.3 at offset 4"),
        (Form().header(1) + pack("<IIII", 0, 0, 262_145, 1), "record at offset 24: 262145 octets captured"),
        (Form().header(1) + pack("<IIII", 0, 0, 2**32 - 1, 1), "record at offset 24: 4294967295 octets captured"),
        (Form().header(1) + pack("<IIII", 0, 0, 3, 3) + b"ab", "3 octets expected at offset 40, 2 left"),
        (Form().header(1) + b"abc", "16 octets expected at offset 24, 3 left"),
        (section()[:8] + bytes(20), "section at offset 0: no byte-order mark at offset 8"),
        (block(0x0A0D0D0A, pack("<I", 0x1A2B3C4D)), "section at offset 0: a length of 16, at least 28"),
        (block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 2, 0, -1)), "pcapng version 2 at offset 12"),
        (section() + pack("<II", 1, 11), "block at offset 28: a length of 11"),
        (section() + pack("<II", 1, 14), "block at offset 28: a length of 14"),
        (section() + pack("<II", 5, 2**32 - 4), "block at offset 28: a length of 4294967292"),
        (section() + block(5, bytes(4))[:-4] + pack("<I", 20), "its length is 16 before it and 20 behind it"),
        (section() + block(1, bytes(6) + b"  "), ""),
        (section() + block(1, bytes(4)), "block at offset 28: 4 octets expected at offset 40, 0 left"),
        (section() + interface(1, 0, pack("<HH", 2, 9)), "9 octets expected at offset 48, 0 left"),
        (section() + block(3, pack("<I", 4)), "block at offset 28: interface 0 of 0"),
        (section() + interface(1) + simple(b"", 4), "4 octets expected at offset 60, 0 left"),
        (section() + interface(1) + enhanced(1, 0, b"", 0), "block at offset 48: interface 1 of 1"),
        (section() + interface(1) + block(6, pack("<IIIII", 0, 0, 0, 2**20, 0)), "1048576 octets captured"),
    ],
)
def test_a_damaged_file_is_refused_where_it_is_damaged(octets: bytes, message: str) -> None:
    frames, fault = read_until_fault(octets)
    assert frames == []
    assert message in fault
    assert bool(message) == bool(fault)


def test_frames_before_the_damage_are_read_and_nothing_behind_it() -> None:
    good = written(Form(), [Captured(LCP, 12, 9)] * 2)
    reader = CaptureReader()
    frames = reader.feed(good + pack("<IIII", 0, 0, 2**31, 0) + good)
    assert [next(frames).data, next(frames).data] == [LCP, LCP]
    with pytest.raises(WireError, match="at offset 80"):
        next(frames)
    with pytest.raises(WireError, match="behind the fault"):
        next(reader.feed(good))


SAMPLES = [
    written(Form("big"), [Captured(LCP, 12, 9, 5), Captured(b"", 4, 9), Captured(ARP, 42, 9)]),
    section() + interface(9) + enhanced(0, 1, LCP, 12) + block(4, bytes(8)) + enhanced(0, 2, ARP, 42),
]


@pytest.mark.parametrize("octets", SAMPLES, ids=["pcap", "pcapng"])
@given(data=st.data())
def test_the_cuts_make_no_difference(octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    reader = CaptureReader()
    frames = [frame for a, b in pairwise([0, *cuts, len(octets)]) for frame in reader.feed(octets[a:b])]
    reader.end()
    assert frames == read(octets)


@pytest.mark.parametrize("octets", SAMPLES, ids=["pcap", "pcapng"])
def test_no_frame_is_lost_or_doubled_by_who_stops_in_between(octets: bytes) -> None:
    reader = CaptureReader()
    reader.feed(octets[:20])
    first = next(reader.feed(octets[20:]))
    assert [first, *reader.feed(b"")] == read(octets)


@pytest.mark.parametrize("octets", SAMPLES, ids=["pcap", "pcapng"])
def test_every_cut_end_is_told_unless_a_record_ends_there(octets: bytes) -> None:
    whole = read(octets)
    for size in range(len(octets)):
        frames, fault = read_until_fault(octets[:size])
        assert frames == whole[: len(frames)]
        boundary = size in {24, 52, 68} if octets is SAMPLES[0] else size in {28, 48, 92, 112}
        assert bool(fault) != boundary, size


@given(st.sampled_from([b"", Form().magic, Form("big").header(1), section(), section(">")]), st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_a_wire_error(start: bytes, rest: bytes) -> None:
    read_until_fault(start + rest)


def test_a_file_of_nothing_but_interfaces_ends() -> None:
    many = interface(1) * 65_536
    assert read(section() + many) == []
    assert "more than 65536 interfaces" in read_until_fault(section() + many + interface(1))[1]


def test_what_no_file_can_tell_is_refused() -> None:
    with pytest.raises(WireError, match="link type 65536"):
        Form().header(65_536)
    with pytest.raises(WireError, match="FCS of 3 octets"):
        Form().header(1, fcs_octets=3)
    for time_ns in (-1, 2**32 * 10**9):
        with pytest.raises(WireError, match="does not fit"):
            Form().record(Captured(b"", 0, 1, time_ns))


def test_a_frame_longer_than_any_capture_is_cut_off_and_its_length_kept() -> None:
    long = bytes(pcap.MAX_SNAPLEN + 1)
    (frame,) = read(written(Form(), [Captured(long, len(long), 1)], 1))
    assert (len(frame.data), frame.length) == (pcap.MAX_SNAPLEN, pcap.MAX_SNAPLEN + 1)


def test_a_capture_file_is_known_by_its_first_octets() -> None:
    assert all(capture.is_capture(octets) for octets in (*SAMPLES, *(form.magic for form in FORMS)))
    assert not any(capture.is_capture(octets) for octets in (b"", b"\xd4", b"0101", LCP))
