"""What numbers in headers stand for, as IANA and the IEEE have assigned them; only those that a link may well see."""

from __future__ import annotations

from typing import Final

from vipd.wire import ip
from vipd.wire.ppp import Protocol

ETHER_TYPES: Final = {
    0x0800: "IPv4",
    0x0806: "ARP",
    0x0842: "Wake-on-LAN",
    0x2000: "CDP",
    0x6558: "bridged Ethernet",
    0x8035: "SLARP on Cisco HDLC, else RARP",
    0x8100: "VLAN tag",
    0x86DD: "IPv6",
    0x8808: "Ethernet flow control",
    0x8809: "slow protocols, LACP",
    0x8847: "MPLS",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE session",
    0x88A8: "VLAN service tag",
    0x88B5: "local experiment",
    0x88CC: "LLDP",
    0xFEFE: "OSI",
}
IP_PROTOCOLS: Final = {
    ip.HOP_BY_HOP: "hop-by-hop options",
    ip.ICMP: "ICMP",
    2: "IGMP",
    ip.IP_IN_IP: "IPv4 in IP",
    ip.TCP: "TCP",
    ip.UDP: "UDP",
    ip.IPV6_IN_IP: "IPv6 in IP",
    ip.ROUTING: "routing header",
    ip.FRAGMENT: "fragment header",
    47: "GRE",
    50: "ESP",
    51: "AH",
    ip.ICMPV6: "ICMPv6",
    ip.NO_NEXT_HEADER: "nothing follows",
    ip.DESTINATION_OPTIONS: "destination options",
    89: "OSPF",
    112: "VRRP",
    132: "SCTP",
}
SERVICE_ACCESS_POINTS: Final = {
    0x00: "null",
    0x42: "spanning tree",
    0xAA: "SNAP",
    0xE0: "IPX",
    0xF0: "NetBIOS",
    0xFE: "OSI",
    0xFF: "global",
}
ARP_OPERATIONS: Final = {1: "request: who has it?", 2: "reply: it is at"}
ECN: Final = {0: "not ECN-capable", 1: "ECT(1)", 2: "ECT(0)", 3: "congestion experienced"}
TCP_OPTIONS: Final = {
    0: "end of options",
    1: "no operation",
    2: "maximum segment size",
    3: "window scale",
    4: "SACK permitted",
    5: "SACK",
    8: "timestamps",
}
IPV4_OPTIONS: Final = {0: "end of options", 1: "no operation", 7: "record route", 68: "timestamp", 148: "router alert"}
ICMP_TYPES: Final = {
    0: "echo reply",
    3: "destination unreachable",
    4: "source quench",
    5: "redirect",
    8: "echo request",
    11: "time exceeded",
    12: "parameter problem",
}
UNREACHABLE: Final = {
    0: "network",
    1: "host",
    2: "protocol",
    3: "port",
    4: "fragmentation needed and DF set",
    10: "host administratively prohibited",
    13: "administratively prohibited",
}
ICMPV6_TYPES: Final = {
    1: "destination unreachable",
    2: "packet too big",
    3: "time exceeded",
    4: "parameter problem",
    128: "echo request",
    129: "echo reply",
    130: "multicast listener query",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    143: "multicast listener report",
}
ND_OPTIONS: Final = {1: "source's MAC", 2: "target's MAC", 3: "prefix", 5: "MTU"}
_PPP_NAMES: Final[dict[int, str]] = {
    Protocol.IPV4: "IPv4",
    Protocol.IPV6: "IPv6",
    **{each: each.name for each in Protocol if each.name in {"IPCP", "IPV6CP", "LCP", "PAP", "CHAP", "EAP", "MPLS"}},
}


def ppp_protocol(number: int) -> str:
    try:
        return _PPP_NAMES.get(number) or Protocol(number).name.replace("_", " ").lower()
    except ValueError:
        return "unknown"
