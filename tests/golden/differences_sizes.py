"""What does not fit, and fragments."""

from __future__ import annotations

from typing import Final

from tests.golden import changes as to
from tests.golden.difference import Difference

SIZES: Final = (
    Difference(
        "too large for a tunnel or a link, without DF",
        (
            "tun4/size/datagrams#1481",
            "cross4/size/datagrams#1461",
            "tun4/size/narrow-datagrams#1381",
            "dr4/size/narrow-datagrams#1401",
        ),
        "fragmented",
        "answered with ICMP, which tells the size that fits",
        "XDP cannot fragment, and the kernel could not route it: it never vanishes in silence, and the next one fits",
        to.sends(to.too_big_by_one),
    ),
    Difference(
        "atomic IPv6 fragments",
        ("*6/ip/extension-headers#atomic-fragment*",),
        "lose their fragment header; through a tunnel the outer packet gets one",
        "go as they came",
        "RFC 6946: a whole packet",
        to.sends(to.forwarded),
    ),
    Difference(
        "fragments of a datagram",
        tuple(f"*/fragments/{name}#*" for name in ("in-order", "twice", "not-to-be-fragmented")),
        "put together, then fragmented anew; the tunnel's packet is fragmented",
        "each forwarded as it comes, by the ports of the first; each in a tunnel's packet of its own",
        "nothing is kept that an attacker could fill",
        to.both(to.sends(to.forwarded), to.remembers(lambda here: here.known(to.OF_UDP))),
    ),
    Difference(
        "fragments that come before their first one",
        ("*/fragments/reversed#piece-0",),
        "kept until all are there",
        "left to the kernel, which cannot put them together; the first one is forwarded",
        "nothing is kept that an attacker could fill; senders send the first one first",
        to.sends(to.forwarded),
    ),
    Difference(
        "fragments of TCP segments",
        ("*/fragments/in-connection#piece-?",),
        "put together, then fragmented anew, elsewhere than before",
        "each forwarded as it comes",
        "nothing is kept that an attacker could fill",
        to.sends(to.forwarded),
    ),
    Difference(
        "SYN in fragments",
        ("*/fragments/syn-in-pieces#*", "*/fragments/overlapping#piece-0"),
        "put together",
        "the first one begins the connection, each is forwarded as it comes",
        "nothing is kept that an attacker could fill",
        to.both(to.sends(to.forwarded), to.remembers(lambda here: here.known(to.OF_SYN))),
    ),
    Difference(
        "fragment that would overwrite TCP's flags",
        ("*/fragments/overlapping#piece-over-it",),
        "waits for what is missing",
        "dropped (`drop_malformed`)",
        "RFC 1858 3.2.2, RFC 5722",
        to.as_before,
    ),
    Difference(
        "first fragment without all of TCP's header",
        ("*4/fragments/tiny-first#piece-1",),
        "put together and forwarded",
        "dropped (`drop_malformed`)",
        "RFC 1858 3.2.1: it hides flags from filters",
        to.dropped,
    ),
    Difference(
        "fragments of a reply under NAT",
        ("nat?/fragments/reply-in-pieces#piece-*",),
        "put together, then fragmented anew",
        "each forwarded as it comes",
        "nothing is kept that a server could fill",
        to.sends(to.answered),
    ),
    Difference(
        "large fragments",
        tuple(f"{method}/fragments/large#*" for method in ("nat?", "dr?", "tun4")),
        "put together, then fragmented anew; the tunnel's packet is fragmented",
        "each forwarded as it comes",
        "nothing is kept that an attacker could fill",
        to.both(to.sends(to.forwarded), to.remembers(lambda here: here.known(to.OF_UDP))),
    ),
    Difference(
        "fragments too large for a tunnel",
        ("tun6/fragments/large#piece-*", "cross?/fragments/large#piece-*"),
        "put together; the tunnel's packet is fragmented",
        "the first one is answered with ICMP, which tells the size that fits; others are dropped if they do not fit",
        "the sender makes smaller ones the next time",
        to.both(to.as_far_as_they_fit, to.remembers(lambda here: here.known(to.OF_UDP))),
    ),
)
