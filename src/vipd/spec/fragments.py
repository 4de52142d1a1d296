"""Later fragments have no ports: they get those of their datagram's first one, if that came before."""

from __future__ import annotations

from typing import Final

from vipd.spec.packet import Journey, Part
from vipd.spec.reason import rules_of
from vipd.spec.state import FragmentKey, Ports

LIFETIME: Final = 30_000_000_000
"Nanoseconds. RFC 791 3.2 suggests 15 s, RFC 8200 4.5 says 60 s; Linux's ipfrag_time is 30 s."

_rule = rules_of("fragment")
FIRST = _rule(
    "first", "the first fragment of datagram {identification}: its ports are kept for the others", "RFC 791 3.2"
)
LATER = _rule(
    "later",
    "a later fragment of datagram {identification}: ports {source} and {destination}, from the first one",
    "RFC 791 3.2, RFC 8200 4.5",
)
EARLY = _rule(
    "early",
    "a later fragment of datagram {identification}, whose first one was not seen within 30 s: the kernel's",
    "RFC 791 3.2, RFC 8200 4.5",
)


def ports(journey: Journey) -> str | None:
    flow = journey.flow
    key = FragmentKey(flow.source, flow.destination, journey.identification, flow.protocol)
    if journey.part is Part.FIRST:
        journey.draft.fragments.put(key, Ports(flow.source_port, flow.destination_port, journey.now))
        journey.because(FIRST, identification=journey.identification)
        return None
    found = journey.draft.fragments.get(key)
    if found is None or not 0 <= journey.now - found.seen_at <= LIFETIME:
        journey.because(EARLY, identification=journey.identification)
        return "pass_early_fragment"
    journey.flow = flow._replace(source_port=found.source, destination_port=found.destination)
    journey.because(LATER, identification=journey.identification, source=found.source, destination=found.destination)
    return None
