"""A connection follows its packets through LVS's tables, cell by cell, and lives as long as each state allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.packets import CLIENT_PORT, FAMILIES, PORT, answer, framed, ip, later, segment, udp
from tests.support.tables import TCP, TIMEOUTS, UDP, Director, Entry, Load, now, ticks
from tests.support.wires import VIP, server, server_mac
from vipd.dataplane._abi import ConnectionFlag, ConnectionState, Method

# Linux 6.12, net/netfilter/ipvs/ip_vs_proto_tcp.c, tcp_states[]: rows by segment, columns by state.
NAMES: Final = ["NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA"]
TABLE: Final = {
    "input": """
        syn SR ES ES SR SR SR SR SR SR SR SR
        fin CL CW SS TW TW TW CL CW LA LI TW
        ack ES ES SS ES FW TW CL CW CL LI ES
        rst CL CL CL SR CL CL CL CL LA LI SR""",
    "output": """
        syn SS ES SS SR SS SS SS SS SS LI SR
        fin TW FW SS TW FW TW CL TW LA LI TW
        ack ES ES SS ES FW TW CL CW LA ES ES
        rst CL CL SS CL CL TW CL CL CL CL CL""",
    "input-only": """
        syn SR ES ES SR SR SR SR SR SR SR SR
        fin CL FW SS TW FW TW CL CW LA LI TW
        ack ES ES SS ES FW TW CL CW CL LI ES
        rst CL CL CL SR CL CL CL CL LA LI CL""",
}
STATES: Final = dict(zip(NAMES, list(ConnectionState)[:11], strict=True))
# LVS's priority is RST, SYN, FIN, ACK: what comes with a stronger flag does not count.
FLAGS: Final = {"syn": ["SA"], "fin": ["FA", "FPA"], "ack": ["A", "PA", "UA", "PAU"], "rst": ["R", "RA"]}
ACTIVE: Final = {"ES", "SS", "SR", "SA"}
SHORT: Final = 4
"Seconds to live, fewer than half of what any state gives, and as many as a crowded machine may hold a packet up."
CLOSING: Final = ["FW", "TW", "CL", "CW", "LA"]
CELLS: Final = [
    (direction, row.split()[0], state, after)
    for direction, rows in TABLE.items()
    for row in rows.strip().splitlines()
    for state, after in zip(NAMES, row.split()[1:], strict=True)
]


def open_connection(director: Director, family: int, method: Method, protocol: int = TCP) -> int:
    """The only real server's number."""
    service = director.service(VIP[family], PORT, protocol)
    only = director.server(service, server(family, 1), method)
    director.serve(service, [only])
    director.run(framed(segment(family) if protocol == TCP else ip(family) / udp(), director.wires.out))
    return only


def put_into(director: Director, only: int, state: str, expires: int) -> Entry:
    """As if the connection had come there, with its load counted."""
    entry, active = director.connection(), state in ACTIVE
    flags = entry.flags & ~ConnectionFlag.ACTIVE | (ConnectionFlag.ACTIVE if active else 0)
    director.set_load(only, int(active), int(not active))
    return director.set_life(entry, state=STATES[state], flags=flags, expires=expires)


