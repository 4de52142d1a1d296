"""From a valid configuration to a running daemon: nothing is changed before everything is checked."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from vipd.config import Loaded
from vipd.control import desired
from vipd.daemon.director import Daemon
from vipd.daemon.down import dismantle
from vipd.daemon.keeper import Keeper, require_free
from vipd.daemon.site import Site
from vipd.daemon.survey import Survey, require, survey
from vipd.dataplane.libbpf import require_kernel
from vipd.dataplane.links import links
from vipd.dataplane.pins import Sizes
from vipd.dataplane.xdp import open_xdp
from vipd.drivers import machine, privileges
from vipd.drivers.claims import conflicts
from vipd.drivers.files import Lock, private_directory, secret
from vipd.drivers.ledger import Ledger
from vipd.drivers.network import Network
from vipd.errors import DirectorError, EnvironmentProblem
from vipd.model.director import Director
from vipd.model.instance import Instance
from vipd.model.state import Egress

log = logging.getLogger(__name__)

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SYS_ADMIN")
"CAP_SYS_ADMIN to open maps and programs by their id, as adoption does; given up after that."
SECRET_SIZE: Final = 16


def run(instance: Instance, path: Path, loaded: Loaded, detach: bool) -> None:
    """Stays until told to stop. `detach`: forwarding stops then too."""
    require_kernel()
    privileges.require("vipd run", NEEDED)
    machine.require_bpffs()
    private_directory(instance.directory)
    lock = Lock(instance.lock)
    try:
        for warning in loaded.warnings:
            log.warning("%s", warning)
        ledger = Ledger(instance.ledger)
        _check(instance, loaded, ledger)
        _serve(instance, path, loaded, ledger)
        if detach:
            log.info("detaching: forwarding stops")
            dismantle(instance, ledger)
        else:
            log.info("stopped; forwarding goes on, 'vipd down' ends it")
    finally:
        lock.release()


def _check(instance: Instance, loaded: Loaded, ledger: Ledger) -> None:
    """Everything that can be known before the first change."""
    network = Network()
    try:
        found = survey(network, ledger, loaded.director)
    finally:
        network.close()
    require(loaded, found)
    _require_no_stranger(instance, loaded, found)
    new = [place for place in found.places(ours=True) if not ledger.owns(place.address)]
    held = [place for place in found.places(ours=True) if ledger.owns(place.address)]
    taken = asyncio.run(conflicts([*new, *held], found.mine))
    for conflict in taken:
        if ledger.owns(conflict.address):
            # We have served it until now; to refuse would leave it without a daemon and mend nothing.
            log.warning("%s", conflict)
    require_free(conflict for conflict in taken if not ledger.owns(conflict.address))


def _require_no_stranger(instance: Instance, loaded: Loaded, found: Survey) -> None:
    ours = {link.ifindex for link in links(instance.pins)} if instance.pins.exists() else set()
    for name in loaded.director.interfaces:
        link = found.links[name]
        if link.xdp and link.ifindex not in ours:
            raise EnvironmentProblem(
                f"{name} has an XDP program of somebody else's (program {link.xdp}); see 'bpftool net', and take it "
                f"off first: 'ip link set dev {name} xdp off', or 'bpftool link detach'"
            )


def _serve(instance: Instance, path: Path, loaded: Loaded, ledger: Ledger) -> None:
    director = loaded.director
    place = Path(director.secret_file) if director.secret_file else instance.secret
    key = secret(place, SECRET_SIZE, create=not director.secret_file)
    with ExitStack() as undo:
        plane = open_xdp(instance.pins, key, _sizes(director, key))
        if plane.pins.adopted:
            log.info("adopted the state in %s", instance.pins)
        else:
            undo.callback(dismantle, instance, ledger)
        with closing(plane):
            # Before the first thread: each has capabilities of its own.
            privileges.drop()
            asyncio.run(_run(instance, path, Keeper(loaded, key, lambda: Site(plane, ledger)), undo))


def _sizes(director: Director, key: bytes) -> Sizes:
    """Room for the tables of its services; how servers are reached changes no table's length."""
    return Sizes.fitting(director.connections, desired(director, lambda _: Egress.ON_LINK, key, frozenset()).values())


async def _run(instance: Instance, path: Path, keeper: Keeper, undo: ExitStack) -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        await keeper.begin()
        undo.pop_all()
        await Daemon(instance, path, keeper).run()
    except asyncio.CancelledError:
        raise DirectorError("stopped before it was ready; what was done so far is undone") from None
    finally:
        await keeper.end()
