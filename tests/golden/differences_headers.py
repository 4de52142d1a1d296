"""TCP, UDP and what IP's headers carry."""

from __future__ import annotations

from typing import Final

from tests.golden import changes as to
from tests.golden.difference import Difference

TRANSPORTS: Final = (
    Difference(
        "TCP segment of an unknown connection",
        ("*/tcp/lone-ack#*", "*/tcp/lone-data#*", "*/tcp/lone-fin#*", "*/tcp/lone-rst#*"),
        "left to the director's own stack, which resets it",
        "forwarded by consistent hash, leaves no entry",
        "a connection that was made without us, or forgotten, goes on where it can",
        to.sends(to.forwarded),
    ),
    Difference(
        "what begins a connection",
        ("*/tcp/lone-syn-ack#*",),
        "any segment with SYN",
        "SYN without ACK",
        "nobody opens one with a SYN-ACK; it goes by consistent hash like others",
        to.unknown,
    ),
    Difference(
        "flags that no stack sends together",
        ("*/tcp/lone-null#*", "*/tcp/lone-syn-fin#*", "*/tcp/lone-fin-alone#*"),
        "forwarded where SYN is among them, else reset by the director's own stack",
        "dropped (`drop_tcp_flags`)",
        "a scan gets no answer, and makes no connection",
        to.dropped,
    ),
    Difference(
        "such flags within a connection",
        tuple(
            f"*/tcp/odd-in-connection#{name}" for name in ("null", "xmas", "syn-fin", "syn-rst", "fin-alone", "rst-fin")
        ),
        "forwarded; the state follows them",
        "dropped; the state stays",
        "nobody can end or prolong another's connection with them",
        to.both(to.nothing, to.as_before),
    ),
    Difference(
        "TCP header longer than its packet, or shorter than TCP's",
        ("*/tcp/header-longer-than-packet#*", "*/tcp/header-too-short#*"),
        "forwarded, makes a connection",
        "dropped (`drop_malformed`)",
        "no server would take it",
        to.dropped,
    ),
    Difference(
        "UDP length that is wrong",
        ("*/udp/longer-than-packet#*", "*/udp/length-of-nothing#*"),
        "forwarded, makes a connection",
        "dropped (`drop_malformed`)",
        "no server would take it",
        to.dropped,
    ),
    Difference(
        "port used again in FIN_WAIT",
        ("*/tcp/used-again-early#syn-again", "dr?/tcp/used-again#syn-again", "tun?/tcp/used-again#syn-again"),
        "to the old server (`conn_reuse_mode` 1)",
        "a new connection, scheduled like any",
        "under DR and TUN a connection never gets further than FIN_WAIT, and its server may have been drained",
        to.sends(to.forwarded_to_second),
    ),
    Difference(
        "MSS of a SYN that goes through a tunnel",
        ("tun?/tcp/syn-with-all#syn", "cross?/tcp/syn-with-all#syn"),
        "as it came",
        "lowered to what fits (`clamp_mss`)",
        "so that transfers need no ICMP to get through",
        to.clamped,
    ),
    Difference(
        "UDP without a checksum under NAT",
        ("nat?/udp/no-sum#*",),
        "gets one",
        "stays without",
        "RFC 768: the sender wanted none. IPv6 forbids it, and a wrong packet is not made right",
        to.without_udp_sum,
    ),
)

IP: Final = (
    Difference(
        "Ethernet's padding",
        ("*/ip/lengths#padded",),
        "cut off",
        "left at the frame's end",
        "it is no part of the IP packet, and cutting costs time",
        to.padded,
    ),
    Difference(
        "IPv4 header with a wrong sum",
        ("*4/ip/lengths#wrong-sum",),
        "dropped",
        "forwarded, as wrong as it came",
        "the server drops it; to add it up for each packet costs time",
        to.sends(to.forwarded),
    ),
    Difference(
        "sources that nobody sends from",
        ("*/ip/martians#*",),
        "0.0.0.0/8 but 0.0.0.0 itself, 240.0.0.0/4, ::, ::ffff:0:0/96, an IPv6 VIP itself and the server's own address "
        "are forwarded; others make a connection all the same",
        "dropped (`drop_martian`)",
        "RFC 1812 5.3.7, RFC 4291 2.5.2: such a packet comes from a mistake or an attacker",
        to.dropped,
    ),
    Difference(
        "IPv4 options that ask routers to write",
        ("*4/ip/options#record-route", "*4/ip/options#timestamp"),
        "written",
        "carried as they are",
        "nobody relies on them (RFC 7126 4.5, 4.7), and writing costs time",
        to.sends(to.forwarded),
    ),
    Difference(
        "IPv6 hop-by-hop options that are unknown",
        ("*6/ip/extension-headers#hop-by-hop-to-drop", "*6/ip/extension-headers#hop-by-hop-to-tell"),
        "acted upon",
        "carried",
        "RFC 8200 4: a node on the way need not look at them; the server does",
        to.sends(to.forwarded),
    ),
    Difference(
        "IPv6 routing header that leads on",
        ("*6/ip/extension-headers#routing-?-left",),
        "forwarded",
        "left to the kernel, which tells the sender",
        "RFC 8200 4.4, RFC 5095: the VIP is not the packet's last address",
        to.sends(to.routing_refused),
    ),
    Difference(
        "eight IPv6 extension headers",
        ("*6/ip/extension-headers#eight",),
        "forwarded, however many",
        "left to the kernel (`pass_extension_header`)",
        "a walk must end; seven are followed",
        to.sends(to.port_refused_by_kernel),
    ),
)
