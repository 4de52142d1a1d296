"""What only a lab with a line shows: which method ends there, and the frames that went over it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from vipd.errors import DirectorError
from vipd.lab.configuration import director_configuration
from vipd.lab.director import Director
from vipd.lab.frames import Packet, decode_packet
from vipd.lab.lab import VIPD, Lab
from vipd.lab.process import wait_until
from vipd.lab.topology import FAMILIES, Line, ends_of
from vipd.lab.verdict import Across
from vipd.model.director import Address, Method
from vipd.wire import pcap
from vipd.wire.bit_hdlc import FLAG, frame_bits
from vipd.wire.bits import to_text
from vipd.wire.capture import CaptureReader
from vipd.wire.ppp import Frame, Protocol

_PACKETS: Final = (Protocol.IPV4, Protocol.IPV6)
_NEGOTIATION: Final = (Protocol.LCP, Protocol.IPCP, Protocol.IPV6CP)
_TO_LINES: Final = ("route_nat", "route_tun")


def across(lab: Lab, director: Director, line: Line) -> Across:
    """Of all that was on the line since the lab came up; the director is its first end."""
    _, far = ends_of(lab.topology, line)
    there = frozenset(lab.topology.address(far, family) for family in FAMILIES)
    outcomes: dict[str, int] = director.status()["outcomes"]
    routed = sum(outcomes[name] for name in _TO_LINES)
    frames: list[bytes] = []

    def all_carried() -> bool:
        frames[:] = _read(lab.frames(line.name))
        return len(_requests(frames, there)) >= routed

    with suppress(DirectorError):  # what is missing is the verdict's to tell
        wait_until(all_carried, "the capture to be written")
    kinds = list(_one_of_each(frames, there))
    return Across(
        line=line.name,
        refusal=_refusal(lab, director),
        frames=tuple(_shown(lab, kinds)),
        bits=_on_the_line(lab, _requests(kinds, there)),
        seen=len(frames),
        carried=len(_requests(frames, there)),
        routed=routed,
    )


def _read(path: Path) -> list[bytes]:
    """All frames that are whole in a capture which is still being written."""
    return [frame.data for frame in CaptureReader().feed(path.read_bytes())]


def _packet(frame: bytes) -> Packet | None:
    held = Frame.decode(frame)
    return decode_packet(held.payload) if held.protocol in _PACKETS else None


def _requests(frames: Iterable[bytes], there: frozenset[Address]) -> list[bytes]:
    """The frames that take something to the server."""
    packets = ((frame, _packet(frame)) for frame in frames)
    return [frame for frame, packet in packets if packet and (packet.outer or packet.addresses).destination in there]


def _one_of_each(frames: Sequence[bytes], there: frozenset[Address]) -> Iterator[bytes]:
    """The first of each protocol that negotiates, and of each kind of packet, family and direction."""
    met = set[object]()
    for frame in frames:
        protocol, packet = Frame.decode(frame).protocol, _packet(frame)
        kind: object = protocol if protocol in _NEGOTIATION else None
        if packet is not None:
            ends = packet.outer or packet.addresses
            kind = packet.outer is not None, packet.transport, ends.source.version, ends.destination in there
        if kind is not None and kind not in met:
            met.add(kind)
            yield frame


def _shown(lab: Lab, frames: Sequence[bytes]) -> list[str]:
    path = lab.directory / "shown.pcap"
    with path.open("wb") as file:
        kept = (pcap.Captured(frame, len(frame), pcap.LinkType.PPP_HDLC) for frame in frames)
        pcap.write(file, pcap.LinkType.PPP_HDLC, kept)
    return lab.run(lab.topology.director.name, *VIPD, "frame", "decode", "ppp", str(path), "--brief").splitlines()


def _on_the_line(lab: Lab, requests: Sequence[bytes]) -> str:
    """One of them between its flags, a tunnelled one if there is any: the line's bits, and what they mean; or ""."""
    tunnelled = [frame for frame in requests if (packet := _packet(frame)) and packet.outer]
    if not requests:
        return ""
    path = lab.directory / "bits.txt"
    path.write_text(to_text(FLAG + frame_bits((tunnelled or requests)[0])) + "\n")
    told = lab.run(lab.topology.director.name, *VIPD, "frame", "decode", "ppp", str(path))
    heading_and_bits, _, _ = told.partition("\n\n")
    return heading_and_bits.partition("\n")[2]


def _refusal(lab: Lab, director: Director) -> str:
    """Where it speaks of the line; empty where it does not."""
    path = lab.directory / "dr.yaml"
    path.write_text(director_configuration(lab.topology, method=Method.DR))
    told = json.loads(director.vipd("check", "--here", "--json", str(path), check=False))
    said = (f"{each['path']}: {each['message']}" for each in told["problems"])
    return next((text for text in said if "point-to-point" in text), "")
