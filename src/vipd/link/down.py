"""Ends a link from outside, and waits until nothing is left of it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from vipd.api.caller import NotRunningError, SilentError
from vipd.api.link import LinkClient
from vipd.drivers.files import Lock, private_directory
from vipd.errors import EnvironmentProblem
from vipd.link.keeper import GOODBYE
from vipd.model.peer import Peer

_WAIT: Final = GOODBYE + 6.0
_LOOK: Final = 0.02
_BUSY: Final = "the link does not end (process {owner} holds {path}); 'kill -9 {owner}' ends it, and then this again"


def down(peer: Peer) -> bool:
    """Whether it ran. What a killed one left is removed too."""
    if not peer.directory.exists():
        return False
    ran, patience = True, _WAIT
    try:
        with LinkClient(peer) as client:
            client.stop()
    except NotRunningError:
        ran = False
    except SilentError:
        patience = 0.0
    lock = _awaited(peer, patience)
    for left in (peer.socket, peer.pty):
        left.unlink(missing_ok=True)
    lock.remove()
    return ran


def _awaited(peer: Peer, patience: float) -> Lock:
    deadline = time.monotonic() + patience
    while True:
        try:
            private_directory(peer.directory)
            return Lock(peer.lock, _BUSY)
        except FileNotFoundError:
            pass  # it removed its directory just now
        except EnvironmentProblem:
            if time.monotonic() > deadline:
                raise
        with suppress(InterruptedError):
            time.sleep(_LOOK)
