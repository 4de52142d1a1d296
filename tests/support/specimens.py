"""Frames of every kind, built by scapy: another's idea of what they look like."""

from __future__ import annotations

from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, LLC, SNAP, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Packet, Raw

_OPTIONS = [("MSS", 1460), ("NOP", None), ("WScale", 7), ("SAckOK", b""), ("Timestamp", (1, 2))]
_QUOTE = bytes(IP(src="192.0.2.9", dst="192.0.2.7", id=5) / TCP(sport=1025, dport=80, options=_OPTIONS))

IP_PACKETS: dict[str, Packet] = {
    "tcp": IP(src="192.0.2.1", dst="198.51.100.2", id=77, tos=0xB9) / TCP(sport=40000, dport=443, flags="SA", seq=9),
    "tcp options": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / TCP(options=_OPTIONS, flags="SEC") / Raw(b"hello"),
    "udp": IP(src="192.0.2.1", dst="198.51.100.2", id=1, flags="DF", ttl=3) / UDP(sport=53, dport=1024) / Raw(b"xyz"),
    "ip options": IP(src="192.0.2.1", dst="198.51.100.2", id=1, options=[b"\x94\x04\x00\x00"]) / UDP(),
    "ended options": IP(src="192.0.2.1", dst="198.51.100.2", id=1, options=[b"\x01\x00\x07\x02"]) / UDP(),
    "first fragment": IP(src="192.0.2.1", dst="198.51.100.2", id=9, flags="MF") / UDP(len=2000) / Raw(bytes(24)),
    "fragment": IP(src="192.0.2.1", dst="198.51.100.2", id=9, frag=4, proto=17) / Raw(bytes(24)),
    "ping": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / ICMP(id=7, seq=3) / Raw(b"abc"),
    "too big": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(_QUOTE[:48]),
    "redirect": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / ICMP(type=5, code=1, gw="192.0.2.3") / Raw(_QUOTE[:28]),
    "tunnel": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / IP(src="10.0.0.1", dst="10.0.0.2", id=2) / UDP(),
    "tunnel 6 in 4": IP(src="192.0.2.1", dst="198.51.100.2", id=1) / IPv6(src="fd00::1", dst="fd00::2") / TCP(),
    "tcp6": IPv6(src="2001:db8::1", dst="2001:db8::2", tc=9, fl=0x12345) / TCP(sport=1, dport=2) / Raw(b"data"),
    "udp6": IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=2) / UDP(sport=3, dport=4) / Raw(b"data"),
    "ping6": IPv6(src="2001:db8::1", dst="2001:db8::2") / ICMPv6EchoRequest(id=3, seq=4, data=b"x"),
    "too big 6": IPv6(src="2001:db8::1", dst="2001:db8::2")
    / ICMPv6PacketTooBig(mtu=1300)
    / (IPv6(src="2001:db8::2", dst="2001:db8::9") / UDP()),
    "solicitation": IPv6(src="fe80::1", dst="ff02::1:ff00:2", hlim=255)
    / ICMPv6ND_NS(tgt="fe80::2")
    / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:0a"),
    "extension": IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrDestOpt() / UDP(),
    "fragment6": IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=5, offset=3, nh=17) / Raw(bytes(8)),
}
_MACS = {"dst": "02:00:00:00:00:0b", "src": "02:00:00:00:00:0a"}
ETHERNET: dict[str, bytes] = {
    **{name: bytes(Ether(**_MACS) / packet) for name, packet in IP_PACKETS.items()},
    "padded": bytes(Ether(**_MACS) / IP_PACKETS["udp"]).ljust(60, b"\0"),
    "padded ping": bytes(Ether(**_MACS) / IP_PACKETS["ping"]).ljust(60, b"\0"),
    "tagged": bytes(Ether(**_MACS) / Dot1Q(vlan=10, prio=5) / IP_PACKETS["udp"]),
    "stacked": bytes(Ether(**_MACS) / Dot1AD(vlan=2) / Dot1Q(vlan=10, dei=1) / IP_PACKETS["udp6"]),
    "arp": bytes(Ether(**_MACS) / ARP(psrc="192.0.2.1", pdst="192.0.2.2", hwsrc=_MACS["src"])).ljust(60, b"\0"),
    "spanning tree": bytes(Dot3(dst="01:80:c2:00:00:00", src=_MACS["src"]) / LLC() / STP()).ljust(60, b"\0"),
    "snap": bytes(Dot3(**_MACS) / LLC() / SNAP(code=0x0800) / IP_PACKETS["udp"]).ljust(60, b"\0"),
    "unknown type": bytes.fromhex("02000000000b02000000000a88b5") + b"data",
}


