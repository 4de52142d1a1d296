"""The same as JSON: complete, and stable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vipd.cli.frame.changes import Changes, changes, changes_as_json
from vipd.explain.advice import advice
from vipd.explain.scene import Scene
from vipd.explain.verdict import Answers, Verdict
from vipd.explain.walk import Walk, candidates, method_text, seconds_left, sentence, server_of, service_of
from vipd.model.outcome import OUTCOMES
from vipd.spec import Reason
from vipd.spec.state import Entry, Flow, ReplyEntry


def as_json(answers: Answers, origin: str) -> dict[str, Any]:
    scene = answers.scene
    packets = [walk_as_json(done, scene) for done in answers.walks]
    for packet, verdict in zip(packets, answers.verdicts, strict=False):
        packet["program"] = _verdict(verdict)
    return {
        "director": origin,
        "assumed": list(scene.assumed),
        "secret_known": scene.secret_known,
        "packets": packets,
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "outcome": verdict.outcome,
        "action": verdict.action,
        "frame": verdict.frame.hex(),
        "agrees": not verdict.wrong,
        "disagreements": list(verdict.wrong),
    }


def walk_as_json(done: Walk, scene: Scene) -> dict[str, Any]:
    decision = done.decision
    return {
        "interface": scene.names.interface(done.packet.ingress.ifindex),
        "frame": done.packet.frame.hex(),
        "notes": list(done.packet.notes),
        "flow": _flow(done.flow),
        "service": _service(done, scene),
        "connection": {
            "known": done.is_known,
            "before": _entry(done.before, scene),
            "after": _entry(done.after, scene),
        },
        "candidates": [asdict(each) for each in candidates(done, scene)],
        "server": _server(done, scene),
        "outcome": decision.outcome,
        "action": decision.action,
        "meaning": OUTCOMES[decision.outcome],
        "events": list(decision.events),
        "egress": None if decision.egress is None else scene.names.interface(decision.egress),
        "sent": done.sent.hex() or None,
        "changes": changes_as_json(changes_of(done)),
        "reasons": [_reason(reason, scene) for reason in decision.reasons],
        "advice": list(advice(done, scene)),
    }


def changes_of(done: Walk) -> Changes:
    return changes(done.packet.frame, done.sent, done.came_bare, done.sent_bare)


def _flow(flow: Flow | None) -> dict[str, Any] | None:
    if flow is None:
        return None
    return {**flow._asdict(), "source": str(flow.source), "destination": str(flow.destination)}


def _service(done: Walk, scene: Scene) -> dict[str, Any] | None:
    service = service_of(done, scene)
    if service is None:
        return None
    endpoint = service.endpoint
    return {
        "name": scene.names.service(endpoint),
        "listen": str(endpoint),
        "scheduler": service.scheduler,
    }


def _server(done: Walk, scene: Scene) -> dict[str, Any] | None:
    server = server_of(done, scene)
    if server is None:
        return None
    return {
        "address": str(server.address),
        "port": server.port,
        "method": method_text(server),
        "weight": server.weight,
        "removed": server.removed,
    }


def _entry(entry: Entry | ReplyEntry | None, scene: Scene) -> dict[str, Any] | None:
    """As it stands in the connection table; a reply's entry has no state of its own, but the client's has."""
    if entry is None:
        return None
    server = scene.configuration.servers.get(entry.server)
    found: dict[str, Any] = {"server": None if server is None else str(server.address)}
    if isinstance(entry, ReplyEntry):
        return found | {"reply_of": _flow(entry.client)}
    left = round(seconds_left(entry, scene.now), 3)
    return found | {"state": entry.state, "expires": left, "two_way": entry.two_way, "reply": _flow(entry.reply)}


def _reason(reason: Reason, scene: Scene) -> dict[str, Any]:
    return {
        "rule": str(reason.rule),
        "text": sentence(reason, scene),
        "source": reason.rule.source,
        "facts": _facts(reason.facts),
    }


def _facts(facts: Mapping[str, object]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | float | str | None) else str(value) for name, value in facts.items()}
