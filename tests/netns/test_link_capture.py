"""What --pcap writes, as tshark and scapy read it: every frame, both ways, no fault, the fields as they were meant."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.ppp import HDLC, PPP, PPP_IPCP, PPP_CHAP_ChallengeResponse, PPP_LCP_Configure, PPP_LCP_Terminate
from scapy.packet import Packet, Raw
from scapy.utils import RawPcapReader

from tests.support.links import LOCAL, REMOTE, Pair, ping

PROOFS: Final = {
    "a": (["--user", "us", "--peer-user", "them"], {"VIPD_LINK_SECRET": "ours", "VIPD_LINK_PEER_SECRET": "theirs"}),
    "b": (["--user", "them", "--peer-user", "us"], {"VIPD_LINK_SECRET": "theirs", "VIPD_LINK_PEER_SECRET": "ours"}),
}
WRONG: Final = '_ws.malformed or _ws.expert.severity == "Error" or _ws.expert.severity == "Warning"'
PINGS: Final = 3


def tshark(path: Path, shown: str, *fields: str) -> list[tuple[str, ...]]:
    """These fields of the frames that the filter shows."""
    wanted = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-Y", shown, "-T", "fields", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def captured(folder: Path, *options: str, proofs: bool = False) -> Path:
    """By a, of a link that came up, carried pings and ended."""
    path = folder / "frames.pcap"
    with Pair(folder) as pair:
        more, environment = PROOFS["a"] if proofs else ([], {})
        pair.a.carry("pty", *options, *more, "--pcap", str(path), environment=environment)
        more, environment = PROOFS["b"] if proofs else ([], {})
        pair.b.carry(f"serial:{pair.a.pty()}", *options, *more, environment=environment)
        pair.up()
        ping(pair.a, pair.b, 4, PINGS)
        pair.b.end()
        pair.a.says("IPv6 down")
        found = pair.a.status()
        pair.a.end()
    assert len(tshark(path, "frame", "frame.number")) >= found.frames_in + found.frames_out
    assert path.stat().st_mode & 0o777 == 0o600
    return path


@pytest.mark.parametrize(("framing", "method"), [("async", "chap"), ("bit", "pap")])
def test_ppp_is_read_without_a_fault_and_as_it_was_meant(tmp_path: Path, framing: str, method: str) -> None:
    options = ["--framing", framing, "--auth", method, "--allow-pap", "--mru", "1400"]
    path = captured(tmp_path, *options, proofs=True)
    assert tshark(path, WRONG, "frame.number", "_ws.expert.message") == []
    mrus = tshark(path, "lcp and ppp.code == 1", "lcp.opt.mru")
    assert set(mrus) == {("1400",)}
    # 1: LCP's or IPCP's Configure-Request, 2: its Ack; 5 and 6: the end and its answer.
    kinds = Counter(tshark(path, "ppp.code", "ppp.protocol", "ppp.code"))
    assert kinds["0xc021", "2"] == kinds["0x8021", "2"] == kinds["0x8057", "2"] == 2
    assert kinds["0xc021", "5"] == kinds["0xc021", "6"] == 1
    names = {row[0] for row in tshark(path, method, {"chap": "chap.name", "pap": "pap.peer_id"}[method]) if row[0]}
    assert names == {"us", "them"}
    addresses = {row[0] for row in tshark(path, "ipcp and ppp.code == 2", "ipcp.opt.ip_address")}
    assert addresses == {LOCAL, REMOTE}
    echoes = tshark(path, "icmp", "ip.src", "ip.dst", "icmp.type", "ip.checksum.status", "icmp.checksum.status")
    assert Counter(row[:3] for row in echoes) == {(LOCAL, REMOTE, "8"): PINGS, (REMOTE, LOCAL, "0"): PINGS}


def test_scapy_reads_the_same(tmp_path: Path) -> None:
    """It knows neither compressed headers nor IPV6CP, and not how a file tells that there is no FCS."""
    path = captured(tmp_path, "--auth", "chap", "--mru", "1400", "--no-compress", proofs=True)
    with RawPcapReader(str(path)) as records:
        frames = [HDLC(data) for data, _ in records]
    assert {(frame.address, frame.control) for frame in frames} == {(0xFF, 3)}
    unread = {frame[PPP].proto for frame in frames if Raw in frame and ICMP not in frame}
    assert unread <= {0x0057, 0x8057}
    asked = [frame[PPP_LCP_Configure] for frame in frames if PPP_LCP_Configure in frame]
    assert {option.max_recv_unit for each in asked for option in each.options if option.type == 1} == {1400}
    assert {option.algorithm for each in asked for option in each.options if option.type == 3} == {5}
    assert {each.optional_name for each in layers(frames, PPP_CHAP_ChallengeResponse)} == {b"us", b"them"}
    assert {each.options[0].data for each in layers(frames, PPP_IPCP)} >= {LOCAL, REMOTE}
    assert [each.code for each in layers(frames, PPP_LCP_Terminate)] == [5, 6]
    echoes = layers(frames, IP)
    assert Counter((each.src, each.dst) for each in echoes) == {(LOCAL, REMOTE): PINGS, (REMOTE, LOCAL): PINGS}
    assert all(bytes(anew(each)) == bytes(each) for each in echoes)


def layers(frames: list[Packet], kind: type[Packet]) -> list[Packet]:
    return [frame[kind] for frame in frames if kind in frame]


def anew(packet: Packet) -> Packet:
    """With scapy's own checksums."""
    made = packet.copy()
    del made[IP].chksum
    del made[ICMP].chksum
    return made


@pytest.mark.parametrize("framing", ["async", "bit"])
def test_cisco_hdlc_is_read_without_a_fault_and_as_it_was_meant(tmp_path: Path, framing: str) -> None:
    options = ["--framing", framing, "--encapsulation", "cisco-hdlc", "--echo-interval", "0.5"]
    path = captured(tmp_path, *options)
    assert tshark(path, WRONG, "frame.number", "_ws.expert.message") == []
    kept = tshark(path, "slarp", "chdlc.address", "chdlc.protocol", "slarp.ptype", "slarp.mysequence")
    assert {row[:3] for row in kept} == {("0x8f", "0x8035", "2")}
    assert len({row[3] for row in kept}) > 2
    echoes = tshark(path, "icmp", "chdlc.address", "chdlc.protocol", "ip.src", "ip.dst", "icmp.type")
    ours, theirs = ("0x0f", "0x0800", LOCAL, REMOTE, "8"), ("0x0f", "0x0800", REMOTE, LOCAL, "0")
    assert Counter(echoes) == {ours: PINGS, theirs: PINGS}


def test_a_capture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.a.carry("pty", "--pcap", "/dev/full")
        assert "/dev/full: the capture cannot be written: No space left on device" in pair.a.refused()
