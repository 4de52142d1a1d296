"""What can be done and seen without a daemon: take everything away, or look at what goes on."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Final

from vipd.dataplane import pins
from vipd.drivers import neighbours, offloads, privileges, sysctls, vips
from vipd.drivers.files import Lock
from vipd.drivers.ledger import Ledger
from vipd.drivers.network import Network
from vipd.errors import EnvironmentProblem
from vipd.model.instance import Instance

log = logging.getLogger(__name__)

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN")
_WAIT: Final = 10.0
"Seconds that a daemon which was told to stop gets."


def down(instance: Instance) -> bool:
    """Remove everything that vipd made; whether there was anything. The daemon was told to stop."""
    privileges.require("vipd down", NEEDED)
    if not instance.directory.exists():
        found = pins.remove(instance.pins)
    else:
        lock = _wait_for_lock(instance)
        try:
            found = dismantle(instance, Ledger(instance.ledger))
        finally:
            lock.remove()
    # Not part of dismantling: a director that only restarts goes on choosing as it did.
    instance.secret.unlink(missing_ok=True)
    with suppress(OSError):
        instance.secret.parent.rmdir()
    return found


def dismantle(instance: Instance, ledger: Ledger) -> bool:
    """VIPs first, so that nobody asks us any more; then the data plane, then settings."""
    network = Network()
    try:
        found = bool(ledger.contents.addresses or ledger.contents.sysctls)
        vips.release(network, ledger)
        found |= pins.remove(instance.pins)
        neighbours.release(network, ledger)
        offloads.restore(ledger, frozenset(network.links()))
        sysctls.restore(ledger)
    finally:
        network.close()
    ledger.remove()
    instance.socket.unlink(missing_ok=True)
    return found


def _wait_for_lock(instance: Instance) -> Lock:
    deadline = time.monotonic() + _WAIT
    while True:
        try:
            return Lock(instance.lock)
        except EnvironmentProblem:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
