"""What stands on a line, bit for bit, is what the deframers say; the issue's own example; hostile lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.specimens import ETHERNET, PPP
from vipd.anatomy.dissect import Kind, Reading, Specimen, on_line
from vipd.anatomy.field import find, leaves
from vipd.anatomy.line import Line, async_line, bit_line, ethernet_burst
from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import BitDeframer, frame_bits
from vipd.wire.bits import BitOrder, from_text, pack, to_text, unpack
from vipd.wire.deframer import Fault, FrameError
from vipd.wire.ethernet_line import PREAMBLE, SFD, EthernetDeframer, EthernetFramer
from vipd.wire.fcs import FCS16, FCS32
from vipd.wire.stretches import Part

FLAG = "01111110"
LONG = 1 << 20
PIECES = st.sampled_from([FLAG, "0", "1", "11111", "111111", "1111111", "1" * 15, "1" * 40, "1111110", "010"])
FRAMES = st.binary(min_size=2, max_size=12).map(lambda octets: to_text(frame_bits(octets)))
BITS = st.lists(st.one_of(PIECES, FRAMES, st.text("01", max_size=20)), max_size=12).map("".join).map(from_text)
OCTETS = st.lists(
    st.one_of(
        st.sampled_from([b"\x7e", b"\x7d", b"\x7d\x5e", b"\x11", b"\x7d\x11", b"\x7e\x7e"]),
        st.binary(max_size=10),
        st.binary(min_size=2, max_size=10).map(AsyncFramer().encode),
    ),
    max_size=10,
).map(b"".join)


def covered(line: Line) -> bool:
    at = 0
    for stretch in line.stretches:
        if stretch.start != at or stretch.end <= at:
            return False
        at = stretch.end
    return at == len(line.bits)


def outcomes(specimens: Iterator[Specimen]) -> list[bytes | Fault]:
    """Of those that a deframer would tell of by now."""
    told = [each for each in specimens if each.complete]
    return [each.fault or each.octets[: len(each.octets) - each.check.size] for each in told]


def expected(results: Iterator[bytes | FrameError]) -> list[bytes | Fault]:
    return [each.fault if isinstance(each, FrameError) else each for each in results]


def test_the_example_that_everybody_begins_with() -> None:
    line = bit_line(from_text("01001111110001111100111"))
    assert [(each.part, to_text(line.bits[each.start : each.end])) for each in line.stretches] == [
        (Part.IGNORED, "010"),
        (Part.FLAG, FLAG),
        (Part.DATA, "0011111"),
        (Part.STUFFED, "0"),
        (Part.DATA, "0111"),
    ]
    [specimen] = on_line(line, Reading(Kind.HDLC))
    address = find(specimen.fields, "address")
    assert specimen.found
    assert to_text(bytes(line.bits[at] for at in specimen.found.on_line(address))) == "00111110"
    assert (specimen.octets, specimen.found.left_over) == (b"\x7c", 3)
    assert not specimen.complete
    assert list(specimen.troubles()) == []


@given(BITS, st.sampled_from(BitOrder))
def test_a_line_of_bits_is_seen_as_the_deframer_takes_it(bits: bytes, order: BitOrder) -> None:
    line = bit_line(bits, order)
    assert covered(line)
    seen = outcomes(on_line(line, Reading(Kind.HDLC, FCS16)))
    assert seen == expected(BitDeframer(FCS16, LONG, order).feed_bits(bits))


@given(OCTETS, st.sampled_from([0, ALL_CONTROLS, 0x000A0000]))
def test_a_line_of_octets_is_seen_as_the_deframer_takes_it(octets: bytes, accm: int) -> None:
    line = async_line(octets, accm)
    assert covered(line)
    seen = outcomes(on_line(line, Reading(Kind.PPP, FCS16)))
    assert seen == expected(AsyncDeframer(FCS16, LONG, accm).feed(octets))


@given(
    st.one_of(
        st.sampled_from([*ETHERNET.values()]).map(EthernetFramer().encode),
        st.binary(max_size=100).map(lambda octets: PREAMBLE + SFD + octets),
        st.binary(max_size=100),
    ),
    st.integers(0, 7),
)
def test_a_burst_of_ethernet_is_seen_as_the_deframer_takes_it(burst: bytes, shift: int) -> None:
    for aligned, bits in ((True, unpack(burst)), (False, unpack(burst)), (False, bytes(shift) + unpack(burst))):
        line = ethernet_burst(bits, aligned)
        assert covered(line)
        deframer = EthernetDeframer(aligned)
        whole = len(bits) % 8 == 0
        results = [*deframer.feed(pack(bits)), *deframer.end()] if whole else []
        assert outcomes(on_line(line, Reading(Kind.ETHERNET)))[: len(results)] == expected(iter(results))


@pytest.mark.parametrize("order", BitOrder)
@given(octets=st.binary(min_size=2, max_size=40))
def test_each_fields_bits_on_the_line_are_its_value(order: BitOrder, octets: bytes) -> None:
    bits = from_text(FLAG) + frame_bits(octets, order=order)
    line = bit_line(bits, order)
    [specimen] = on_line(line, Reading(Kind.HDLC, FCS16))
    found = specimen.found
    assert found
    for field in leaves(specimen.fields):
        seen = bytes(line.bits[at] for at in found.on_line(field))
        if field.width % 8 == 0:
            assert pack(seen, order) == octets_of(specimen, field.offset, field.width)
        else:
            written = to_text(seen if order is BitOrder.MSB_FIRST else seen[::-1])
            assert int(written, 2) == field.value


def octets_of(specimen: Specimen, offset: int, width: int) -> bytes:
    return specimen.octets[offset // 8 : (offset + width) // 8]


def test_flags_that_share_a_zero_stand_side_by_side() -> None:
    line = bit_line(from_text("0111111011111101111110"))
    assert [(each.part, each.end - each.start) for each in line.stretches] == [
        (Part.FLAG, 8),
        (Part.FLAG, 7),
        (Part.FLAG, 7),
    ]
    assert line.found == ()


def test_an_abort_and_silence_are_told_apart() -> None:
    line = bit_line(from_text(FLAG + "0100" + "1" * 7 + "0" + FLAG + "0011" + "1" * 20 + "0"))
    marks = [each.part for each in line.stretches]
    first = [Part.FLAG, Part.DATA, Part.ABORT, Part.IGNORED]
    assert marks == [*first, Part.FLAG, Part.DATA, Part.IDLE, Part.IGNORED]
    assert [found.fault for found in line.found] == [Fault.ABORT, Fault.IDLE]
    assert [found.left_over for found in line.found] == [4, 2]


def test_ones_that_a_line_ends_with_may_yet_be_anything() -> None:
    [specimen] = on_line(bit_line(from_text(FLAG + "00000000" + "1" * 9)), Reading(Kind.HDLC))
    assert (specimen.complete, specimen.fault, [*specimen.troubles()]) == (False, None, [])


def test_a_frame_shorter_than_its_fcs_has_none() -> None:
    [specimen] = on_line(bit_line(from_text(FLAG + "11000000" + FLAG)), Reading(Kind.HDLC))
    assert [field.name for field in leaves(specimen.fields)] == ["address", "control"]
    assert specimen.fault is Fault.TOO_SHORT


def test_an_aborted_frame_has_fields_but_no_fcs_and_no_end() -> None:
    [specimen] = on_line(async_line(b"\x7e" + PPP["echo"][:7] + b"\x7d\x7e"), Reading(Kind.PPP))
    assert specimen.fault is Fault.ABORT
    assert [field.name for field in specimen.fields] == ["address", "control", "protocol", "LCP"]
    assert [trouble.text for trouble in specimen.troubles()] == ["the sender gave it up; it has 7 octets"]


@pytest.mark.parametrize("check", [FCS16, FCS32])
def test_the_fcs_of_a_line_is_found_out_and_a_wrong_one_is_read_as_16_bits(check: object) -> None:
    used = FCS16 if check is FCS16 else FCS32
    frame = PPP["echo"]
    [specimen] = on_line(async_line(AsyncFramer(used).encode(frame)), Reading(Kind.PPP))
    assert (specimen.check, specimen.fault, [*specimen.troubles()]) == (used, None, [])
    [specimen] = on_line(async_line(b"\x7e" + frame + used.of(frame + b"x") + b"\x7e"), Reading(Kind.PPP))
    assert (specimen.check, specimen.fault) == (FCS16, Fault.BAD_FCS)
    [trouble] = specimen.troubles()
    assert trouble.text.startswith("FCS: 0x")


@pytest.mark.parametrize(
    ("bits", "fault", "text"),
    [
        (FLAG + to_text(frame_bits(b"\x03")), Fault.TOO_SHORT, "too short"),
        (FLAG + "1100000011111010011011010001101110" + FLAG, Fault.MISALIGNED, "4 octets and 1 bit"),
    ],
)
def test_what_is_wrong_on_the_line_is_said(bits: str, fault: Fault, text: str) -> None:
    [specimen] = on_line(bit_line(from_text(bits)), Reading(Kind.HDLC))
    assert specimen.fault is fault
    assert any(text in trouble.text for trouble in specimen.troubles())


def test_ethernets_own_faults_are_said() -> None:
    frame = ETHERNET["padded"]
    for burst, fault in (
        (EthernetFramer().encode(frame), None),
        (PREAMBLE + SFD + frame[:40] + FCS32.of(frame[:40]), Fault.RUNT),
        (PREAMBLE + SFD + frame[:40], Fault.FRAGMENT),
        (PREAMBLE + SFD + bytes(1600) + FCS32.of(bytes(1600)), Fault.GIANT),
        (PREAMBLE + SFD + frame + bytes(4), Fault.BAD_FCS),
        (PREAMBLE * 9, Fault.NO_SFD),
    ):
        [specimen] = on_line(ethernet_burst(unpack(burst), aligned=True), Reading(Kind.ETHERNET))
        assert specimen.fault is fault
        assert bool([*specimen.troubles()]) == (fault is not None)
