"""Whole conversations of both protocols, as tshark reads them: nothing malformed, and each packet what it should be."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.support.line import Line
from tests.support.ppp import DEMAND, HERE, IDENTITY, ONE, OTHER, between
from tests.support.talk_slarp import machine
from vipd.model.link import Send
from vipd.ppp.settings import AuthMethod, Ipv4
from vipd.slarp import settings as slarp
from vipd.wire import pcap
from vipd.wire.pcap import Captured, LinkType


def told(line: Line, path: Path, link_type: LinkType) -> list[str]:
    """tshark's words for each frame on the line, in their order."""
    sent = [(time, place, effect) for place, end in enumerate(line.ends) for time, effect in end.effects]
    frames = [effect.frame for _, _, effect in sorted(sent, key=lambda one: one[:2]) if isinstance(effect, Send)]
    with path.open("wb") as file:
        pcap.write(file, link_type, [Captured(frame, len(frame), link_type) for frame in frames])
    columns = [part for name in ("_ws.col.Protocol", "_ws.col.Info", "_ws.expert.message") for part in ("-e", name)]
    command = ["tshark", "-r", str(path), "-T", "fields", *columns]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout
    return [" ".join(row.split()) for row in shown.splitlines()]


def test_a_ppp_link_from_its_first_request_to_its_last_ack(tmp_path: Path) -> None:
    one = replace(ONE, demand=DEMAND, mru=1400, accm=0x000A0000)
    line = between(one, replace(OTHER, identity=IDENTITY, ipv4=Ipv4()))
    line.run(12.0)
    line.stop(0)
    line.run(20.0)
    words = told(line, tmp_path / "ppp.pcap", LinkType.PPP_HDLC)
    assert words[:4] == [
        "PPP LCP Configuration Request",
        "PPP LCP Configuration Request",
        "PPP LCP Configuration Ack",
        "PPP LCP Configuration Ack",
    ]
    assert [word.partition(" (")[0] for word in words[4:7]] == [
        "PPP CHAP Challenge",
        "PPP CHAP Response",
        "PPP CHAP Success",
    ]
    assert "NAME='site-b'" in words[5]
    assert sorted(words[7:17]) == [
        "PPP IPCP Configuration Ack",
        "PPP IPCP Configuration Ack",
        "PPP IPCP Configuration Nak",
        "PPP IPCP Configuration Request",
        "PPP IPCP Configuration Request",
        "PPP IPCP Configuration Request",
        "PPP IPV6CP Configuration Ack",
        "PPP IPV6CP Configuration Ack",
        "PPP IPV6CP Configuration Request",
        "PPP IPV6CP Configuration Request",
    ]
    assert words[17:] == [
        "PPP LCP Echo Request",
        "PPP LCP Echo Request",
        "PPP LCP Echo Reply",
        "PPP LCP Echo Reply",
        "PPP LCP Termination Request",
        "PPP LCP Termination Ack",
    ]


def test_pap_with_compressed_fields(tmp_path: Path) -> None:
    pap = (AuthMethod.PAP,)
    line = between(
        replace(ONE, demand=replace(DEMAND, methods=pap)), replace(OTHER, identity=replace(IDENTITY, methods=pap))
    )
    line.run(1.0)
    words = told(line, tmp_path / "pap.pcap", LinkType.PPP_HDLC)
    assert words[4:6] == [
        "PPP PAP Authenticate-Request (Peer-ID='site-b', Password='open sesame')",
        "PPP PAP Authenticate-Ack (Message='welcome')",
    ]


def test_slarps_keep_alives_and_addresses(tmp_path: Path) -> None:
    line = Line(machine(slarp.Settings(ipv4=slarp.Ipv4(HERE)), 1), machine(slarp.Settings(), 2))
    line.start()
    line.run(1.0)
    words = told(line, tmp_path / "slarp.pcap", LinkType.CISCO_HDLC)
    assert [word.partition(",")[0] for word in words].count("SLARP Line keepalive") == 4
    assert "SLARP Request, from 0.0.0.0, mask 0.0.0.0" in words
    assert "SLARP Reply, from 10.0.0.1, mask 255.255.255.252" in words
