"""What follows the length in an IEEE 802.3 frame: LLC (IEEE 802.2), and SNAP (RFC 1042) within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vipd.errors import WireError
from vipd.wire.hdlc import Control, Unnumbered, decode_control, encode_control
from vipd.wire.reader import Reader

SAP_SNAP: Final = 0xAA
SAP_SPANNING_TREE: Final = 0x42
_UI: Final = Unnumbered(0x03)


@dataclass(frozen=True, slots=True)
class Snap:
    """Says in another way what an EtherType says."""

    organization: int
    "24 bits; 0 where `type` is an EtherType."
    type: int


@dataclass(frozen=True, slots=True)
class Llc:
    destination: int
    "A service access point; the low bit makes it a group's."
    source: int
    "The low bit makes it a response."
    control: Control
    "HDLC's, modulo 128."
    payload: bytes
    snap: Snap | None = None

    @classmethod
    def decode(cls, data: bytes) -> Llc:
        reader = Reader(data)
        destination, source, control = reader.u8(), reader.u8(), decode_control(reader, 128)
        snap = None
        if destination == source == SAP_SNAP and control == _UI:
            snap = Snap(reader.u8() << 16 | reader.u16(), reader.u16())
        return cls(destination, source, control, reader.rest(), snap)

    def encode(self) -> bytes:
        head = bytes((self.destination, self.source)) + encode_control(self.control, 128)
        if self.snap is not None:
            if (self.destination, self.source, self.control) != (SAP_SNAP, SAP_SNAP, _UI):
                raise WireError("SNAP is between the access points AA, in a frame UI")
            head += self.snap.organization.to_bytes(3, "big") + self.snap.type.to_bytes(2, "big")
        return head + self.payload
