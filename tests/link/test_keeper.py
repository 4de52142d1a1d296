"""Lines that cannot be opened, that break, that are hung up: when they are tried again, and when no more."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar

import pytest

from tests.link.machines import CONTROL, MemoryAddresses, MemoryInterface, Plain
from tests.support import clock
from vipd.drivers.channel import Channel
from vipd.errors import EnvironmentProblem, LineError
from vipd.link.codec import AsyncCodec
from vipd.link.keeper import GOODBYE, Keeper, Names, Parts
from vipd.model.line import Pty
from vipd.model.link import Effect, Encapsulation, Framing, Hangup, Up
from vipd.wire.async_hdlc import AsyncFramer
from vipd.wire.fcs import FCS16

T = TypeVar("T")
UP4 = Up(ip_address("10.9.0.1"), ip_address("10.9.0.2"), 1500)


class MemoryLine:
    """Opens as often as it has wires, refuses before that as often as it is told; the test holds the far ends."""

    def __init__(
        self,
        refusals: int = 0,
        wires: int = 1,
        calls: bool = True,
        lasting: bool = True,
        patience: float = 0.0,
    ) -> None:
        self.calls, self.lasting, self.longest, self.patience = calls, lasting, 8.0, patience
        self.where, self.refused = "memory", 0
        self.tries: list[float] = []
        self.far: list[socket.socket] = []
        self._refusals, self._wires = refusals, wires

    async def open(self) -> Channel:
        self.tries.append(asyncio.get_running_loop().time())
        if len(self.tries) <= self._refusals:
            raise LineError("memory: Connection refused")
        if len(self.far) == self._wires:
            await asyncio.Event().wait()
        near, far = socket.socketpair()
        far.setblocking(False)
        self.far.append(far)
        return Channel(near.fileno(), near.fileno(), near.close)

    def close(self) -> None:
        for each in self.far:
            each.close()


class Rig:
    """A keeper with everything around it in memory."""

    def __init__(self, line: MemoryLine, *begins: Effect, silent: bool = False) -> None:
        self.line, self.machine = line, Plain(list(begins), silent)
        self.interface, self.addresses = MemoryInterface(), MemoryAddresses()
        parts = Parts(
            line=line,
            codec=lambda: AsyncCodec(FCS16, 1500),
            machine=self.machine,
            interface=self.interface,
            addresses=self.addresses,
            seen=lambda _frame, _sent: None,
            lot=lambda: 0.5,
        )
        self.keeper = Keeper(Names("paris", "paris", Pty(), Framing.ASYNC, Encapsulation.PPP), parts)

    def close(self) -> None:
        self.interface.close()
        self.line.close()


def play(rig: Rig, test: Callable[[], Awaitable[T]]) -> T:
    async def both() -> T:
        running = asyncio.create_task(rig.keeper.run())
        try:
            return await test()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, LineError):
                await running
            rig.close()

    return clock.run(both())


def hang_up(far: socket.socket) -> None:
    far.send(AsyncFramer(FCS16).encode(CONTROL + b"bye"))


@pytest.fixture
def now() -> Callable[[], float]:
    return lambda: asyncio.get_running_loop().time()


def test_a_refused_line_is_tried_again_at_ever_longer_pauses_up_to_the_longest() -> None:
    rig = Rig(MemoryLine(refusals=100))

    async def wait() -> None:
        await asyncio.sleep(32)

    play(rig, wait)
    assert rig.line.tries == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5]


def test_what_goes_on_and_on_is_told_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(MemoryLine(refusals=100))

    async def wait() -> None:
        await asyncio.sleep(100)

    with caplog.at_level(logging.INFO):
        play(rig, wait)
    assert len(rig.line.tries) == 16
    assert [record.message for record in caplog.records] == [
        "paris: memory: Connection refused; again in 0.5 s",
        "paris: memory: Connection refused; again in 1.0 s, 2 times alike",
        "paris: memory: Connection refused; again in 4.0 s, 4 times alike",
        "paris: memory: Connection refused; again in 8.0 s, 8 times alike",
        "paris: memory: Connection refused; again in 8.0 s, 16 times alike",
    ]


def test_once_packets_pass_the_pauses_begin_anew() -> None:
    rig = Rig(MemoryLine(refusals=3, wires=2), UP4)

    async def cut() -> None:
        await asyncio.sleep(10)
        rig.line.far[0].close()
        await asyncio.sleep(1)

    play(rig, cut)
    assert rig.line.tries == [0, 0.5, 1.5, 3.5, 10.5]


def test_a_line_that_opens_and_never_carries_packets_does_not_shorten_the_pauses() -> None:
    rig = Rig(MemoryLine(wires=4))

    async def cut() -> None:
        for number in range(4):
            while len(rig.line.far) <= number:
                await asyncio.sleep(0.001)
            hang_up(rig.line.far[number])

        await asyncio.sleep(10)

    play(rig, cut)
    assert [round(each, 1) for each in rig.line.tries] == [0, 0.5, 1.5, 3.5, 7.5]


def test_what_would_end_the_same_way_is_not_tried_again() -> None:
    rig = Rig(MemoryLine(), Hangup("the peer does not take our secret", fatal=True))

    async def run() -> None:
        with pytest.raises(EnvironmentProblem, match="memory: the peer does not take our secret"):
            await rig.keeper.run()

    clock.run(run())
    rig.close()


def test_a_link_that_was_up_before_hopes_on() -> None:
    rig = Rig(MemoryLine(wires=3), UP4, Hangup("the peer does not take our secret", fatal=True))

    async def wait() -> None:
        await asyncio.sleep(2)

    play(rig, wait)
    assert len(rig.line.far) == 3


def test_who_waits_for_peers_is_not_ended_by_one_that_fails() -> None:
    rig = Rig(MemoryLine(wires=2, calls=False), Hangup("the peer does not know the secret", fatal=True))

    async def wait() -> None:
        await asyncio.sleep(2)

    play(rig, wait)
    assert len(rig.line.far) == 2


@pytest.mark.parametrize(("patience", "tries"), [(60.0, [0, 60.5, 121.5]), (0.0, [0])])
def test_a_peer_without_whom_others_could_come_does_not_hold_the_line_in_vain(
    patience: float, tries: list[float]
) -> None:
    rig = Rig(MemoryLine(wires=2, calls=False, patience=patience))

    async def wait() -> None:
        await asyncio.sleep(200)
        why = "no packet could pass within 60 s, and others may be waiting" if patience else None
        assert rig.keeper.status().last_end == why

    play(rig, wait)
    assert rig.line.tries == tries


def test_a_peer_whose_packets_pass_may_stay_and_is_not_told_to_go() -> None:
    rig = Rig(MemoryLine(wires=2, calls=False, patience=60.0), UP4)

    async def wait() -> None:
        await asyncio.sleep(10_000)

    play(rig, wait)
    assert rig.line.tries == [0]
    assert [what for _, what in rig.machine.history] == ["start"]


def test_a_line_that_cannot_be_opened_again_ends_the_program() -> None:
    rig = Rig(MemoryLine(lasting=False), UP4, Hangup("the peer said goodbye"))

    async def run() -> None:
        with pytest.raises(LineError, match="memory: the peer said goodbye"):
            await rig.keeper.run()

    clock.run(run())
    rig.close()


@pytest.mark.parametrize("refusals", [0, 100])
def test_told_to_stop_while_there_is_no_peer_it_ends_at_once(refusals: int, now: Callable[[], float]) -> None:
    rig = Rig(MemoryLine(refusals=refusals, wires=0))

    async def stop() -> float:
        running = asyncio.create_task(rig.keeper.run())
        await asyncio.sleep(10)
        rig.keeper.stop()
        await running
        return now()

    assert clock.run(stop()) == 10
    rig.close()


@pytest.mark.parametrize(("silent", "after"), [(False, 0.0), (True, GOODBYE)])
def test_told_to_stop_it_waits_for_the_peers_word_but_not_for_ever(
    silent: bool, after: float, now: Callable[[], float]
) -> None:
    rig = Rig(MemoryLine(), UP4, silent=silent)

    async def stop() -> float:
        running = asyncio.create_task(rig.keeper.run())
        await asyncio.sleep(10)
        rig.keeper.stop()
        await running
        return now()

    assert clock.run(stop()) == 10 + after
    assert (10, "stop") in rig.machine.history
    rig.close()


def test_addresses_come_with_the_link_and_go_with_it() -> None:
    rig = Rig(MemoryLine(), UP4)

    async def cut() -> None:
        await asyncio.sleep(1)
        assert rig.addresses.history == [UP4]
        rig.line.far[0].close()
        await asyncio.sleep(1)
        assert rig.addresses.history == [UP4, 4]

    play(rig, cut)


def test_a_status_tells_the_line_the_families_and_the_last_end() -> None:
    rig = Rig(MemoryLine(wires=1), UP4)

    async def look() -> None:
        await asyncio.sleep(5)
        found = rig.keeper.status()
        assert (found.line_state, found.phase, found.uptime, found.opened) == ("open", "network", 5.0, 1)
        assert [(each.local, each.remote, each.mtu) for each in found.families] == [(UP4.local, UP4.remote, 1500)]
        rig.line.far[0].close()
        await asyncio.sleep(0.1)
        found = rig.keeper.status()
        assert (found.line_state, found.phase, found.uptime) == ("retrying", "dead", None)
        assert (found.families, found.last_end) == ([], "the other end closed the line")
        await asyncio.sleep(5)
        assert rig.keeper.status().line_state == "waiting"

    play(rig, look)


def test_what_the_kernel_refuses_is_told_until_it_does_not_any_more() -> None:
    rig = Rig(MemoryLine(wires=2), UP4)

    async def look() -> None:
        rig.addresses.refusal = "paris: address 10.9.0.1: the kernel refused it"
        await asyncio.sleep(1)
        assert rig.keeper.status().problems == ["paris: address 10.9.0.1: the kernel refused it"]
        rig.addresses.refusal = ""
        rig.line.far[0].close()
        await asyncio.sleep(1)
        assert rig.keeper.status().problems == []

    play(rig, look)
