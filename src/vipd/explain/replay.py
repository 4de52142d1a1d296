"""A director that lives through a capture: frame by frame, at the capture's own pace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from vipd.errors import WireError
from vipd.explain.captured import taken
from vipd.explain.course import Course
from vipd.explain.question import Packet, arrived, brought
from vipd.explain.scene import Scene
from vipd.explain.walk import Walk, walk
from vipd.spec import State, sweep
from vipd.spec.state import Entry, Load, Traffic
from vipd.wire.pcap import Captured

_SWEEP: Final = 1_000_000_000
"As often the data plane's own sweeper passes the whole table (dataplane.pins)."


@dataclass(frozen=True, slots=True)
class Share:
    """What a server got."""

    server: int
    traffic: Traffic
    most_open: int
    "Connections that were known at once."


class Replay:
    """Begins with a director that remembers nothing."""

    def __init__(self, scene: Scene, interface: int | None = None, keep_macs: bool = False) -> None:
        self.scene, self.state = scene, State()
        self.frames = 0
        self.outcomes: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        "Frames that hold nothing for a director, by the reason."
        self.cut_off = 0
        "Frames of which the capture has a part only."
        self.course: Course[int] = Course()
        "By server."
        self._interface, self._keep_macs = interface, keep_macs
        self._begin: int | None = None
        self._elapsed = 0
        self._swept = 0
        self._most: dict[int, int] = {}

    @property
    def seconds(self) -> float:
        return self._elapsed / 1e9

    def put(self, frame: Captured) -> Walk | None:
        """None where no packet comes of it."""
        self.frames += 1
        self._pass_time(frame.time_ns)
        try:
            packet = self._packet(frame)
        except WireError as error:
            self.left_out[str(error)] += 1
            return None
        done = walk(self.scene, packet, self.state, self.scene.now + self._elapsed)
        self.state.apply(done.decision.draft)
        self.outcomes[done.decision.outcome] += 1
        self.events.update(done.decision.events)
        if done.decision.server:
            self.course.add(done.decision.server, self._elapsed)
        self._note(done.decision.draft.loads.changed)
        return done

    def _packet(self, frame: Captured) -> Packet:
        found = taken(frame)
        self.cut_off += bool(found.notes)
        if found.is_packet:
            return arrived(found.octets, self.scene, self._interface)
        return brought(found.octets, self.scene, self._interface, keep_macs=self._keep_macs)

    def _pass_time(self, time_ns: int) -> None:
        """Captures of several interfaces go back now and then; a clock does not."""
        if self._begin is None:
            self._begin = time_ns
        self._elapsed = max(self._elapsed, time_ns - self._begin)
        if self._elapsed - self._swept < _SWEEP:
            return
        self._swept = self._elapsed
        flows = [flow for flow, entry in self.state.connections.items() if isinstance(entry, Entry)]
        draft, over = sweep(self.scene.configuration, self.state, flows, self.scene.now + self._elapsed)
        self.state.apply(draft)
        self.events["connection_expired"] += over
        self._note(draft.loads.changed)

    def _note(self, changed: dict[int, Load | None]) -> None:
        for server, load in changed.items():
            number = load.active + load.inactive if load is not None else 0
            self._most[server] = max(self._most.get(server, 0), number)
            self.course.note(server, number, self._elapsed)

    def shares(self, service: int) -> list[Share]:
        """Of all servers that the service has, in their order."""
        return [
            Share(number, self.state.traffic.get(number) or Traffic(), self._most.get(number, 0))
            for number, server in self.scene.configuration.servers.items()
            if server.service == service
        ]