def _ppp(protocol: int, packet: bytes) -> bytes:
    return bytes.fromhex(f"ff03{protocol:04x}") + packet


def _control(protocol: int, code: int, data: str) -> bytes:
    octets = bytes.fromhex(data)
    return _ppp(protocol, bytes((code, 7)) + (4 + len(octets)).to_bytes(2, "big") + octets)


PPP: dict[str, bytes] = {
    **{name: _ppp(0x21 if packet.version == 4 else 0x57, bytes(packet)) for name, packet in IP_PACKETS.items()},
    "compressed": bytes([0x21]) + bytes(IP_PACKETS["udp"]),
    "lcp request": _control(
        0xC021, 1, "010405dc 0206000a0000 0305c22305 0506deadbeef 07020802 110405dc 130701c0000201"
    ),
    "lcp options": _control(0xC021, 3, "0304c023 0408c02500000bb8 090306 0a0320 0d0300 630311"),
    "lcp reject": _control(0xC021, 4, "0506deadbeef"),
    "terminate": _control(0xC021, 5, "627965"),
    "code reject": _control(0xC021, 7, "0e070004"),
    "protocol reject": _control(0xC021, 8, "80210101000a0306c0000201"),
    "echo": _control(0xC021, 9, "deadbeef0102"),
    "identification": _control(0xC021, 12, "deadbeef76697064"),
    "ipcp": _control(0x8021, 1, "0306c0000201 8106c0000202 0206002d0f01"),
    "ipcp nak": _control(0x8021, 3, "030600000000"),
    "ipv6cp": _control(0x8057, 1, "010a0000000000000001"),
    "pap": _control(0xC023, 1, "03626f6203706173"),
    "pap ack": _control(0xC023, 2, "026f6b"),
    "chap challenge": _control(0xC223, 1, "0401020304626f62"),
    "chap success": _control(0xC223, 3, "6f6b"),
    "ccp": _control(0x80FD, 1, "1506000000ff"),
    "unknown": _ppp(0x4001, b"data"),
}
CISCO: dict[str, bytes] = {
    **{
        name: bytes.fromhex("0f000800" if packet.version == 4 else "0f0086dd") + bytes(packet)
        for name, packet in IP_PACKETS.items()
    },
    "keep-alive": bytes.fromhex("8f008035 00000002 00000005 00000004 ffff 00012345"),
    "short keep-alive": bytes.fromhex("8f008035 00000002 00000001 00000000 ffff"),
    "address request": bytes.fromhex("8f008035 00000000 00000000 00000000 ffff 0000"),
    "address reply": bytes.fromhex("8f008035 00000001 c0000201 ffffff00 ffff 00000001"),
    "cdp": bytes.fromhex("8f002000 02b4"),
}
HDLC: dict[str, bytes] = {
    "I": bytes.fromhex("0334") + b"text",
    "RR": bytes.fromhex("0371"),
    "REJ": bytes.fromhex("0159"),
    "SABM": bytes.fromhex("033f"),
    "UA": bytes.fromhex("0373"),
    "UI": bytes.fromhex("ff03") + b"text",
}


def damaged(samples: dict[str, bytes]) -> st.SearchStrategy[bytes]:
    """Cut, with an octet changed, or nothing but noise."""
    whole = st.sampled_from([*samples.values()])
    cut = st.builds(lambda octets, size: octets[: size % (len(octets) + 1)], whole, st.integers(0, 200))
    changed = st.builds(_with_octet, whole, st.integers(0, 200), st.integers(0, 255))
    return st.one_of(cut, changed, st.binary(max_size=120))


def _with_octet(octets: bytes, at: int, octet: int) -> bytes:
    at %= len(octets)
    return octets[:at] + bytes((octet,)) + octets[at + 1 :]