def let_replies_count(director: Director) -> None:
    """A reply that only acknowledges is noted once in half a second: let that be over."""
    for entry in director.entries():
        if entry.is_reply:
            director.set_life(entry, expires=now() - 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("direction", TABLE)
def test_every_cell_of_lvss_tables(director: Director, family: int, direction: str) -> None:
    only = open_connection(director, family, Method.DR if direction == "input-only" else Method.NAT)
    for where, kind, state, after in CELLS:
        if where != direction:
            continue
        for flags in FLAGS[kind]:
            put_into(director, only, state, now() + ticks(SHORT))
            if direction == "output":
                let_replies_count(director)
                frame = framed(answer(family, TCP, server(family, 1), flags=flags), director.wires.inner, server_mac(1))
                director.run(frame, director.wires.inner)
            else:
                director.run(framed(segment(family, flags), director.wires.out))
            entry = director.connection()
            told = (direction, kind, flags, state)
            assert entry.state == STATES[after], told
            assert bool(entry.flags & ConnectionFlag.ACTIVE) == (after in ACTIVE), told
            assert director.load(only) == (Load(1, 0) if after in ACTIVE else Load(0, 1)), told
            assert SHORT < TIMEOUTS[STATES[after]] - SHORT <= entry.left < TIMEOUTS[STATES[after]] + 1, told


@pytest.mark.parametrize("method", [Method.DR, Method.NAT])
def test_a_pure_syn_goes_by_the_table_where_it_does_not_begin_anew(director: Director, method: Method) -> None:
    only = open_connection(director, 4, method)
    for state in [name for name in NAMES if name not in CLOSING]:
        put_into(director, only, state, now() + ticks(SHORT))
        result = director.run(framed(segment(4), director.wires.out))
        assert "CONNECTION_NEW" not in result.events
        [after] = [cell for where, kind, before, cell in CELLS if (where, kind, before) == ("input", "syn", state)]
        assert director.connection().state == STATES[after]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("state", CLOSING)
@pytest.mark.parametrize("method", [Method.DR, Method.NAT, Method.TUN, Method.LOCAL])
def test_a_syn_on_a_closing_connection_starts_a_new_one_at_once(
    director: Director, family: int, state: str, method: Method
) -> None:
    only = open_connection(director, family, method)
    other = director.server(1, server(family, 2), method)
    director.serve(1, [other])
    put_into(director, only, state, now() + ticks(60))
    result = director.run(framed(segment(family), director.wires.out))
    assert result.events["CONNECTION_REUSED"] == result.events["CONNECTION_NEW"] == 1
    entry = director.connection()
    assert (entry.real_server, entry.state) == (other, ConnectionState.SYN_RECV)
    assert len(director.entries()) == (2 if method == Method.NAT else 1)
    assert (director.load(only), director.load(other)) == (Load(0, 0), Load(1, 0))


@pytest.mark.parametrize("flags", ["SA", "A", "FA", "R"])
def test_only_a_pure_syn_reuses_a_closing_connection(director: Director, flags: str) -> None:
    only = open_connection(director, 4, Method.DR)
    put_into(director, only, "TW", now() + ticks(60))
    assert "CONNECTION_REUSED" not in director.run(framed(segment(4, flags), director.wires.out)).events
    assert director.connection().real_server == only


@pytest.mark.parametrize("state", ["ES", "SR"])
def test_a_syn_on_an_open_connection_goes_where_the_connection_goes(director: Director, state: str) -> None:
    only = open_connection(director, 4, Method.DR)
    director.serve(1, [director.server(1, server(4, 2), Method.DR)])
    put_into(director, only, state, now() + ticks(60))
    result = director.run(framed(segment(4), director.wires.out))
    assert result.frame[:6].hex(":") == server_mac(1)
    assert "CONNECTION_NEW" not in result.events


def exchange(director: Director, steps: str) -> list[str]:
    """Segments, `<` before those of the server; the states they lead to."""
    found = []
    for step in steps.split():
        if step[0] == "<":
            frame = framed(answer(4, TCP, server(4, 1), flags=step[1:]), director.wires.inner)
            director.run(frame, director.wires.inner)
        else:
            director.run(framed(segment(4, step), director.wires.out))
        found.append(director.connection().state.name)
    return found


@pytest.mark.parametrize(
    ("method", "steps", "states"),
    [
        (Method.NAT, "S <SA A PA <A", "SYN_RECV SYN_RECV ESTABLISHED ESTABLISHED ESTABLISHED"),
        (Method.NAT, "S <SA A FA <A <FA A", "SYN_RECV SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE_WAIT TIME_WAIT TIME_WAIT"),
        (Method.NAT, "S <SA A <FA A FA <A", "SYN_RECV SYN_RECV ESTABLISHED FIN_WAIT FIN_WAIT TIME_WAIT TIME_WAIT"),
        (Method.NAT, "S <RA", "SYN_RECV CLOSE"),
        (Method.NAT, "S <SA A R", "SYN_RECV SYN_RECV ESTABLISHED CLOSE"),
        (Method.DR, "S A PA FA A", "SYN_RECV ESTABLISHED ESTABLISHED FIN_WAIT FIN_WAIT"),
        (Method.TUN, "S A R", "SYN_RECV ESTABLISHED CLOSE"),
    ],
)
def test_whole_conversations(director: Director, method: Method, steps: str, states: str) -> None:
    service = director.service(VIP[4], PORT, TCP)
    only = director.server(service, server(4, 1), method, source="172.16.0.1")
    director.serve(service, [only])
    assert exchange(director, steps) == states.split()
    last = director.connection()
    active = last.state in {STATES[name] for name in ACTIVE}
    assert director.load(only) == Load(int(active), int(not active))


@pytest.mark.parametrize("seconds", [1, 300, 525, 900, 4294, 86400])
@pytest.mark.parametrize("protocol", [TCP, UDP], ids=["tcp", "udp"])
def test_timeouts_of_any_length_are_kept(director: Director, protocol: int, seconds: int) -> None:
    """Written relative to now: one that has a second left is known, one that is over by a second is not."""
    undisturbed(director, lambda: timeouts_are_kept(director, protocol, seconds))


def undisturbed(director: Director, check: Callable[[], None]) -> None:
    """A check of lives of a second has shown nothing where the machine held it up for as long."""
    for _ in range(20):
        began = now()
        try:
            return check()
        except (AssertionError, ValueError):
            if now() - began < ticks(0.6):
                raise
            director.clear()
    return check()


def timeouts_are_kept(director: Director, protocol: int, seconds: int) -> None:
    director.timeouts(established=seconds, udp=seconds)
    only = open_connection(director, 4, Method.DR, protocol)
    packet = framed(later(4, protocol), director.wires.out)
    director.run(packet)
    entry = director.connection()
    assert entry.left == pytest.approx(seconds, abs=1)
    director.set_life(entry, expires=now() + ticks(0.8))
    assert "CONNECTION_NEW" not in director.run(packet).events
    assert director.connection().left == pytest.approx(seconds, abs=1)
    director.set_life(director.connection(), expires=now() - ticks(1))
    events = director.run(packet).events
    # A datagram begins anew; a segment that is no SYN is forwarded without memory.
    assert events == {"CONNECTION_EXPIRED": 1} | ({"CONNECTION_NEW": 1} if protocol == UDP else {"STATELESS": 1})
    assert director.load(only) == (Load(0, 1) if protocol == UDP else Load(0, 0))


@pytest.mark.parametrize("started", [0, 2**31 - 5, 2**32 - 5], ids=["zero", "half", "whole"])
def test_expiry_is_a_difference_that_a_wrap_does_not_hurt(started: int) -> None:
    """life_is_over, as C computes it: (s32)(expires - tick) < 0, on both sides of a wrap."""
    for timeout in (ticks(1), ticks(86400)):
        expires = (started + timeout) & 0xFFFFFFFF
        for passed, over in ((0, False), (timeout, False), (timeout + 1, True), (timeout + ticks(3600), True)):
            difference = (expires - (started + passed)) & 0xFFFFFFFF
            assert (difference >= 1 << 31) == over


def pass_time(director: Director, count: int) -> None:
    """Both entries grow old together."""
    for entry in director.entries():
        director.set_life(entry, expires=entry.expires - count)


@pytest.mark.parametrize("protocol", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize("last", range(1, 81, 8))
def test_a_timeout_of_a_second_outlives_steady_replies(director: Director, protocol: int, last: int) -> None:
    """The client's entry is written every eighth tick at most, and replies look at it every ninth: whatever
    the two are apart when the client falls silent, the next look must be in time.
    """
    for _ in range(20):
        if outlives(director, protocol, last):
            return
        director.clear()
    raise AssertionError("held up every time")


def outlives(director: Director, protocol: int, last: int) -> bool:
    """False: the machine held a packet up, and its connection has ended, which shows nothing."""
    director.timeouts(established=1, udp=1)
    open_connection(director, 4, Method.NAT, protocol)
    longest, before = 0, now()
    request = framed(later(4, protocol), director.wires.out)
    reply = framed(answer(4, protocol, server(4, 1)), director.wires.inner)
    for tick in range(last + 30):
        if tick < last:
            director.run(request)
        known = director.run(reply, director.wires.inner).outcomes == {"FORWARD_NAT_REPLY": 1}
        longest, before = max(longest, now() - before), now()
        if not known and longest > 1:
            return False
        assert known, tick
        pass_time(director, 1)
    return True


@pytest.mark.parametrize("method", [Method.NAT, Method.DR])
def test_an_expired_connection_is_ended_by_the_packet_that_meets_it(director: Director, method: Method) -> None:
    only = open_connection(director, 4, method)
    director.set_life(director.connection(), expires=now() - 1)
    director.serve(1, [director.server(1, server(4, 2), method)])
    result = director.run(framed(segment(4), director.wires.out))
    assert result.events["CONNECTION_NEW"] == 1
    assert director.connection().real_server != only
    assert director.load(only) == Load(0, 0)
    assert len(director.entries()) == (2 if method == Method.NAT else 1)


def test_a_reply_to_an_expired_connection_finds_none(director: Director) -> None:
    only = open_connection(director, 4, Method.NAT)
    director.set_life(director.connection(), expires=now() - 1)
    packet = framed(answer(4, TCP, server(4, 1)), director.wires.inner)
    result = director.run(packet, director.wires.inner)
    assert result.outcomes == {"PASS_NOT_OURS": 1}
    assert director.entries() == []
    assert director.load(only) == Load(0, 0)


def test_half_open_connections_have_a_minute(director: Director) -> None:
    open_connection(director, 4, Method.DR)
    assert director.connection().left == pytest.approx(60, abs=5)
    assert director.connection().source_port == CLIENT_PORT


@pytest.mark.parametrize("protocol", [TCP, UDP], ids=["tcp", "udp"])
def test_a_connection_is_known_to_the_end_of_its_last_tick(director: Director, protocol: int) -> None:
    open_connection(director, 4, Method.DR, protocol)
    packet = framed(later(4, protocol), director.wires.out)
    for _ in range(20):  # until a run falls into one tick from beginning to end
        tick = now()
        director.set_life(director.connection(), expires=tick)
        events = director.run(packet).events
        if now() == tick:
            assert events == {}
            return
    raise AssertionError("no tick was long enough")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_whose_client_entry_is_anothers_is_not_known(director: Director, family: int) -> None:
    """The slot that it names may have been given to another flow meanwhile."""
    open_connection(director, family, Method.NAT)
    [own] = director.connections()
    director.run(framed(segment(family, sport=CLIENT_PORT + 1), director.wires.out))
    [other] = [entry for entry in director.connections() if entry.position != own.position]
    assert own.twin is not None
    director.table["slot"]["twin"][own.twin // 16, own.twin % 16] = other.position + 1
    frame = framed(answer(family, TCP, server(family, 1), flags="RA"), director.wires.inner)
    assert director.run(frame, director.wires.inner).outcomes == {"PASS_NOT_OURS": 1}
    assert [entry.state for entry in director.connections() if entry.position == other.position] == [other.state]
