"""ICMP errors, the director's own and others'."""

from __future__ import annotations

from typing import Final

from tests.golden import changes as to
from tests.golden.difference import Difference

ERRORS: Final = (
    Difference(
        "form of ICMP errors that the director sends itself",
        (
            "any?/no-servers#datagram",
            "any?/only-weight-0#datagram",
            "nat?/ip/hops#ttl-[01]",
            "tun?/ip/hops#ttl-[01]",
            "cross?/ip/hops#ttl-[01]",
            "*/size/*",
            "*/server/removed-expire-nodest-conn#datagram*",
        ),
        "IPv4: without DF, with an identifier; what it quotes has one hop less where it does not fit",
        "with DF and identifier 0 (RFC 6864); quotes the packet as it came, whole words of it",
        "it is written whole from nothing, and no counter is shared by processors",
        to.own_error,
    ),
    Difference(
        "source quench about a reply",
        ("*4/icmp/about-reply/source-quench#error",),
        "sent to the server",
        "left to the kernel, which ignores it",
        "RFC 6633: nobody is to react to it",
        to.nothing,
    ),
    Difference(
        "source quench about a request",
        ("nat4/icmp/about-request/source-quench#error",),
        "sent to the client in its own terms",
        "left to the kernel, which routes it as it is",
        "RFC 6633, as above",
        to.sends(to.routed),
    ),
    Difference(
        "parameter problem about a reply",
        ("*4/icmp/about-reply/parameter-problem#error",),
        "not sent to the server",
        "sent to the server",
        "RFC 792: it is an error about a packet like the others",
        to.sends(to.error_to_server),
    ),
    Difference(
        "parameter problem about a request",
        ("nat4/icmp/about-request/parameter-problem#error",),
        "reaches the client with the server's own address and port",
        "sent to the client in its own terms",
        "the client never asked that address",
        to.sends(to.error_to_client),
    ),
    Difference(
        "ICMPv6 errors of unknown types",
        ("*6/icmp/about-reply/unknown-error#error",),
        "sent to the server, as if they quoted like known ones",
        "left to the kernel",
        "what they carry before the packet they quote is not known",
        to.nothing,
    ),
    Difference(
        "ICMPv6 errors about requests under NAT",
        ("nat6/icmp/about-request/[!u]*#error", "nat6/icmp/about-request/unreachable-*#error"),
        "dropped, unless hardware vouched for their sum, which is added up without its pseudo header",
        "sent to the client in its own terms",
        "a server's packet-too-big must not vanish",
        to.sends(to.error_to_client),
    ),
    Difference(
        "ICMPv6 errors of unknown types about requests under NAT",
        ("nat6/icmp/about-request/unknown-error#error",),
        "dropped",
        "left to the kernel, which routes it",
        "as above",
        to.sends(to.routed),
    ),
    Difference(
        "quote of fewer than eight bytes of the transport",
        ("*/icmp/odd-quotes#[47]-bytes-of-tcp",),
        "four are enough",
        "left to the kernel",
        "RFC 792 promises eight; fewer come from nobody",
        to.nothing,
    ),
    Difference(
        "error to another address than the quoted packet came from",
        ("*/icmp/odd-quotes#to-somebody-else",),
        "sent to the server",
        "left to the kernel, which routes it",
        "RFC 1122 3.2.2: an error goes to whom the packet came from; others are forged",
        to.sends(to.routed_to_router),
    ),
    Difference(
        "quote of a later fragment",
        ("*4/icmp/odd-quotes#quote-of-later-fragment",),
        "its first bytes are read as ports",
        "left to the kernel",
        "nothing is read as ports that is not",
        to.nothing,
    ),
    Difference(
        "errors about a tunnel's own packets",
        ("tun4/icmp/about-tunnel/*#error",),
        "sent on to the client, about the packet inside",
        "end at the tunnel's outer source",
        "that source is spread and nobody's; let the director's route know the way's MTU "
        "([how](lvs.md#narrow-ways-to-tunnels-ends))",
        to.nothing,
    ),
)
