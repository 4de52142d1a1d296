"""What must hold of the specification itself, whatever comes in: checked on conversations that are made up."""

from __future__ import annotations

import copy
import random
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support.oracle import Alone, Runner, Session
from tests.support.oracle.cells import reachable
from tests.support.oracle.choices import Choices
from tests.support.oracle.network import PORTS, has_ethernet
from tests.support.oracle.script import Send
from tests.support.oracle.worlds import LOCAL
from vipd.errors import WireError
from vipd.model.outcome import EVENTS, OUTCOMES, Action
from vipd.spec import Decision, Ingress, State, decide
from vipd.spec.reason import RULES
from vipd.spec.state import Entry, Load, ReplyEntry
from vipd.spec.tcp import ACTIVE
from vipd.wire import ip, transport

CONVERSATIONS = 120


class Watched(Alone):
    """Keeps what was decided."""

    def __init__(self, buckets: int) -> None:
        self.decided: list[tuple[bytes, Decision]] = []
        super().__init__(buckets, frozenset(LOCAL.values()))

    def send(self, port: str, frame: bytes) -> Decision:
        decision = super().send(port, frame)
        self.decided.append((frame, decision))
        return decision


def conversations(buckets: int, count: int = CONVERSATIONS) -> Iterator[Watched]:
    director = Watched(buckets)
    runner = Runner(director)
    for number in range(count):
        chance = random.Random(number)
        director.decided = []
        runner.clear()
        session = Session(runner, Choices(chance.randbytes(64)))
        for _ in range(60):
            session.step(Choices(chance.randbytes(24)))
        yield director


@pytest.fixture(scope="module")
def decided() -> list[tuple[bytes, Decision]]:
    return [each for buckets in (16, 1) for director in conversations(buckets) for each in director.decided]


def test_every_end_and_event_is_one_that_users_can_look_up(decided: list[tuple[bytes, Decision]]) -> None:
    assert {decision.outcome for _, decision in decided} <= OUTCOMES.keys()
    assert {event for _, decision in decided for event in decision.events} <= EVENTS.keys()


def test_most_kinds_of_ends_are_met(decided: list[tuple[bytes, Decision]]) -> None:
    missing = {cell.outcome for cell in reachable()} - {decision.outcome for _, decision in decided}
    assert missing <= {"reply_unreachable_no_connection"}


def test_every_decision_has_reasons_that_people_can_read(decided: list[tuple[bytes, Decision]]) -> None:
    for _, decision in decided:
        assert decision.reasons
        for reason in decision.reasons:
            assert str(reason)
            assert "{" not in str(reason)


def test_nearly_every_rule_is_applied(decided: list[tuple[bytes, Decision]]) -> None:
    applied = {str(reason.rule) for _, decision in decided for reason in decision.reasons}
    assert applied <= RULES.keys()
    # No frame here is so short; no table lists who takes nothing; the others are rare. test_rare_rules.py has them.
    rare = {"remember.taken_over", "leave.misread"}
    assert RULES.keys() - applied <= {"parse.short", "schedule.passed_over", *rare}


_SOURCES = re.compile(
    r"RFC \d+|IEEE 802\.\d|LVS, ip_vs_\w+\.c|ipvsadm\(8\), --|linuxvirtualserver\.org, VS-|NSDI 2016|\w\.md(, \w|$)"
)


def test_every_rule_names_a_source_that_can_be_looked_up() -> None:
    """LVS's by the file or the page."""
    assert [str(rule) for rule in RULES.values() if not _SOURCES.search(rule.source)] == []


@pytest.mark.parametrize("buckets", [16, 2])
def test_loads_and_room_are_those_of_the_entries(buckets: int) -> None:
    for director in conversations(buckets):
        entries = director.state.connections
        clients = [entry for entry in entries.values() if isinstance(entry, Entry)]
        active = Counter(entry.server for entry in clients if entry.state in ACTIVE)
        inactive = Counter(entry.server for entry in clients if entry.state not in ACTIVE)
        for number in {*director.state.loads, *active, *inactive}:
            assert director.state.loads.get(number, Load()) == Load(active[number], inactive[number])
        room = Counter(entry.bucket for entry in entries.values())
        assert {bucket: taken for bucket, taken in director.state.taken.items() if taken} == dict(room)
        assert max(room.values(), default=0) <= 16


