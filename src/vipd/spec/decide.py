"""The pipeline: a list of stages, one exit. The same as bpf/vipd.bpf.c, in words of the rules."""

from __future__ import annotations

from dataclasses import dataclass

from vipd.model.outcome import Action, action
from vipd.spec import answer, leaving, table
from vipd.spec.admit import admit
from vipd.spec.configuration import Configuration
from vipd.spec.forward import forward
from vipd.spec.icmp import about_connection
from vipd.spec.lookup import lookup
from vipd.spec.packet import Ingress, Journey
from vipd.spec.parse import link_of, parse
from vipd.spec.reason import Reason
from vipd.spec.routes import Routes
from vipd.spec.schedule import schedule
from vipd.spec.state import Draft, Entry, Flow, Tables


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one packet."""

    outcome: str
    "A key of model.outcome.OUTCOMES."
    frame: bytes
    "As it leaves, by XDP or to the kernel; a dropped one as it came."
    egress: int | None
    "The ifindex that XDP sends out of; None: the kernel has the frame, or nobody."
    events: tuple[str, ...]
    "Keys of model.outcome.EVENTS, in their order on the way."
    draft: Draft
    "What is remembered from now on: see State.apply."
    reasons: tuple[Reason, ...]
    service: int = 0
    "Number of the service that it was for; 0: of none, or that was not asked."
    server: int = 0
    "Number of the real server that it was for, or from; 0: of none."
    flow: Flow | None = None
    "Of TCP and UDP, as its headers show it; None where they were not read, as a later fragment's cannot be."

    @property
    def action(self) -> Action:
        return action(self.outcome)


def decide(
    configuration: Configuration, state: Tables, frame: bytes, ingress: Ingress, now: int, routes: Routes
) -> Decision:
    """`now` in nanoseconds of the data plane's clock. Nothing that is given is changed."""
    link, packet = link_of(frame, ingress.ethernet)
    journey = Journey(configuration, Draft(state), routes, ingress, now, link, packet)
    outcome = parse(journey)
    if outcome is None:
        outcome = about_connection(journey) if journey.is_icmp else _flow(journey)
    if leaving.is_misread(journey, frame, outcome):
        outcome = "drop_no_ethernet"
    kept = action(outcome) in (Action.DROP, Action.PASS)
    made = frame if kept else _framed(journey)
    return Decision(
        outcome,
        made,
        journey.egress,
        tuple(journey.events),
        journey.draft,
        tuple(journey.reasons),
        journey.service,
        journey.server,
        journey.flow if journey.tcp or journey.udp else None,
    )


def _flow(journey: Journey) -> str:
    """Of a known connection, or perhaps of a new one; then on its way."""
    outcome = lookup(journey)
    if outcome is None and journey.removed:
        entry = journey.draft.connections.get(journey.flow)
        assert isinstance(entry, Entry)
        table.end(journey, journey.flow, entry)
        return answer.refuse(journey, "server_removed")
    if outcome is None and journey.known is None:
        outcome = admit(journey)
        if outcome is None and not journey.is_reply:
            outcome = schedule(journey)
    return outcome or forward(journey)


def _framed(journey: Journey) -> bytes:
    link = journey.link
    if link is None:
        return bytes(journey.packet)
    return link.destination + link.source + link.type.to_bytes(2, "big") + bytes(journey.packet)
