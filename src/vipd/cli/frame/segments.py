"""Stations that send frames through a segment in memory, one event after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

from rich.text import Text

from vipd.cli.frame.choices import SegmentKind
from vipd.cli.frame.source import mistake
from vipd.cli.output import console, grid
from vipd.segment.network import End, Network
from vipd.segment.segment import Hub, PointToPoint, Segment
from vipd.segment.switch import Switch, Verdict
from vipd.segment.table import Learning
from vipd.segment.vlan import Vlans, access, trunk
from vipd.wire.ethernet import BROADCAST, mac_text

_STORIES: Final = {
    SegmentKind.HUB: ("a:b", "b:a", "c:all"),
    SegmentKind.SWITCH: ("a:b", "b:a", "a:b", "c:all", "+301", "a:b", "a@3:b", "b:a"),
    SegmentKind.POINT_TO_POINT: ("a:b", "b:a", "a=45000014"),
}
_EVENT: Final = re.compile(
    r"\+(?P<seconds>\d+(?:\.\d+)?)|(?P<by>[a-z])(?:@(?P<port>\d+))?(?::(?P<to>[a-z]|all|group)|=(?P<octets>[0-9a-fA-F]*))"
)
_GROUP: Final = bytes.fromhex("01005e000001")
_TYPE: Final = bytes.fromhex("88b5")
"Local experiments' (IEEE 802)."
_PADDING: Final = bytes(46)
_VERDICTS: Final = {
    Verdict.UNICAST: "it knows where {to} is",
    Verdict.FLOODED_UNKNOWN: "{to} was not heard of: to all",
    Verdict.FLOODED_GROUP: "to all, as it is meant",
    Verdict.SAME_PORT: "{to} is at the port that it came from",
    Verdict.RESERVED: "for the switch itself, and no further",
    Verdict.BAD_SOURCE: "nobody can be its sender",
    Verdict.TOO_SHORT: "too short to be a frame",
    Verdict.OTHER_VLAN: "of no VLAN of this port",
}
_NOBODY_ELSE: Final = "nobody else is in its VLAN"
_LEARNED: Final = {
    Learning.NEW: "learns that {by} is at port {port}",
    Learning.MOVED: "learns that {by} has moved to port {port}",
    Learning.FULL: "has no room for {by} in its table",
}


@dataclass(frozen=True, slots=True)
class Setup:
    kind: SegmentKind
    events: tuple[str, ...]
    ports: int | None
    ageing: float
    vlans: tuple[str, ...]
    loop: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One frame and what became of it."""

    time: float
    "Seconds since the first."
    sent: str
    "Who sends what, in words."
    port: int
    "Where it comes in."
    heard_by: list[str]
    "Where it leaves: stations, or ports that have none."
    why: str
    learned: str = ""
    "By a switch, of the sender; empty where that was known."
    frames: int = 1
    "On cables because of it."
    storm: bool = False
    "Whether it would never have ended."


@dataclass
class _Stage:
    """Where everybody is. A station has the first free port from its first frame on."""

    setup: Setup
    port_count: int
    now: float = 0.0
    places: dict[str, int] = field(default_factory=dict)

    def place(self, station: str) -> int:
        if station not in self.places:
            free = [port for port in range(self.port_count) if port not in self.places.values()]
            if not free and self.setup.kind is SegmentKind.POINT_TO_POINT:
                raise mistake("EVENT", f"there is no end left for {station}: a line has two, and no more")
            if not free:
                raise mistake("EVENT", f"there is no port left for {station}; --ports {self.port_count + 1} makes one")
            self.places[station] = free[0]
        return self.places[station]

    def move(self, station: str, port: int) -> None:
        if port >= self.port_count:
            raise mistake("EVENT", f"there is no port {port}; 0 to {self.port_count - 1} are, more with --ports")
        others = [other for other, place in self.places.items() if place == port and other != station]
        if others:
            raise mistake("EVENT", f"port {port} is {others[0]}'s")
        self.places[station] = port

    def name(self, port: int) -> str:
        return next((station for station, place in self.places.items() if place == port), f"port {port}")


def play(setup: Setup, as_json: bool) -> None:
    told = list(_play(setup))
    if as_json:
        print(json.dumps([asdict(each) for each in told], indent=2))
        return
    screen, table = console(), grid()
    for heading in ("time", "frame", "port", "leaves to", "why"):
        table.add_column(heading, justify="right" if heading in ("time", "port") else "left")
    for each in told:
        table.add_row(f"{each.time:g}", each.sent, str(each.port), _leaves(each), f"{each.why}{_and(each.learned)}")
    screen.print(table)


def _and(learned: str) -> str:
    return f"; {learned}" if learned else ""


def _leaves(told: Told) -> Text:
    if told.storm:
        return Text(f"storm: {told.frames} frames, then stopped", "bold red")
    return Text(", ".join(told.heard_by), "green") if told.heard_by else Text("nobody", "dim")


