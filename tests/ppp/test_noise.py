"""Whatever the line does: two ends agree or give up, and once it is good they are up, in all that they may wish."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.line import Line, Noise, perfect
from tests.support.ppp import HERE, NAME, PACKETS, SECRET, THERE, WRONG, session
from vipd.model.link import Hangup, Phase, Reframe
from vipd.ppp.settings import AuthMethod, Demand, Echo, Identity, Ipv4, Ipv6, Settings, Timing

METHODS: Final = st.permutations(list(AuthMethod)).flatmap(
    lambda order: st.integers(1, len(order)).map(lambda size: tuple(order[:size]))
)
BOTH: Final = tuple(AuthMethod)

likely = st.floats(0, 0.4)
noises = st.builds(Noise, likely, likely, likely)
timings = st.builds(
    Timing,
    restart=st.sampled_from([1.0, 3.0]),
    max_terminate=st.integers(1, 3),
    max_configure=st.integers(5, 12),
    max_failure=st.integers(1, 6),
)
demands = st.builds(Demand, st.just({NAME: SECRET}), METHODS, st.just("gate"), st.sampled_from([0.0, 20.0]))


@st.composite
def wishes(draw: st.DrawFn, local: IPv4Address, remote: IPv4Address, passive: bool) -> Settings:
    """Of one end, which can prove who it is in any way."""
    knows = draw(st.booleans())
    versions = draw(st.sampled_from([{4}, {6}, {4, 6}, {4, 6}]))
    return Settings(
        mru=draw(st.sampled_from([1280, 1400, 1500, 2000, 65535])),
        accm=draw(st.sampled_from([None, 0, 0x000A0000, 0xFFFFFFFF])),
        compress=draw(st.booleans()),
        identity=Identity(NAME, SECRET, BOTH),
        demand=draw(st.none() | demands),
        ipv4=Ipv4(local, remote if knows else None) if 4 in versions else None,
        ipv6=draw(st.sampled_from([Ipv6(), Ipv6(bytes(7) + b"\x07")])) if 6 in versions else None,
        echo=Echo(interval=draw(st.sampled_from([4.0, 10.0])), failures=draw(st.integers(3, 5))),
        timing=draw(timings),
        passive=passive and draw(st.booleans()),
    )


ones = wishes(HERE, THERE, passive=False)
others = wishes(THERE, HERE, passive=True)
seeds = st.integers(0, 2**32)


def noisy(one: Settings, other: Settings, noise: Noise, seed: int, again: bool = False) -> Line:
    fates = noise.fate(seed), noise.fate(seed + 1)
    line = Line(session(one, seed + 2), session(other, seed + 3), fates, again=seed if again else None)
    line.start()
    return line


def families(one: Settings, other: Settings) -> set[int]:
    """That both want."""
    return ({4} if one.ipv4 and other.ipv4 else set()) | ({6} if one.ipv6 and other.ipv6 else set())


def last_reframe(end_effects: list[tuple[float, object]]) -> Reframe:
    return next(effect for _, effect in reversed(end_effects) if isinstance(effect, Reframe))


def assert_agreed(line: Line, one: Settings, other: Settings) -> None:
    assert line.one.up.keys() == line.other.up.keys() == families(one, other)
    for version, up in line.one.up.items():
        peers = line.other.up[version]
        assert (up.local, up.remote) == (peers.remote, peers.local)
        assert up.mtu == peers.mtu == min(one.mru, other.mru)
        for place, end in ((0, line.other), (1, line.one)):
            end.packets.clear()
            assert line.pass_packet(place, PACKETS[version])
            line.run(line.now + 1.0)
            assert end.packets == [PACKETS[version]]
    ours, theirs = last_reframe([*line.one.effects]), last_reframe([*line.other.effects])
    # What an end escapes is at least what the other ignores where it arrives bare.
    assert ours.send_accm & theirs.receive_accm == theirs.receive_accm
    assert theirs.send_accm & ours.receive_accm == ours.receive_accm
    for verifier, prover in (line.ends, reversed(line.ends)):
        asked, proved = "peer proved by" in verifier.machine.agreed, "proved to peer by" in prover.machine.agreed
        assert asked == proved


@settings(max_examples=150, deadline=None)
@given(ones, others, noises, seeds)
def test_on_a_line_that_stays_bad_both_ends_get_up_or_give_up(
    one: Settings, other: Settings, noise: Noise, seed: int
) -> None:
    assume(families(one, other))
    line = noisy(one, replace(other, passive=False), noise, seed)

    def settled() -> bool:
        return all(end.hangup or end.up.keys() == families(one, other) for end in line.ends)

    assert line.run_till(settled, 3600.0)


@settings(max_examples=200, deadline=None)
@given(ones, others, noises, seeds, st.floats(0, 200))
def test_once_the_line_is_good_both_ends_are_up_and_agree(
    one: Settings, other: Settings, noise: Noise, seed: int, seconds: float
) -> None:
    assume(families(one, other))
    line = noisy(one, other, noise, seed, again=True)
    line.run(seconds)
    line.fates[:] = [perfect, perfect]
    line.run(seconds + 600.0)
    assert_agreed(line, one, other)


@settings(max_examples=150, deadline=None)
@given(ones, others, noises, st.floats(0, 0.2), seeds, st.floats(0, 200))
def test_bits_changed_on_the_way_do_no_lasting_harm(
    one: Settings, other: Settings, noise: Noise, changed: float, seed: int, seconds: float
) -> None:
    """Which a frame check sequence lets through once in some thousand times: no machine may rely on it."""
    assume(families(one, other))
    line = noisy(one, other, replace(noise, changed=changed), seed, again=True)
    line.run(seconds)
    line.fates[:] = [perfect, perfect]
    line.run(seconds + 600.0)
    # A changed bit may have been a peer's word that it knows no IPv6: believed until the line's next start.
    for place, end in enumerate(line.ends):
        if end.machine.phase is not Phase.DEAD:
            line.carry_out(place, end.machine.stop(line.now))
    line.run(line.now + 600.0)
    assert_agreed(line, one, other)


@settings(max_examples=100, deadline=None)
@given(ones, others, noises, seeds)
def test_with_a_wrong_secret_no_packet_ever_passes(one: Settings, other: Settings, noise: Noise, seed: int) -> None:
    demanding = replace(one, demand=Demand({NAME: WRONG}))
    line = noisy(demanding, other, noise, seed, again=True)
    line.run(300.0)
    line.fates[:] = [perfect, perfect]
    line.run(600.0)
    for end in line.ends:
        assert not end.up
        assert not end.packets
    hangups = [effect for _, effect in line.one.effects if isinstance(effect, Hangup)]
    assert any(hangup.fatal and "wrong secret" in hangup.reason for hangup in hangups)
