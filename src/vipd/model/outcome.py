"""What became of a packet, and what happened on its way: each name with what it means. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Action(StrEnum):
    """What the first word of an outcome says."""

    FORWARD = "forward"
    "Sent on by XDP."
    ROUTE = "route"
    "Rewritten, then left to the kernel to route."
    PASS = "pass"
    "Given to the kernel as it came."
    REPLY = "reply"
    "Answered by the director itself."
    DROP = "drop"
    "Gone."


OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "forward_dr": "Sent to a real server by direct routing: only the MAC addresses were changed.",
        "forward_nat": "Sent to a real server with its address and port as the destination.",
        "forward_nat_reply": "A real server's reply, sent to the client with the VIP as the source.",
        "forward_tun": "Sent to a real server inside another IP packet.",
        "forward_icmp_error": "An ICMP error about a connection, sent to the end that it concerns.",
        "route_nat": "As forward_nat, but the kernel sends it: no Ethernet, no neighbour yet, or to be fragmented.",
        "route_nat_reply": "As forward_nat_reply, but the kernel sends it.",
        "route_tun": "As forward_tun, but the kernel sends it.",
        "route_icmp_error": "As forward_icmp_error, but the kernel sends it.",
        "pass_local_server": "For a real server that is the director itself.",
        "pass_not_ours": "Neither to a VIP nor from a real server under NAT.",
        "pass_not_ip": "ARP and whatever else is neither IPv4 nor IPv6.",
        "pass_other_mac": "Seen by a promiscuous interface, but sent to another machine's MAC address.",
        "pass_vlan": "Tagged with a VLAN; its packets come again by the VLAN's own interface, if that is there.",
        "pass_no_service": "To a VIP, but to a port that no service listens on.",
        "pass_icmp": "ICMP to a VIP that is not about a known connection, such as a ping.",
        "pass_protocol": "To a VIP, but neither TCP, UDP nor ICMP.",
        "pass_extension_header": "Behind IPv6 extension headers that are not followed.",
        "pass_early_fragment": "A fragment whose first one was not seen before it: where it belongs cannot be told.",
        "pass_options": "IPv4 options that ask for a way of their own (source routes), or that are malformed.",
        "pass_too_big": "A reply too large for the way to the client; the kernel, its router, says so to the server.",
        "pass_ttl": "A reply whose time to live ends here; the kernel, its router, says so to the server.",
        "reply_reset_no_server": "TCP to a service without a server that takes connections: answered with a reset.",
        "reply_reset_server_removed": "TCP of a connection whose server was removed: answered with a reset.",
        "reply_reset_no_connection": (
            "TCP under NAT that cannot be remembered and whose reply could not be told: answered with a reset."
        ),
        "reply_unreachable_no_server": "UDP to a service without a server: answered with ICMP port unreachable.",
        "reply_unreachable_server_removed": "UDP of a flow whose server was removed: ICMP port unreachable.",
        "reply_unreachable_no_connection": (
            "UDP under NAT that cannot be remembered and whose reply could not be told: ICMP port unreachable."
        ),
        "reply_too_big": "Too large for the way to the server: answered with ICMP, which tells the size that fits.",
        "reply_time_exceeded": "Its time to live ended here: answered with ICMP time exceeded.",
        "drop_malformed": "Headers that contradict themselves or the frame's length.",
        "drop_tcp_flags": "TCP flags that no honest stack sends together, such as SYN with FIN.",
        "drop_martian": "To a service, from an address that nobody may send from, such as the VIP itself or loopback.",
        "drop_no_server": "No server, and nothing that may be answered: a reset, or a later fragment.",
        "drop_collision": (
            "Under NAT, the server has a connection with this client address and port already, by another service."
        ),
        "drop_unknown_reply": "A real server's reply under NAT of which nobody knows what the client asked for.",
        "drop_no_route": "No route to the server or client, or direct routing to a server behind a router.",
        "drop_neighbour_unresolved": "Direct routing to a server whose MAC address is not known (yet).",
        "drop_no_ethernet": (
            "Direct routing over an interface that has no MAC addresses, or that only the kernel can send out of; or "
            "a tunnel between two such interfaces that the kernel would take for the other version of IP."
        ),
        "drop_ttl": "Its time to live ended here, and an error about it is not allowed.",
        "drop_too_big": "Too large for the way to the server, and an error about it is not allowed.",
        "drop_no_room_in_frame": "The driver left no room in the frame for an outer header or an answer.",
    }
)

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connection_new": "A connection was made and remembered.",
        "connection_reused": "A SYN on a closing connection ended that one and made a new one.",
        "connection_expired": "A connection was forgotten: nothing was heard of it for its state's timeout.",
        "table_full": "A new connection found no room in the table; it goes on by consistent hash.",
        "stateless": "A packet was forwarded by consistent hash alone, or a reply without memory of its connection.",
        "next_hop_refreshed": "The way to a server or client was asked of the kernel again.",
        "mss_clamped": "A SYN's maximum segment size was lowered, so that the segments fit into the tunnel.",
    }
)


def action(outcome: str) -> Action:
    return Action(outcome.split("_")[0])