def _play(setup: Setup) -> Iterator[Told]:
    stage = _Stage(setup, setup.ports or (2 if setup.kind is SegmentKind.POINT_TO_POINT else 4))
    events = setup.events or _STORIES[setup.kind]
    matches = [_parsed(event) for event in events]
    for match in matches:
        for station in (match["by"], match["to"]):
            if station and len(station) == 1:
                stage.place(station)
    segment = _segment(setup, stage)
    for match in matches:
        if match["seconds"]:
            stage.now += float(match["seconds"])
            continue
        if match["port"]:
            stage.move(match["by"], int(match["port"]))
        frame, sent = _frame(match)
        yield _send(stage, segment, match, frame, sent)


def _parsed(event: str) -> re.Match[str]:
    match = _EVENT.fullmatch(event)
    if match is None or len(match["octets"] or "") % 2:
        raise mistake("EVENT", f"{event!r} is none: a:b, a:all, a:group, a@3:b, a=HEX and +60 are")
    return match


def mac(station: str) -> bytes:
    """02:00:00:00:00:0a for a, and so on."""
    return bytes.fromhex("0200000000") + bytes([ord(station) - ord("a") + 10])


def _frame(match: re.Match[str]) -> tuple[bytes, str]:
    by, to = match["by"], match["to"]
    if to is None:
        return bytes.fromhex(match["octets"]), f"{by} sends {match['octets'] or 'nothing'}"
    destination = {"all": BROADCAST, "group": _GROUP}.get(to) or mac(to)
    return destination + mac(by) + _TYPE + _PADDING, f"{by} to {to}"


def _segment(setup: Setup, stage: _Stage) -> Segment:
    if setup.vlans and setup.kind is not SegmentKind.SWITCH:
        raise mistake("--vlan", f"only a switch knows VLANs, no {setup.kind}")
    match setup.kind:
        case SegmentKind.HUB:
            return Hub(range(stage.port_count))
        case SegmentKind.SWITCH:
            return Switch(range(stage.port_count), _vlans(setup, stage), setup.ageing)
        case _:
            if stage.port_count != 2 or setup.loop:
                raise mistake("p2p", "a line has two ends, no more; and no loop can be made of it")
            return PointToPoint()


def _vlans(setup: Setup, stage: _Stage) -> dict[int, Vlans] | None:
    if not setup.vlans:
        return None
    ports = dict.fromkeys(range(stage.port_count), access(1))
    for told in setup.vlans:
        match = re.fullmatch(r"([a-z])=(\d+(?:,\d+)*)", told)
        if match is None:
            raise mistake("--vlan", f"{told!r}: a=10 makes a's port one of VLAN 10, a=10,20 makes it a trunk")
        numbers = [int(number) for number in match[2].split(",")]
        try:
            ports[stage.place(match[1])] = access(numbers[0]) if len(numbers) == 1 else trunk(numbers)
        except ValueError as error:
            raise mistake("--vlan", str(error)) from None
    return ports


def _send(stage: _Stage, segment: Segment, match: re.Match[str], frame: bytes, sent: str) -> Told:
    by = match["by"]
    port = stage.place(by)
    if stage.setup.loop:
        return _send_in_loop(stage, port, frame, sent)
    names = {"by": by, "to": mac_text(frame[:6]) if match["to"] is None else match["to"], "port": str(port)}
    why, learned = "to whom is at the other end; no address is looked at", ""
    if isinstance(segment, Hub):
        why = "a hub repeats to all others; no address is looked at"
    if isinstance(segment, Switch):
        decision = segment.decide(port, frame, stage.now)
        why = _VERDICTS[decision.verdict].format(**names)
        learned = _LEARNED.get(decision.learning, "").format(**names)
    heard = [stage.name(other) for other, _ in segment.receive(port, frame, stage.now)]
    return Told(stage.now, sent, port, heard, why if heard or "all" not in why else _NOBODY_ELSE, learned)


def _send_in_loop(stage: _Stage, port: int, frame: bytes, sent: str) -> Told:
    """Everybody's port is the first segment's; the second has none but the two cables."""
    count = stage.port_count
    one, other = (_segment(stage.setup, _Stage(stage.setup, count + 2)) for _ in range(2))
    cables = [(End("one", count), End("other", 0)), (End("one", count + 1), End("other", 1))]
    cables += [(End(stage.name(number)), End("one", number)) for number in range(count)]
    journey = Network({"one": one, "other": other}, cables).send(stage.name(port), frame, stage.now)
    heard = list(dict.fromkeys(end.node for end, _ in journey.arrived))
    why = "it comes back on the other cable; no frame counts its hops" if journey.storm else "it meets no loop"
    return Told(stage.now, sent, port, heard, why, "", len(journey.hops), journey.storm)
