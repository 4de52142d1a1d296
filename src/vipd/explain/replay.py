"""A director that lives through a capture: frame by frame, at the capture's own pace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from vipd.errors import WireError
from vipd.explain.captured import taken
from vipd.explain.course import Course
from vipd.explain.question import Packet, arrived, brought
from vipd.explain.scene import Scene
from vipd.explain.verdict import Verdict
from vipd.explain.walk import Walk, walk
from vipd.spec import State, sweep
from vipd.spec.configuration import TICK
from vipd.spec.state import Entry, Load, Traffic
from vipd.spec.table import is_over
from vipd.wire.pcap import Captured

_SWEEP: Final = 1_000_000_000
"As often the data plane's own sweeper passes the whole table (dataplane.pins)."


_FIRST: Final = 5
"Disagreements that are kept whole; those behind them may follow from them."


@dataclass(frozen=True, slots=True)
class Share:
    """What a server got."""

    server: int
    traffic: Traffic
    most_open: int
    "Connections that were known at once."


class Beside(Protocol):
    """The BPF program, which lives through the same."""

    def pass_time(self, now: int, sweep: bool) -> None: ...

    def ask(self, done: Walk) -> Verdict | None: ...


class Disagreement(NamedTuple):
    frame: int
    "Counted from 1."
    outcome: str
    "The specification's."
    verdict: Verdict


class Replay:
    """Begins with a director that remembers nothing."""

    def __init__(
        self, scene: Scene, interface: int | None = None, keep_macs: bool = False, beside: Beside | None = None
    ) -> None:
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
        self.asked = 0
        "Packets that the BPF program had too."
        self.too_short = 0
        "Packets that it could not have."
        self.disagreements: Counter[str] = Counter()
        "Packets with which it did otherwise, by the specification's outcome."
        self.first_disagreements: list[Disagreement] = []
        self._interface, self._keep_macs, self._beside = interface, keep_macs, beside
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
        if self._beside is not None:
            self._compare(done, self._beside)
        return done

    def _compare(self, done: Walk, beside: Beside) -> None:
        verdict = beside.ask(done)
        if verdict is None:
            self.too_short += 1
            return
        self.asked += 1
        if verdict.wrong:
            self.disagreements[done.decision.outcome] += 1
            if len(self.first_disagreements) < _FIRST:
                self.first_disagreements.append(Disagreement(self.frames, done.decision.outcome, verdict))

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
        over = self._elapsed - self._swept >= _SWEEP
        if self._beside is not None:
            self._beside.pass_time(self.scene.now + self._elapsed, over)
        if over:
            self._sweep()

    def _sweep(self) -> None:
        self._swept = self._elapsed
        now = self.scene.now + self._elapsed
        # The sweep looks at these alone: in an hour's capture most looks would be at what goes on.
        flows = [
            flow
            for flow, entry in self.state.connections.items()
            if isinstance(entry, Entry) and is_over(entry.expires, now // TICK)
        ]
        draft, over = sweep(self.scene.configuration, self.state, flows, now)
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
