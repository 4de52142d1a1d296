"""Frames taken apart, alone and on lines: every bit has one field, and no octets are too odd."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.fuzz.supply import Supply
from tests.fuzz.targets import async_hdlc, bit_hdlc, fields
from vipd.anatomy.dissect import Kind, Reading, Specimen, bare, on_line
from vipd.anatomy.field import Field, find
from vipd.anatomy.line import Line, async_line, bit_line, ethernet_burst
from vipd.errors import WireError
from vipd.wire import ip
from vipd.wire.bits import BitOrder, unpack
from vipd.wire.fcs import FCS16, FCS32, NO_FCS

_KINDS: Final = tuple(Kind)
_CHECKS: Final = (None, NO_FCS, FCS16, FCS32)
_PACKET: Final = bytes.fromhex("4500001d000100004011f6cbc0000201c000020200090009000903c678")
SEEDS: Final = [
    *(bytes((kind, 1, 0, 0, 0)) + _PACKET for kind in range(5)),
    *(bytes((3, 0, 0, 0, 0)) + seed[1:] for seed in fields.SEEDS[::5]),
    *(bytes((kind, 0, 1, 0, 0)) + seed[5:] for seed in bit_hdlc.SEEDS for kind in (0, 1)),
    *(bytes((kind, 0, 2, 0, 0)) + seed[5:] for seed in async_hdlc.SEEDS for kind in (1, 2)),
]


def check(data: bytes) -> None:
    supply = Supply(data)
    kind, fcs = supply.one_of(_KINDS), supply.one_of(_CHECKS)
    reading = Reading(kind, fcs, 128 if fcs is FCS32 else 8, extended_address=fcs is FCS16)
    way, order, more = supply.number(3), supply.one_of(tuple(BitOrder)), supply.number(255)
    octets = supply.rest()
    if way == 0:
        specimen = bare(octets, reading, more % 5 or None, cut_off=more > 128)
        _covered(specimen.fields, 0, 8 * len(octets))
        if kind is Kind.IP:
            _agrees(specimen, octets[: len(octets) - specimen.check.size])
        return
    line = _line(octets, kind, way, order, more)
    at = 0
    for stretch in line.stretches:
        assert stretch.start == at < stretch.end
        at = stretch.end
    assert at == len(line.bits)
    for specimen in on_line(line, reading):
        _covered(specimen.fields, 0, 8 * len(specimen.octets))
        assert all(0 <= trouble.offset <= 8 * len(specimen.octets) for trouble in specimen.troubles())


def _line(octets: bytes, kind: Kind, way: int, order: BitOrder, more: int) -> Line:
    if kind is Kind.ETHERNET:
        return ethernet_burst(unpack(octets)[more % 8 if way > 1 else 0 :], aligned=way == 1)
    if way == 1:
        return bit_line(unpack(octets)[more % 8 :], order)
    return async_line(octets, more * 0x01010101)


def _covered(fields_of_it: Iterable[Field], start: int, end: int) -> None:
    for field in fields_of_it:
        assert field.offset == start
        if field.parts:
            _covered(field.parts, field.offset, field.end)
        start = field.end
    assert start == end


def _agrees(specimen: Specimen, octets: bytes) -> None:
    """What the codec takes for a packet has the same addresses here."""
    try:
        packet = ip.decode(octets)
    except WireError:
        return
    version = f"IPv{packet.source.version}"
    for name, address in (("source", packet.source), ("destination", packet.destination)):
        assert find(specimen.fields, version, name).text == str(address)
