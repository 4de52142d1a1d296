"""`vipd frame forward`: one packet before and after the director, against scapy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.support.frame_cli import capture_file, frame, refused, shown, told
from tests.support.specimens import ETHERNET, PPP

VIP, VIP6 = "203.0.113.10", "2001:db8:f::10"


def asked(*arguments: str, code: int = 0) -> tuple[dict[str, Any], Packet, Packet]:
    found = told("forward", *arguments, code=code)
    return found, Ether(bytes.fromhex(found["before"])), Ether(bytes.fromhex(found["after"]))


def changed(found: dict[str, Any], kind: str = "changed") -> list[str]:
    return [each["field"] for each in found["changes"] if each["kind"] == kind]


def sums_are_right(packet: Packet) -> bool:
    """Whether scapy would have written the same sums."""
    fresh = packet.copy()
    for layer in (IP, TCP, UDP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(fresh) == bytes(packet)


@pytest.mark.parametrize(("ipv6", "server"), [((), "10.0.0.11"), (("--ipv6",), "2001:db8:1::11")])
def test_nat_writes_the_servers_address_and_port_and_mends_the_sums(ipv6: tuple[str, ...], server: str) -> None:
    found, before, after = asked("--method", "nat", *ipv6)
    layer = IPv6 if ipv6 else IP
    assert found["outcome"] == "forward_nat"
    assert (before[layer].dst, before[TCP].dport) == (VIP6 if ipv6 else VIP, 80)
    assert (after[layer].dst, after[TCP].dport) == (server, 8080)
    assert (after[layer].src, after[TCP].sport) == (before[layer].src, before[TCP].sport)
    assert sums_are_right(before)
    assert sums_are_right(after)
    expected = ["destination", "source", "hop limit" if ipv6 else "time to live", "destination"]
    assert [name for name in changed(found) if "checksum" not in name] == [*expected, "destination port"]


@pytest.mark.parametrize("ipv6", [(), ("--ipv6",)])
def test_direct_routing_changes_the_mac_addresses_and_nothing_else(ipv6: tuple[str, ...]) -> None:
    found, before, after = asked("--method", "dr", *ipv6)
    assert found["outcome"] == "forward_dr"
    assert bytes(before)[12:] == bytes(after)[12:]
    assert changed(found) == ["destination", "source"]
    assert changed(found, "new") == changed(found, "gone") == []


@pytest.mark.parametrize("ipv6", [(), ("--ipv6",)])
@pytest.mark.parametrize("server", ["10.0.0.12", "2001:db8:1::12"])
def test_a_tunnel_puts_a_header_in_front(ipv6: tuple[str, ...], server: str) -> None:
    found, before, after = asked("--method", "tun", "--server", server, *ipv6)
    outer, inner = (IPv6 if ":" in server else IP), (IPv6 if ipv6 else IP)
    assert found["outcome"] == "forward_tun"
    assert after[outer].dst == server
    inside = after[outer].payload
    assert isinstance(inside, inner)
    assert (inside.src, inside.dst) == (before[inner].src, before[inner].dst)
    assert {"version", "source", "destination"} <= set(changed(found, "new"))
    assert changed(found)[:2] == ["destination", "source"]
    size = {IP: 20, IPv6: 40}[outer]
    output = shown("forward", "--method", "tun", "--server", server, *ipv6)
    assert f"{size} put in" in output


def test_over_a_line_without_addresses_direct_routing_is_refused_and_says_why() -> None:
    found = told("forward", "--method", "dr", "--over", "p2p", code=1)
    assert (found["outcome"], found["after"], found["changes"]) == ("drop_no_ethernet", None, [])
    output = shown("forward", "--method", "dr", "--over", "p2p", code=1)
    assert "behind it a server is reached by nat or tun" in output


@pytest.mark.parametrize("method", ["nat", "tun"])
def test_over_a_line_without_addresses_nat_and_tunnel_work(method: str) -> None:
    found = told("forward", "--method", method, "--over", "p2p")
    assert found["outcome"] == f"route_{method}"
    assert changed(found, "gone") == ["destination", "source", "type"]
    packet = IP(bytes.fromhex(found["after"]))
    assert packet.dst == "10.0.0.11"
    assert "14 taken away" in shown("forward", "--method", method, "--over", "p2p")


def test_each_step_is_told_with_its_rule() -> None:
    found = told("forward", "--method", "nat")
    assert {"forward.nat", "leave.sent"} <= {reason["rule"] for reason in found["reasons"]}
    assert all(reason["text"] and reason["source"] for reason in found["reasons"])
    assert "because  NAT: the destination becomes 10.0.0.11 port 8080" in shown("forward", "--method", "nat")


def test_what_stays_is_counted_and_with_all_it_is_shown() -> None:
    short, long = (shown("forward", "--method", "nat", *more) for more in ((), ("--all",)))
    assert "10 fields as before" in short
    assert "identification" not in short
    assert "identification" in long
    assert "as before" not in long


def test_without_colours_changed_octets_are_marked_below() -> None:
    lines = shown("forward", "--method", "dr").splitlines()
    assert lines[1].split()[:7] == ["0", "02", "00", "00", "00", "00", "d1"]
    assert lines[2].split() == ["^^", "^^"]
    assert lines[2].index("^^") == lines[1].index("d1")


def test_a_frame_of_ones_own_is_forwarded(tmp_path: Path) -> None:
    mine = ETHERNET["udp"]
    path = capture_file(tmp_path / "some.pcap", 1, [mine, ETHERNET["tcp"]])
    for arguments in ((path,), ("--hex", mine.hex())):
        found, before, after = asked("--method", "nat", "--server", "10.1.2.3:5353", *arguments)
        assert bytes(before) == mine
        assert (after[IP].dst, after[UDP].dport, after[IP].ttl) == ("10.1.2.3", 5353, 2)
        assert sums_are_right(after)
        assert found["outcome"] == "forward_nat"


def test_a_packet_that_ends_here_is_answered_and_the_exit_code_tells() -> None:
    packet = Ether(ETHERNET["udp"])
    packet[IP].ttl = 1
    del packet[IP].chksum
    result = frame("forward", "--method", "nat", "--hex", bytes(packet).hex())
    assert result.exit_code == 1
    assert "reply_time_exceeded" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "dr", "--server", "10.0.0.11:80"), "only NAT can change the port, dr cannot"),
        (("--method", "nat", "--server", "10.0.0.11:0"), "a server listens on no port 0"),
        (("--method", "nat", "--server", "10.0.0.11:99999"), "'99999' is no port"),
        (("--method", "nat", "--ipv6", "--server", "[2001:db8::1"), "'[2001:db8::1' is no address"),
        (("--method", "nat", "--ipv6", "--server", "[2001:db8::1]x"), "'[2001:db8::1]x' is no address"),
        (("--method", "nat", "--ipv6", "--server", "[2001:db8::1]:"), "'' is no port"),
        (("--method", "nat", "--server", "host"), "'host' is no address"),
        (("--method", "nat", "--server", "2001:db8::1"), "an address of the VIP's family, IPv4"),
        (("--method", "nat", "--hex", "00"), "--hex: no Ethernet frame with a packet for a director: 6 bytes"),
        (("--method", "nat", "--hex", ETHERNET["ping"].hex()), "a director forwards TCP and UDP; this is protocol 1"),
        (("--method", "nat", "/nowhere"), "/nowhere: cannot be read"),
        (("--method", "nat", "--ipv6", "--hex", ETHERNET["tcp"].hex()), "--ipv6: it is for where no frame is given"),
        (("--method", "nat", "--form", "hex"), "is needed"),
        (("--method", "nat", "--hex", ETHERNET["arp"].hex()), "--hex: no Ethernet frame with a packet for a director"),
        (("--method", "nat", "--hex", ETHERNET["arp"].hex()), "it carries no IP packet but type 0x0806"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused("forward", *arguments)


def test_a_capture_of_another_link_is_refused(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "ppp.pcap", 9, [PPP["tcp"]])
    assert "its frames are of link type 9, not Ethernet" in refused("forward", "--method", "nat", path)


def test_a_capture_without_a_frame_is_refused(tmp_path: Path) -> None:
    path = capture_file(tmp_path / "none.pcap", 1, [])
    assert "there is no frame in it" in refused("forward", "--method", "nat", path)
