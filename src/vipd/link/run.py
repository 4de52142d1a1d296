"""From options to a running link, and back to nothing: what needs root comes first, then root is given up."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack, suppress
from typing import Final

from vipd.api.link_server import application
from vipd.api.serving import Server, listen
from vipd.drivers import privileges
from vipd.drivers.files import Lock, private_directory
from vipd.drivers.lines import line
from vipd.drivers.machine import notify
from vipd.drivers.pointtopoint import Extras, PointToPoint
from vipd.drivers.tun import Tun
from vipd.link.build import codec, machine
from vipd.link.capture import Capture
from vipd.link.keeper import Keeper, Names, Parts
from vipd.link.options import Options
from vipd.model.link import LinkMachine, Up

log = logging.getLogger(__name__)

NEEDED: Final = ("CAP_NET_ADMIN",)
_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FLUSH: Final = 1.0
"Seconds after which a frame is in the capture file at the latest."
_BUSY: Final = (
    "a link of this name runs already (process {owner}, lock {path}); "
    "'vipd link down NAME' ends it, another '--peer NAME' runs beside it"
)


def up(options: Options, environment: MutableMapping[str, str]) -> None:
    """Stays until told to stop, or until going on would be of no use; leaves nothing."""
    privileges.require("vipd link up", NEEDED)
    protocol = machine(options, environment)
    with ExitStack() as undo:
        keeper, capture, listener = _prepare(options, protocol, undo)
        # Before the first thread: each has capabilities of its own.
        privileges.drop(NEEDED)
        asyncio.run(_serve(options, keeper, capture, listener))


def _prepare(options: Options, protocol: LinkMachine, undo: ExitStack) -> tuple[Keeper, Capture | None, socket.socket]:
    peer = options.peer
    private_directory(peer.directory)
    undo.callback(Lock(peer.lock, _BUSY).remove)
    way = line(options.place, peer.pty)
    undo.callback(way.close)
    tun = Tun(options.interface)
    undo.callback(tun.close)
    addresses = PointToPoint(options.interface, options.ipv6, Extras(options.addresses, options.routes))
    capture = None
    if options.pcap is not None:
        capture = Capture(options.pcap, options.encapsulation)
        undo.callback(capture.close)
    listener = listen(peer.socket)
    undo.callback(lambda: peer.socket.unlink(missing_ok=True))
    undo.callback(listener.close)
    parts = Parts(
        line=way,
        codec=lambda: codec(options),
        machine=protocol,
        interface=tun,
        addresses=_Threaded(addresses),
        seen=capture.seen if capture else _unseen,
        lot=random.random,
    )
    names = Names(peer.name, options.interface, options.place, options.framing, options.encapsulation)
    return Keeper(names, parts), capture, listener


async def _serve(options: Options, keeper: Keeper, capture: Capture | None, listener: socket.socket) -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None

    def stop() -> None:
        """Once politely, twice at once, a third time changes nothing."""
        if keeper.stopping and not this.cancelling():
            this.cancel()
        keeper.stop()

    for number in _ENDING:
        loop.add_signal_handler(number, stop)
    server = Server(application(keeper))
    others = [asyncio.create_task(server.serve(sockets=[listener]))]
    if capture is not None:
        others.append(asyncio.create_task(_keep_flushed(capture)))
    notify("READY=1")
    log.info("%s: interface %s, line %s", options.peer.name, options.interface, options.place)
    try:
        with suppress(asyncio.CancelledError):
            await keeper.run()
    finally:
        for number in _ENDING:
            # What is undone now takes a moment, in which one more Ctrl-C must neither kill nor cancel us.
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        notify("STOPPING=1")
        server.should_exit = True
        for each in others[1:]:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        log.info("%s: ended", options.peer.name)


async def _keep_flushed(capture: Capture) -> None:
    while True:
        await asyncio.sleep(_FLUSH)
        capture.flush()


class _Threaded:
    """Netlink's answers are waited for beside the loop."""

    def __init__(self, addresses: PointToPoint) -> None:
        self._addresses = addresses

    async def up(self, agreed: Up) -> None:
        await asyncio.to_thread(self._addresses.up, agreed)

    async def down(self, version: int) -> None:
        await asyncio.to_thread(self._addresses.down, version)


def _unseen(_frame: bytes, _sent: bool) -> None:
    return
