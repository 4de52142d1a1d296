"""Frames that others published, and damaged ones made from the rules: each is found, or told what it is."""

from __future__ import annotations

import pytest

from tests.support.vectors import Vector, load, name_of, octets, written
from vipd.wire import bits
from vipd.wire.async_hdlc import AsyncDeframer, AsyncFramer
from vipd.wire.bit_hdlc import FLAG, BitDeframer, frame_bits, stuff
from vipd.wire.deframer import FrameError
from vipd.wire.ethernet_line import EthernetDeframer, EthernetFramer
from vipd.wire.fcs import FCS16, FCS32

BIT, ASYNC, ETHERNET = load("bit_hdlc"), load("async_hdlc"), load("ethernet")
LCP = bytes.fromhex("ff03c021016d0004")


@pytest.mark.parametrize("vector", BIT["stuffing"] + BIT["bit_stuffing"], ids=lambda vector: vector["stuffed"][:40])
def test_bits_are_stuffed_as_published(vector: Vector) -> None:
    data = vector["data"]
    line = bits.from_text(data) if vector in BIT["bit_stuffing"] else bits.unpack(bytes.fromhex(data))
    assert bits.to_text(stuff(line)) == vector["stuffed"]


@pytest.mark.parametrize("vector", BIT["frames"], ids=name_of)
def test_a_frame_and_its_bits_on_the_line_are_the_same_thing(vector: Vector) -> None:
    frame = bytes.fromhex(vector["frame"])
    assert bits.to_text(FLAG + frame_bits(frame)) == vector["bits"]
    assert list(BitDeframer().feed_bits(bits.from_text(vector["bits"]))) == [frame]
    assert FCS16.of(frame).hex() == vector["fcs"]


@pytest.mark.parametrize("vector", BIT["hostile"], ids=name_of)
def test_damaged_bits_are_told_apart_and_the_next_frame_is_found(vector: Vector) -> None:
    line = bits.from_text(vector["bits"])
    found = list(BitDeframer().feed_bits(line + FLAG + frame_bits(LCP)))
    assert written(found) == [*vector["found"], LCP.hex()]


@pytest.mark.parametrize("vector", ASYNC["escapes"], ids=lambda vector: vector["octet"])
def test_an_octet_is_escaped_as_the_rfc_says(vector: Vector) -> None:
    frame = bytes.fromhex(vector["octet"]) * 2
    assert vector["sent"] * 2 in AsyncFramer(others=b"\x91\x93").encode(frame).hex()


@pytest.mark.parametrize("vector", ASYNC["frames"], ids=name_of)
def test_a_published_frame_is_found_on_a_line_of_octets(vector: Vector) -> None:
    deframer = AsyncDeframer(accm=int(vector["accm"], 16))
    line = AsyncFramer().encode(LCP) + bytes.fromhex(vector["wire"])
    assert written(list(deframer.feed(line))) == [LCP.hex(), vector["frame"]]
    assert FCS16.of(bytes.fromhex(vector["frame"])).hex() == vector["fcs"]


@pytest.mark.parametrize("vector", ASYNC["frames"], ids=name_of)
def test_a_published_frame_is_written_as_its_sender_wrote_it(vector: Vector) -> None:
    framer = AsyncFramer(accm=int(vector["accm"], 16))
    line = framer.encode(bytes.fromhex(vector["frame"])).hex()
    # One was captured behind the flag that ended the frame before it.
    assert line.removeprefix("7e") == vector["wire"].removeprefix("7e")


@pytest.mark.parametrize("vector", ASYNC["hostile"], ids=name_of)
def test_damaged_octets_are_told_apart_and_the_next_frame_is_found(vector: Vector) -> None:
    deframer = AsyncDeframer(accm=int(vector["accm"], 16))
    found = list(deframer.feed(octets(vector["wire"]) + AsyncFramer().encode(LCP)))
    assert written(found) == [*vector["found"], LCP.hex()]


@pytest.mark.parametrize("vector", ASYNC["fcs"], ids=lambda vector: vector["fcs32"])
def test_both_check_sequences_are_as_published(vector: Vector) -> None:
    frame = octets(vector["octets"])
    assert FCS16.of(frame).hex() == vector["fcs16"]
    assert FCS32.of(frame).hex() == vector["fcs32"]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("vector", ETHERNET["frames"], ids=name_of)
def test_an_ethernet_frame_and_its_burst_are_the_same_thing(vector: Vector, aligned: bool) -> None:
    frame = octets(vector["frame"])
    burst = b"\x55" * 7 + b"\xd5" + frame + bytes.fromhex(vector["fcs"])
    assert EthernetFramer().encode(frame) == burst
    deframer = EthernetDeframer(aligned)
    assert list(deframer.feed(burst)) == []
    assert list(deframer.end()) == [frame]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("vector", ETHERNET["hostile"], ids=name_of)
def test_damaged_bursts_are_told_apart_and_the_next_frame_is_found(vector: Vector, aligned: bool) -> None:
    deframer = EthernetDeframer(aligned)
    found = list(deframer.feed(octets(vector["wire"]))) + list(deframer.end())
    assert written(found) == vector["found"]
    found = list(deframer.feed(EthernetFramer().encode(bytes(60)))) + list(deframer.end())
    assert found == [bytes(60)]


@pytest.mark.parametrize("vector", BIT["frames"], ids=name_of)
def test_no_beginning_of_a_frame_is_one_on_a_line_of_bits(vector: Vector) -> None:
    line = bits.from_text(vector["bits"])
    for size in range(len(line)):
        deframer = BitDeframer()
        assert list(deframer.feed_bits(line[:size])) == []
        assert list(deframer.feed_bits(line[size:])) == [bytes.fromhex(vector["frame"])]


@pytest.mark.parametrize("vector", ASYNC["frames"], ids=name_of)
def test_no_beginning_of_a_frame_is_one_on_a_line_of_octets(vector: Vector) -> None:
    line = b"\x7e" + bytes.fromhex(vector["wire"])
    for size in range(len(line)):
        deframer = AsyncDeframer(accm=int(vector["accm"], 16))
        assert list(deframer.feed(line[:size])) == []
        assert list(deframer.feed(line[size:])) == [bytes.fromhex(vector["frame"])]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("vector", ETHERNET["frames"], ids=name_of)
def test_no_beginning_of_a_burst_is_a_frame(vector: Vector, aligned: bool) -> None:
    burst = EthernetFramer().encode(octets(vector["frame"]))
    for size in range(1, len(burst)):
        deframer = EthernetDeframer(aligned)
        deframer.feed(burst[:size])
        (found,) = deframer.end()
        assert isinstance(found, FrameError), size
