"""From a valid configuration to a running daemon: nothing is changed before everything is checked."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from vipd.config import Loaded
from vipd.control import Desired
from vipd.daemon.director import Daemon
from vipd.daemon.down import dismantle
from vipd.daemon.keeper import Keeper, require_free
from vipd.daemon.site import Site
from vipd.daemon.survey import Survey, require, survey, warnings
from vipd.dataplane.libbpf import require_kernel
from vipd.dataplane.links import links
from vipd.dataplane.pins import Sizes
from vipd.dataplane.xdp import open_xdp
from vipd.drivers import machine, privileges
from vipd.drivers.claims import conflicts
from vipd.drivers.files import Lock, private_directory, secret
from vipd.drivers.ledger import Ledger
from vipd.drivers.network import Memory, Network
from vipd.errors import DirectorError, EnvironmentProblem
from vipd.model.instance import Instance
from vipd.model.keys import SECRET_BYTES

log = logging.getLogger(__name__)

NEEDED: Final = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON", "CAP_SYS_ADMIN")
"CAP_SYS_ADMIN to open maps and programs by their id, as adoption does; given up after that."
_MANY: Final = 20
"Warnings at start."


def run(instance: Instance, path: Path, loaded: Loaded, detach: bool) -> None:
    """Stays until told to stop. `detach`: forwarding stops then too."""
    require_kernel()
    privileges.require("vipd run", NEEDED)
    machine.require_bpffs()
    private_directory(instance.directory)
    lock = Lock(instance.lock)
    # Nearly all that is made until we are ready stays.
    gc.disable()
    try:
        for warning in loaded.warnings:
            log.warning("%s", warning)
        ledger = Ledger(instance.ledger)
        with closing(Memory()) as memory:
            found = _check(instance, loaded, ledger, memory)
            _serve(instance, path, loaded, ledger, memory, found)
        if detach:
            log.info("detaching: forwarding stops")
            dismantle(instance, ledger)
        else:
            log.info("stopped; forwarding goes on, 'vipd down' ends it")
    finally:
        if instance.pins.exists() or instance.ledger.exists():
            lock.release()
        else:
            lock.remove()


def _check(instance: Instance, loaded: Loaded, ledger: Ledger, memory: Memory) -> Survey:
    """Everything that can be known before the first change."""
    network = Network(memory)
    try:
        found = survey(network, ledger.contents.addresses, loaded.director)
    finally:
        network.close()
    # Who takes over what a killed daemon left must not wait for a link that is down.
    require(loaded, found, ledger.interfaces if instance.pins.exists() else frozenset())
    for warning in (told := warnings(loaded, found))[:_MANY]:
        log.warning("%s", warning)
    if len(told) > _MANY:
        log.warning("and %d more like these; 'vipd check' shows all", len(told) - _MANY)
    _require_no_stranger(instance, loaded, found)
    owned = {entry.address for entry in ledger.contents.addresses}
    taken = asyncio.run(conflicts(found.places(ours=True), found.mine))
    for conflict in taken:
        if conflict.address in owned:
            # We have served it until now; to refuse would leave it without a daemon and mend nothing.
            log.warning("%s", conflict)
    require_free(conflict for conflict in taken if conflict.address not in owned)
    return found


def _require_no_stranger(instance: Instance, loaded: Loaded, found: Survey) -> None:
    ours = {link.ifindex for link in links(instance.pins)} if instance.pins.exists() else set()
    for name in loaded.director.interfaces:
        link = found.links.get(name)
        if link is not None and link.xdp and link.ifindex not in ours:
            raise EnvironmentProblem(
                f"{name} has an XDP program of somebody else's (program {link.xdp}); see 'bpftool net', and take it "
                f"off first: 'ip link set dev {name} xdp off', or 'bpftool link detach'"
            )


def _serve(instance: Instance, path: Path, loaded: Loaded, ledger: Ledger, memory: Memory, found: Survey) -> None:
    director = loaded.director
    place = Path(director.secret_file) if director.secret_file else instance.secret
    key = secret(place, SECRET_BYTES, create=not director.secret_file)
    desire = Desired()
    sizes = Sizes.fitting(director.connections, desire(director, found.reach, key).values())
    with ExitStack() as undo:
        plane = open_xdp(instance.pins, key, sizes)
        if plane.pins.adopted:
            log.info("adopted the state in %s", instance.pins)
        else:
            undo.callback(dismantle, instance, ledger)
        with closing(plane):
            # Before the first thread: each has capabilities of its own.
            privileges.drop()
            keeper = Keeper(loaded, key, desire, lambda: Site(plane, ledger, memory, found))
            asyncio.run(_run(instance, path, keeper, undo))


async def _run(instance: Instance, path: Path, keeper: Keeper, undo: ExitStack) -> None:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        await keeper.begin()
        undo.pop_all()
        gc.freeze()
        gc.enable()
        await Daemon(instance, path, keeper).run()
    except asyncio.CancelledError:
        raise DirectorError("stopped before it was ready; what was done so far is undone") from None
    finally:
        await keeper.end()
