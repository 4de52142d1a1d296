"""Who has an address: asked, told and watched, on real segments."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TypeVar

import pytest

from tests.support.lan import DEADLINE, Host, Lan
from vipd.drivers.claims import Conflict, Guard, Place, announce, conflicts
from vipd.drivers.network import Network
from vipd.drivers.segment import Segment, ethertype_of
from vipd.errors import DataplaneError
from vipd.wire import arp, ndp
from vipd.wire.ethernet import Frame, mac_bytes, multicast_mac

pytestmark = pytest.mark.root
T = TypeVar("T")

FREE = {4: "192.0.2.77", 6: "2001:db8:1::77"}
TAKEN = {4: "192.0.2.2", 6: "2001:db8:1::2"}


def place(host: Host, address: str, interface: str = "eth0") -> Place:
    def look() -> Place:
        network = Network()
        try:
            link = network.links()[interface]
        finally:
            network.close()
        return Place(ip_address(address), interface, link.ifindex, link.mac)

    return host.inside(look)


def run(host: Host, work: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE):
            return await work()

    return host.inside(lambda: asyncio.run(bounded()))


@pytest.mark.parametrize("version", [4, 6])
def test_a_free_address_has_no_owner(lan: Lan, version: int) -> None:
    spot = place(lan.director, FREE[version])
    assert run(lan.director, lambda: conflicts([spot], {spot.mac})) == ()


@pytest.mark.parametrize("version", [4, 6])
def test_the_owner_of_a_taken_address_is_told_by_its_mac(lan: Lan, version: int) -> None:
    spot = place(lan.director, TAKEN[version])
    found = run(lan.director, lambda: conflicts([spot, place(lan.director, FREE[version])], {spot.mac}))
    assert found == (Conflict(ip_address(TAKEN[version]), "eth0", lan.client.mac("eth0")),)


def test_many_addresses_are_asked_for_at_once(lan: Lan) -> None:
    spots = [place(lan.director, TAKEN[4]), place(lan.director, TAKEN[6]), place(lan.director, "10.0.0.3", "eth1")]
    began = time.monotonic()
    run(lan.director, lambda: conflicts(spots[:1], {spots[0].mac}))
    alone, began = time.monotonic() - began, time.monotonic()
    found = run(lan.director, lambda: conflicts(spots, {spot.mac for spot in spots}))
    assert {str(each.address) for each in found} == {TAKEN[4], TAKEN[6], "10.0.0.3"}
    # One after the other they would take three times as long, and more than two seconds.
    assert time.monotonic() - began < max(2, 2 * alone)


def test_our_own_answer_on_another_interface_is_no_conflict(lan: Lan) -> None:
    spot = place(lan.director, TAKEN[4])
    theirs = mac_bytes(lan.client.mac("eth0"))
    assert run(lan.director, lambda: conflicts([spot], {spot.mac, theirs})) == ()


@pytest.mark.parametrize("version", [4, 6])
def test_of_two_that_ask_at_the_same_time_both_hear_of_it(lan: Lan, version: int) -> None:
    here, there = place(lan.director, FREE[version]), place(lan.client, FREE[version])

    async def ask_while_the_other_asks() -> tuple[Conflict, ...]:
        other = asyncio.create_task(asyncio.to_thread(run, lan.client, lambda: conflicts([there], {there.mac})))
        mine = await asyncio.to_thread(run, lan.director, lambda: conflicts([here], {here.mac}))
        return mine + await other

    found = asyncio.run(ask_while_the_other_asks())
    assert {each.mac for each in found} == {lan.client.mac("eth0"), lan.director.mac("eth0")}


@pytest.mark.parametrize("version", [4, 6])
def test_an_announcement_reaches_the_segment(lan: Lan, version: int) -> None:
    here, there = place(lan.director, FREE[version]), place(lan.client, FREE[version])
    if version == 4:
        expected = arp.announcement(here.address, here.mac)  # type: ignore[arg-type]
    else:
        expected = ndp.announcement(here.address, here.mac, router=True)  # type: ignore[arg-type]

    async def hear() -> Frame:
        with Segment("eth0", there.ifindex, ethertype_of(version)) as segment:
            told = asyncio.create_task(asyncio.to_thread(run, lan.director, lambda: announce([here])))
            while True:
                frame = await segment.received.get()
                if frame.payload[: len(expected.payload)] == expected.payload:
                    await told
                    return frame

    heard = run(lan.client, hear)
    assert (heard.source, heard.destination) == (expected.source, expected.destination)


@pytest.mark.parametrize("version", [4, 6])
def test_a_machine_that_takes_our_address_later_is_seen_and_answered(lan: Lan, version: int) -> None:
    # The director holds FREE; the client then announces the same address.
    here, there = place(lan.director, FREE[version]), place(lan.client, FREE[version])
    guard = Guard(lambda: {here.mac}, time.monotonic)

    async def watch() -> tuple[Conflict, ...]:
        watching = asyncio.create_task(guard.run([here]))
        other = asyncio.create_task(asyncio.to_thread(run, lan.client, lambda: announce([there])))
        while not guard.conflicts():
            await asyncio.sleep(0.01)
        await other
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return guard.conflicts()

    found = run(lan.director, watch)
    assert found == (Conflict(here.address, "eth0", lan.client.mac("eth0")),)


def test_a_conflict_is_logged_once_a_minute_and_forgotten_in_time(lan: Lan, caplog: pytest.LogCaptureFixture) -> None:
    here, there = place(lan.director, FREE[4]), place(lan.client, FREE[4])
    now = 1000.0
    guard = Guard(lambda: {here.mac}, lambda: now)

    async def watch() -> None:
        watching = asyncio.create_task(guard.run([here]))
        await asyncio.to_thread(run, lan.client, lambda: announce([there]))
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    run(lan.director, watch)
    assert caplog.text.count("is answered for by") == 1
    assert len(guard.conflicts()) == 1
    now += 59
    assert len(guard.conflicts()) == 1
    now += 2
    assert guard.conflicts() == ()


def test_frames_that_are_none_are_not_heard_as_owners(lan: Lan) -> None:
    here, there = place(lan.director, FREE[4]), place(lan.client, FREE[4])

    async def ask_amid_garbage() -> tuple[Conflict, ...]:
        with Segment("eth0", there.ifindex, ethertype_of(4)) as segment:
            whole = arp.announcement(there.address, there.mac).payload  # type: ignore[arg-type]
            for size in range(28):
                segment.send(Frame(b"\xff" * 6, there.mac, ethertype_of(4), whole[:size]))
        return ()

    asked = asyncio.run(
        _both(
            asyncio.to_thread(run, lan.director, lambda: conflicts([here], {here.mac})),
            asyncio.to_thread(run, lan.client, ask_amid_garbage),
        )
    )
    assert asked == ()


async def _both(first: Awaitable[T], second: Awaitable[object]) -> T:
    found, _ = await asyncio.gather(first, second)
    return found


def test_an_interface_that_there_is_not_is_told(lan: Lan) -> None:
    spot = Place(ip_address(FREE[4]), "eth9", 99, bytes(6))
    with pytest.raises(DataplaneError, match="eth9: cannot listen there"):
        run(lan.director, lambda: conflicts([spot], ()))


def test_only_neighbour_messages_pass_the_filter(lan: Lan) -> None:
    here, there = place(lan.director, FREE[6]), place(lan.client, FREE[6])

    async def hear() -> Frame:
        with Segment("eth0", here.ifindex, ethertype_of(6)) as segment:
            group = ndp.solicited_node(ip_address(FREE[6]))  # type: ignore[arg-type]
            segment.join(multicast_mac(group))
            sending = asyncio.create_task(asyncio.to_thread(run, lan.client, lambda: _send_both(there)))
            heard = await segment.received.get()
            await sending
            return heard

    assert isinstance(ndp.decode(run(lan.director, hear).payload), ndp.Solicitation | ndp.Advertisement)


async def _send_both(there: Place) -> None:
    """A UDP datagram first, then a neighbour solicitation."""
    probe = ndp.probe(there.address, there.mac)  # type: ignore[arg-type]
    udp = bytearray(probe.payload)
    udp[6] = 17
    with Segment("eth0", there.ifindex, ethertype_of(6)) as segment:
        segment.send(Frame(probe.destination, probe.source, probe.type, bytes(udp)))
        segment.send(probe)
