"""What a scheduler did in a simulation, over all endpoints, so that it can stand beside another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from vipd.simulation.course import Tally
from vipd.simulation.report import ActReport, Imbalance, Report


@dataclass(frozen=True, slots=True)
class Upset:
    """What a change did to the connections that were open; `stayed`, `moved` and `ended` are all of them."""

    change: str
    at: float
    open: int
    stayed: int
    "Go on at the server that they had."
    moved: int
    "Their packets come to another server. TCP: which does not know them, so that they break."
    ended: int
    "Refused or reset by the director."
    unavoidable: int
    "Had a server that was removed: none could stay, unless on_server_removed is keep."
    elsewhere: float | None
    "Share of later connections whose client had another server before; None: no client has one of its own."
    least_elsewhere: float
    "The least share that weights allow."


@dataclass(frozen=True, slots=True)
class Verdict:
    upsets: tuple[Upset, ...]
    "Of each change."
    worst: Imbalance
    "Of any endpoint at any time."
    where: str
    "The service and server that got most new connections for its weight."
    refused: int
    "New connections that no server was there for."


def verdict(report: Report) -> Verdict:
    acts = [act for endpoint in report.endpoints for act in endpoint.acts]
    worst = Imbalance(
        max(act.imbalance.connections for act in acts),
        max(act.imbalance.open for act in acts),
        max(act.imbalance.peak for act in acts),
    )
    loads = [
        (server.got / server.wanted, f"{endpoint.service} {server.server}")
        for endpoint in report.endpoints
        for act in endpoint.acts
        for server in act.servers
        if server.wanted
    ]
    by_change = list(zip(*(endpoint.acts[1:] for endpoint in report.endpoints), strict=True))
    return Verdict(
        tuple(_upset(each) for each in by_change),
        worst,
        max(loads, default=(0.0, ""))[1],
        sum(act.refused for act in acts),
    )


def _upset(acts: Iterable[ActReport]) -> Upset:
    """Of one change, over all endpoints."""
    found = [(act, act.effect) for act in acts if act.effect]
    tally = total(effect.connections for _, effect in found)
    arrivals = [act.connections + act.refused for act, _ in found]
    every = max(1, sum(arrivals))
    shares = [effect.elsewhere for _, effect in found]
    known = [share for share in shares if share is not None]
    return Upset(
        found[0][0].change,
        found[0][0].at,
        tally.open,
        tally.stayed,
        tally.moved,
        tally.ended,
        sum(effect.least for _, effect in found),
        None
        if len(known) < len(shares)
        else sum(share * count for share, count in zip(known, arrivals, strict=True)) / every,
        sum(effect.least_elsewhere * count for (_, effect), count in zip(found, arrivals, strict=True)) / every,
    )


def total(tallies: Iterable[Tally]) -> Tally:
    found = Tally()
    for tally in tallies:
        for each in fields(Tally):
            setattr(found, each.name, getattr(found, each.name) + getattr(tally, each.name))
    return found