def test_the_two_entries_of_a_connection_name_each_other() -> None:
    for director in conversations(16):
        entries = director.state.connections
        for flow, entry in entries.items():
            if isinstance(entry, ReplyEntry):
                other = entries[entry.client]
                assert isinstance(other, Entry)
                assert other.reply == flow
            elif entry.reply:
                other_entry = entries[entry.reply]
                assert isinstance(other_entry, ReplyEntry)
                assert other_entry.client == flow


def test_what_is_given_is_not_changed() -> None:
    for director in conversations(16, 10):
        for frame, _ in director.decided[:20]:
            before = copy.deepcopy(director.state)
            decide(director.configuration, director.state, frame, Ingress(2), director.now, director.routes)
            assert director.state == before


def right(frame: bytes) -> bool | None:
    """Whether all checksums of a frame are right; None where it cannot be told."""
    try:
        # MAC addresses here begin with 02; on the line there are none.
        packet = ip.decode(frame if frame[0] >> 4 in (4, 6) else frame[14:])
        if packet.fragmentation is not None or packet.protocol not in (ip.TCP, ip.UDP):
            return None
        kind = transport.Tcp if packet.protocol == ip.TCP else transport.Udp
        inner = kind.decode(packet.payload, packet.source, packet.destination)
    except WireError:
        return None
    if isinstance(packet, ip.IPv4) and packet.checksum is not None:
        return False
    return inner.checksum is None or (packet.protocol == ip.UDP and inner.checksum == 0)


def test_a_right_checksum_stays_right_and_a_wrong_one_wrong(decided: list[tuple[bytes, Decision]]) -> None:
    """Under NAT, by summing all anew (RFC 1624 2)."""
    checked = Counter[bool]()
    for frame, decision in decided:
        if decision.outcome in ("forward_nat", "route_nat", "forward_nat_reply", "route_nat_reply"):
            before = right(frame)
            if before is not None:
                assert right(decision.frame) == before
                checked[before] += 1
    assert checked[True] > 500
    assert checked[False] > 5


def test_what_the_director_answers_itself_has_right_checksums(decided: list[tuple[bytes, Decision]]) -> None:
    answers = [decision.frame for _, decision in decided if decision.outcome.startswith("reply_reset")]
    assert len(answers) > 50
    assert all(right(frame) for frame in answers)


def test_what_does_not_go_on_stays_as_it_came(decided: list[tuple[bytes, Decision]]) -> None:
    for frame, decision in decided:
        if decision.action in (Action.PASS, Action.DROP):
            assert decision.frame == frame
            assert decision.egress is None
        if decision.action is Action.ROUTE:
            assert decision.egress is None
        if decision.action in (Action.FORWARD, Action.REPLY):
            assert decision.egress in {port.ifindex for port in PORTS.values()}


def test_random_bytes_are_decided_too() -> None:
    director = Alone()
    chance = random.Random(3)
    for _ in range(500):
        decision = decide(
            director.configuration, State(), chance.randbytes(chance.randrange(100)), Ingress(2), 0, director.routes
        )
        assert decision.outcome in OUTCOMES


def test_five_thousand_packets_a_second_are_decided() -> None:
    """By the processor's time, whatever else the machine does."""
    director, sent = Alone(16, frozenset(LOCAL.values())), 0
    runner = Runner(director)
    chance = random.Random(1)
    session = Session(runner, Choices(chance.randbytes(64)))
    for _ in range(400):
        session.step(Choices(chance.randbytes(24)))
    steps = [step for step in runner.steps if isinstance(step, Send)]
    start = time.process_time()
    for _ in range(10):
        for step in steps:
            ingress = Ingress(PORTS[step.port].ifindex, has_ethernet(step.port))
            decide(director.configuration, director.state, step.frame, ingress, director.now, director.routes)
            sent += 1
    assert sent / (time.process_time() - start) > 5000
