"""What is framed here, tshark takes apart: escapes, check sequences, control fields, tags."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import GRE, Ether

from vipd.wire.async_hdlc import ALL_CONTROLS, AsyncFramer
from vipd.wire.ethernet import TYPE_SERVICE_VLAN, Frame, Tag
from vipd.wire.ethernet_line import PREAMBLE, SFD, EthernetFramer
from vipd.wire.fcs import FCS16, FCS32, FrameCheck
from vipd.wire.hdlc import (
    OCTETS,
    UNNUMBERED,
    Control,
    Information,
    Supervision,
    Supervisory,
    Unnumbered,
    encode_control,
)
from vipd.wire.llc import Llc
from vipd.wire.pcap import Captured, Form, LinkType

SDLC = 268
"A link type whose frames begin with HDLC's address; those from a station's own are responses."
HERE, THERE = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
EVERY_OCTET = bytes(range(256))


def told(path: Path, link_type: int, frames: Iterable[bytes], fields: str, **preferences: str) -> list[list[str]]:
    """A row for each frame: the fields as tshark writes them."""
    records = [Form().record(Captured(frame, len(frame), link_type)) for frame in frames]
    path.write_bytes(Form().header(link_type) + b"".join(records))
    command = ["tshark", "-r", str(path), "-T", "fields"]
    for field in fields.split():
        command += ["-e", field]
    for name, value in preferences.items():
        command += ["-o", f"{name.replace('__', '.')}:{value}"]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout
    return [row.split("\t") for row in shown.splitlines()]


@pytest.mark.parametrize(("check", "preference"), [(FCS16, "16-Bit"), (FCS32, "32-Bit")])
def test_escaped_octets_are_the_frame_that_they_were_made_of(
    check: FrameCheck, preference: str, tmp_path: Path
) -> None:
    packet = bytes(IP(src="192.0.2.1", dst="192.0.2.2", proto=253) / EVERY_OCTET)
    lines = [AsyncFramer(check, accm).encode(b"\xff\x03\x00\x21" + packet) for accm in (ALL_CONTROLS, 0, 0x000A0000)]
    damaged = lines[0].replace(b"\x7d\x21", b"\x7d\x22", 1)
    # GRE carries such lines between the parts of a mobile network (3GPP2 A.S0008).
    bearers = [bytes(Ether() / IP(dst="10.0.0.1") / GRE(proto=0x8881) / line) for line in [*lines, damaged]]
    rows = told(
        tmp_path / "a.pcap",
        LinkType.ETHERNET,
        bearers,
        "ppp.protocol ppp.fcs.status data.data",
        ppp__fcs_type=preference,
    )
    assert rows[:3] == [["0x0021", "1", EVERY_OCTET.hex()]] * 3
    assert rows[3][1] == "0"


def test_unnumbered_frames_have_the_names_that_tshark_has(tmp_path: Path) -> None:
    named = {octet: names for octet, names in UNNUMBERED.items() if octet != OCTETS["UI"]}  # that holds SNA there
    frames = [bytes((0xC1, octet, 0)) for octet in named]
    rows = told(tmp_path / "u.pcap", SDLC, frames, "_ws.col.Info")
    others = {"RSET": "RESET", "UIH": "BCN", "SM": "Unknown"}  # SDLC's own, where it has another or none
    for (info,), (command, response) in zip(rows, named.values(), strict=True):
        name = response or command
        assert info == f"U, func={others.get(name, name)}"


def test_supervisory_frames_have_the_names_that_tshark_has(tmp_path: Path) -> None:
    controls = [Supervisory(kind, kind + 3, poll=bool(kind % 2)) for kind in Supervision]
    frames = [b"\xc1" + encode_control(control) for control in controls]
    rows = told(tmp_path / "s.pcap", SDLC, frames, "_ws.col.Info")
    assert rows == [
        [f"S{' F' * control.poll}, func={control.kind.name}, N(R)={control.expected}"] for control in controls
    ]


def test_numbers_modulo_128_are_where_tshark_finds_them(tmp_path: Path) -> None:
    controls: list[Control] = [
        Information(3, 100, poll=True),
        Information(127, 0),
        Supervisory(Supervision.RNR, 9),
        Supervisory(Supervision.SREJ, 64, poll=True),
        Unnumbered(0x6F, poll=True),
    ]
    frames = []
    for control in controls:
        content = Llc(0x04, 0x04, control, b"x" if isinstance(control, Information) else b"").encode()
        frames.append(Frame(THERE, HERE, len(content), content).encode())
    fields = "llc.control.n_s llc.control.n_r llc.control.p llc.control.s_ftype llc.control.u_modifier_cmd"
    assert told(tmp_path / "l.pcap", LinkType.ETHERNET, frames, fields) == [
        ["3", "100", "1", "", ""],
        ["127", "0", "", "", ""],
        ["", "9", "", "0x0001", ""],
        ["", "64", "1", "0x0003", ""],
        ["", "", "1", "", "0x1b"],
    ]


def test_an_ethernet_burst_has_tags_padding_and_a_right_fcs(tmp_path: Path) -> None:
    tags = (Tag(4094, 1, type=TYPE_SERVICE_VLAN), Tag(197, 6, drop_eligible=True))
    burst = EthernetFramer().encode(Frame(THERE, HERE, 0x0806, bytes(28), tags).encode())
    frame = burst.removeprefix(PREAMBLE + SFD)
    fields = "ieee8021ad.id vlan.id vlan.priority vlan.dei eth.fcs.status frame.len"
    rows = told(
        tmp_path / "e.pcap",
        LinkType.ETHERNET,
        [frame, frame[:-1] + b"\0"],
        fields,
        eth__fcs="Always",
        eth__check_fcs="TRUE",
    )
    assert rows == [["4094", "197", "6", "1", "1", "64"], ["4094", "197", "6", "1", "0", "64"]]
