"""Changes wake; lost messages count as changes; only the kernel is believed."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.lan import DEADLINE, Host, Lan
from vipd.drivers.watch import Watcher, kinds

NEW_LINK = struct.pack("=IHHII", 16, 16, 0, 0, 0)


def watch(host: Host, work: Callable[[Watcher], Coroutine[Any, Any, None]], **options: int) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            with Watcher(**options) as watcher:
                await work(watcher)

    host.inside(lambda: asyncio.run(bounded()))


@pytest.mark.root
@pytest.mark.parametrize(
    "change",
    [
        ("link", "set", "dev", "lo", "mtu", "60000"),
        ("addr", "add", "192.0.2.99/32", "dev", "lo"),
        ("addr", "add", "2001:db8::99/128", "dev", "lo"),
        ("route", "add", "198.51.100.0/24", "via", "192.0.2.2"),
        ("-6", "route", "add", "2001:db8:99::/48", "via", "2001:db8:1::2"),
        ("rule", "add", "from", "10.9.9.9", "lookup", "100"),
        ("nexthop", "add", "id", "7", "via", "192.0.2.2", "dev", "eth0"),
    ],
)
def test_each_kind_of_change_wakes(lan: Lan, change: tuple[str, ...]) -> None:
    async def work(watcher: Watcher) -> None:
        waiting = asyncio.create_task(watcher.changed())
        lan.director.ip(*change)
        await waiting

    watch(lan.director, work)


@pytest.mark.root
def test_after_lost_messages_everything_counts_as_changed(lan: Lan) -> None:
    async def work(watcher: Watcher) -> None:
        # One process makes many changes while nobody reads.
        lines = "".join(f"addr add 10.99.{number // 250}.{number % 250 + 1}/32 dev lo\n" for number in range(2000))
        inside = ["nsenter", f"--net=/run/netns/{lan.director.name}", "ip", "-batch", "-"]
        subprocess.run(inside, input=lines, text=True, check=True)
        await watcher.changed()
        while not watcher.feed.overruns:
            await asyncio.sleep(0.01)

    watch(lan.director, work, receive_buffer=4096)


@pytest.mark.root
def test_a_datagram_that_the_kernel_did_not_send_is_not_believed(lan: Lan) -> None:
    async def work(watcher: Watcher) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as stranger:
            stranger.bind((0, 0))
            stranger.sendto(NEW_LINK, (watcher.feed.port, 0))
            while not watcher.feed.strangers:
                await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watcher.changed()

    watch(lan.director, work)


def test_the_messages_of_a_datagram_are_told_apart() -> None:
    second = struct.pack("=IHHII", 18, 20, 0, 0, 0) + bytes(4)
    assert kinds(NEW_LINK + second + NEW_LINK) == {16, 20}


@pytest.mark.parametrize("size", range(16))
def test_a_datagram_cut_short_has_no_message(size: int) -> None:
    assert kinds(NEW_LINK[:size]) == frozenset()


def test_a_length_of_zero_does_not_hold_us_up() -> None:
    assert kinds(bytes(64)) == {0}
