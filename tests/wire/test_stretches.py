"""Every bit and octet of a line has its part, and the data among them is what the deframers give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipd.wire import bits
from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import FLAG, BitDeframer, frame_bits
from vipd.wire.ethernet_line import EthernetFramer
from vipd.wire.fcs import NO_FCS
from vipd.wire.stretches import Part, Stretch, of_bits, of_burst, of_octets

BITS = st.lists(
    st.one_of(
        st.integers(0, 20).map(lambda ones: b"\0" + b"\1" * ones),
        st.just(FLAG),
        st.binary(min_size=1, max_size=8).map(lambda frame: FLAG + frame_bits(frame)),
        st.lists(st.integers(0, 1), max_size=20).map(bytes),
    ),
    max_size=12,
).map(b"".join)
OCTETS = st.lists(
    st.one_of(
        st.binary(max_size=8), st.sampled_from((b"\x7e", b"\x7d", b"\x11")), st.just(AsyncFramer().encode(b"~}"))
    ),
    max_size=12,
).map(b"".join)


def parts(line: bytes, stretches: list[Stretch]) -> list[tuple[str, str]]:
    return [(stretch.part, bits.to_text(line[stretch.start : stretch.end])) for stretch in stretches]


def test_the_stuffed_bit_of_a_line_is_found_among_flag_and_data() -> None:
    line = bits.from_text("01001111110001111100111")
    assert parts(line, of_bits(line)) == [
        ("ignored", "010"),
        ("flag", "01111110"),
        ("data", "0011111"),
        ("stuffed", "0"),
        ("data", "0111"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0111111001111110", [("flag", "01111110"), ("flag", "01111110")]),
        ("011111101111110", [("flag", "01111110"), ("flag", "1111110")]),
        ("01111110 00 1111111 0", [("flag", "01111110"), ("data", "00"), ("abort", "1111111"), ("ignored", "0")]),
        ("1" * 15 + "0111111", [("idle", "1" * 15), ("ignored", "0111111")]),
        ("1111110", [("ignored", "1111110")]),
        ("0" + "1" * 14 + "0", [("ignored", "0"), ("abort", "1" * 14), ("ignored", "0")]),
        # The stuffed 0 is the flag's too: nobody sends that.
        ("01111110 11111 01111110", [("flag", "01111110"), ("data", "11111"), ("flag", "01111110")]),
        ("01111110 11111", [("flag", "01111110"), ("data", "11111")]),
        ("", []),
    ],
)
def test_bits_have_their_parts(text: str, expected: list[tuple[str, str]]) -> None:
    line = bits.from_text(text)
    assert parts(line, of_bits(line)) == expected


@given(BITS)
def test_the_data_between_two_flags_is_the_frame_between_them(line: bytes) -> None:
    stretches = of_bits(line)
    assert [stretch.start for stretch in stretches[1:]] == [stretch.end for stretch in stretches[:-1]]
    assert b"".join(line[stretch.start : stretch.end] for stretch in stretches) == line
    frames: list[bytes] = []
    frame: bytes | None = None
    for stretch in stretches:
        match stretch.part:
            case Part.FLAG:
                frames.append(frame or b"")
                frame = b""
            case Part.DATA if frame is not None:
                frame += line[stretch.start : stretch.end]
            case Part.ABORT | Part.IDLE:
                frame = None
    deframer = BitDeframer(NO_FCS)
    whole = [found for found in deframer.feed_bits(line) if isinstance(found, bytes)]
    assert whole == [bits.pack(frame) for frame in frames if frame and len(frame) % 8 == 0]


def test_octets_have_their_parts() -> None:
    line = bytes.fromhex("ff 7e 0102 11 7d 5e 7d 7e 7e")
    assert [
        (stretch.part.value, line[stretch.start : stretch.end].hex()) for stretch in of_octets(line, 1 << 0x11)
    ] == [
        ("ignored", "ff"),
        ("flag", "7e"),
        ("data", "0102"),
        ("dropped", "11"),
        ("escape", "7d"),
        ("escaped", "5e"),
        ("abort", "7d"),
        ("flag", "7e"),
        ("flag", "7e"),
    ]


@pytest.mark.parametrize("before", ["", "0", "01100", "1"])
def test_a_burst_has_preamble_delimiter_and_frame(before: str) -> None:
    burst = EthernetFramer().encode(b"\xc3" * 60)
    line = bits.from_text(before) + bits.unpack(burst) + bits.from_text("110")
    found = [(stretch.part, stretch.end - stretch.start) for stretch in of_burst(line, aligned=not before)]
    # A 0 before the preamble is one of its bits.
    preamble = 56 + (before[-1:] == "0")
    ignored = [(Part.IGNORED, len(before) + 56 - preamble)] if len(before) + 56 > preamble else []
    expected = [(Part.PREAMBLE, preamble), (Part.DELIMITER, 8), (Part.DATA, 8 * 64), (Part.IGNORED, 3)]
    assert found == ignored + expected


@pytest.mark.parametrize("aligned", [True, False])
def test_a_burst_without_a_delimiter_means_nothing(aligned: bool) -> None:
    line = bits.unpack(b"\x55" * 20)
    assert of_burst(line, aligned) == [Stretch(Part.IGNORED, 0, 160)]
    assert of_burst(b"", aligned) == []


@given(OCTETS, st.sampled_from((0, ALL_CONTROLS)))
def test_the_octets_between_two_flags_are_the_frame_between_them(line: bytes, accm: int) -> None:
    stretches = of_octets(line, accm)
    assert b"".join(line[stretch.start : stretch.end] for stretch in stretches) == line
    frames: list[bytes] = []
    frame: bytes | None = None
    for stretch in stretches:
        taken = line[stretch.start : stretch.end]
        match stretch.part:
            case Part.FLAG:
                frames.append(frame or b"")
                frame = b""
            case Part.DATA if frame is not None:
                frame += taken
            case Part.ESCAPED if frame is not None:
                frame += bytes((taken[0] ^ 0x20,))
            case Part.ABORT:
                frame = None
    whole = [found for found in AsyncDeframer(NO_FCS, accm=accm).feed(line) if isinstance(found, bytes)]
    assert whole == [frame for frame in frames if frame]
