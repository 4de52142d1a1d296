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


REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "forward_dr": (
            "Nothing. Clients that get no answer all the same: `vipd real-server status` on the server, which answers "
            "them itself."
        ),
        "forward_nat": (
            "Nothing. If forward_nat_reply stays behind it, the servers' way back to the clients does not lead through "
            "the director."
        ),
        "forward_nat_reply": "Nothing.",
        "forward_tun": "Nothing. Clients that get no answer all the same: as for forward_dr.",
        "forward_icmp_error": "Nothing.",
        "route_nat": (
            "On a point-to-point link or for fragments: nothing. On Ethernet, see why the server's neighbour is not "
            "resolved (`ip neigh`), and whether its interface is among `interfaces`."
        ),
        "route_nat_reply": (
            "On a point-to-point link: nothing. On Ethernet, list the interface towards the clients under `interfaces`."
        ),
        "route_tun": "As for route_nat.",
        "route_icmp_error": "As for route_nat.",
        "pass_local_server": "Nothing.",
        "pass_not_ours": "Nothing; if clients' packets are among them, compare the VIPs of `vipd status` with theirs.",
        "pass_not_ip": "Nothing.",
        "pass_other_mac": "Nothing, unless it is much: then the switch floods, or the port gets a mirror's traffic.",
        "pass_vlan": "List the VLAN's own interface (eth0.5) under `interfaces`, not the one below it.",
        "pass_no_service": "If clients are to reach that port, add it to a service's `listen`.",
        "pass_icmp": "Nothing; the director's own kernel answers, or its firewall does not let it.",
        "pass_protocol": "Nothing; the director's own kernel answers, or not.",
        "pass_extension_header": "Nothing; the director's own kernel answers. Clients reach services without them.",
        "pass_early_fragment": (
            "Fragments came in another order, or the first was lost: avoid fragments by smaller datagrams, or find "
            "who on the way to the director reorders."
        ),
        "pass_options": "Nothing; honest clients send none of these.",
        "pass_too_big": "Let ICMP through between director and servers: the server learns the smaller size by it.",
        "pass_ttl": "Look for a loop between director and server, or for servers that send with too low a TTL.",
        "reply_reset_no_server": "Give the service a server of weight above 0: `vipd status`, `vipd undrain`.",
        "reply_reset_server_removed": (
            "Expected after a removal; `on_server_removed: keep` or `reschedule` treats known connections otherwise."
        ),
        "reply_reset_no_connection": (
            "Raise `connections` if table_full grows; else the packets are of connections that nobody knows any more."
        ),
        "reply_unreachable_no_server": "As for reply_reset_no_server.",
        "reply_unreachable_server_removed": "As for reply_reset_server_removed.",
        "reply_unreachable_no_connection": "As for reply_reset_no_connection.",
        "reply_too_big": (
            "Let the ICMP errors reach the clients; if somebody filters them, raise the MTU of the way to the servers "
            "or lower the MSS there."
        ),
        "reply_time_exceeded": "A traceroute, or a loop: see whether the routes of VIP and servers lead back here.",
        "drop_malformed": "Find who sends them: `vipd trace --outcome drop_malformed --pcap bad.pcap`.",
        "drop_tcp_flags": "A scan; nothing, or a filter before the director.",
        "drop_martian": (
            "A forged source; filter where the network begins. If it is a server's own address, let it use the server "
            "without the VIP."
        ),
        "drop_no_server": "Give the service a server of weight above 0: `vipd status`, `vipd undrain`.",
        "drop_collision": (
            "One client uses the same port for two services on one server: give the services servers, or server "
            "ports, of their own."
        ),
        "drop_unknown_reply": (
            "Its connection is forgotten or was never known: compare `timeouts` with the server's own, and raise "
            "`connections` if table_full grows."
        ),
        "drop_no_route": (
            "Add the route (`ip route get ADDRESS`); under dr, servers must be on an Ethernet segment of the director, "
            "else use nat or tun."
        ),
        "drop_neighbour_unresolved": "See whether the server is up and answers ARP: `ip neigh show ADDRESS`, `ping`.",
        "drop_no_ethernet": "Use `method: nat` or `tun` for servers behind such an interface.",
        "drop_ttl": "Look for a loop on the way to the servers.",
        "drop_too_big": (
            "Raise the MTU of the way to the server, or have clients send smaller datagrams: of a later fragment "
            "nobody may be told."
        ),
        "drop_no_room_in_frame": (
            "The driver cannot do XDP with 256 bytes before the frame: another driver, or generic mode; `vipd status` "
            "shows which is in use."
        ),
        "connection_new": "Nothing.",
        "connection_reused": "Nothing.",
        "connection_expired": (
            "Nothing. Connections that are idle for long and must live: raise `timeouts`, or let them send keep-alives."
        ),
        "next_hop_refreshed": "Nothing.",
        "mss_clamped": "Nothing; `clamp_mss: false` leaves them as they are.",
        "table_full": "Raise `connections`, or shorten `timeouts`; see `vipd connections` for who holds them.",
        "stateless": "Raise `connections` if table_full grows as well; after a restart of the table it passes.",
    }
)
"What to do about an outcome or event. What is as it should be begins with `Nothing`."

CHANGED: Final = frozenset(
    name for name in OUTCOMES if Action(name.split("_")[0]) in (Action.FORWARD, Action.ROUTE, Action.REPLY)
)
"Outcomes after which the frame is not as it came."


def remedy(name: str) -> str:
    """What to do about an outcome or event; empty where it is as it should be."""
    text = REMEDIES[name]
    return "" if text.startswith("Nothing") else text


def action(outcome: str) -> Action:
    return Action(outcome.split("_")[0])
