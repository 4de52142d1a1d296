"""An instance's maps and programs in its bpffs directory: made, adopted, exchanged, removed."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np

from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane.btf import Btf
from vipd.dataplane.libbpf import KernelRefusal, possible_cpus, require_kernel
from vipd.dataplane.links import ETHERNET, PROGRAMS, detach, exchange, links
from vipd.dataplane.maps import Map, Shape, kernel_btf
from vipd.dataplane.program import Object, Program, pin, unpinned
from vipd.dataplane.tables import SLOT_BYTES
from vipd.errors import DataplaneError, EnvironmentProblem
from vipd.model.director import BUCKET_FILL, CONNECTIONS, table_buckets
from vipd.model.keys import hash_keys
from vipd.model.state import HeldService

BUILT: Final = Path(__file__).parents[1] / "bpf" / "vipd.bpf.o"
SLOTS: Final = 1024 * 1024
"At the least; an array's elements take 8 bytes, whatever their size."
BPFFS_MAGIC: Final = 0xCAFE4A11
_PROGRAM: Final = "prog_"
_FRESH: Final = "_next"
_SWEEP: Final = 1.0
"Seconds in which the sweeper passes the whole table."
_NS: Final = 1_000_000_000
_OVERHEAD: Final = 64
"Of an entry of a hash or trie, beside its key and value."
_ARRAYS: Final = {2, 6}
_RING: Final = 27
_SIZED: Final = {"connections", "slots"}
_FOR_TRACING: Final = {"tracer", "traces", "trace_counts", "trace_records"}
"What an older build did not make yet: it begins empty, and no packet depends on it."
_ENUMS: Final = _abi.ENUMS + _abi_trace.ENUMS
_DUMMY: Final = bytes(64)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the two tables have room for that are sized at start."""

    connections: int = CONNECTIONS
    slots: int = SLOTS

    @property
    def buckets(self) -> int:
        return table_buckets(self.connections)

    @classmethod
    def fitting(cls, connections: int, services: Iterable[HeldService]) -> Self:
        """With room for twice the services' tables: a change is written beside what it replaces."""
        needed = sum(len(service.slots) + len(service.fallback) for service in services) // SLOT_BYTES
        return cls(connections, max(SLOTS, 2 * needed))


class Pins:
    """An instance's maps and programs, open; the directory is locked against a second opener."""

    def __init__(
        self, directory: Path, lock: int, maps: dict[str, Map], programs: Mapping[str, Program], adopted: bool
    ) -> None:
        self.directory, self.maps, self.programs, self.adopted = directory, maps, programs, adopted
        self._lock = lock

    @property
    def director(self) -> Program:
        return self.programs[ETHERNET]

    def close(self) -> None:
        """All stays in force."""
        for table in self.maps.values():
            table.close()
        for program in self.programs.values():
            program.close()
        os.close(self._lock)


def open_pins(directory: Path, secret: bytes, sizes: Sizes, built: Path = BUILT) -> Pins:
    """What is there, adopted; else made."""
    require_kernel()
    if "." in directory.name:
        raise DataplaneError(f"{directory}: the BPF file system allows no dot in a name; name the instance without")
    try:
        require_bpffs(directory)
        lock = _locked(directory)
        return _open_locked(directory, lock, secret, sizes, built)
    except OSError as error:
        raise KernelRefusal(f"open {directory}", error.errno or 0) from error


def _open_locked(directory: Path, lock: int, secret: bytes, sizes: Sizes, built: Path) -> Pins:
    try:
        with Object(built) as candidate:
            try:
                if _pin_of(directory, ETHERNET).exists():
                    return _adopt(directory, lock, candidate, secret, sizes)
                # This program is pinned last: without it nothing was ever attached.
                _unpin_all(directory)
                return _create(directory, lock, candidate, secret, sizes)
            except BaseException:
                candidate.discard()
                raise
    except BaseException:
        os.close(lock)
        with contextlib.suppress(OSError):
            directory.rmdir()  # only where nothing is left in it
        raise


def _locked(directory: Path) -> int:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise DataplaneError(
            f"{directory} is in use by another vipd: stop it first, or name another instance"
        ) from None
    return fd


def require_bpffs(directory: Path) -> None:
    """Maps can be pinned below `directory`."""
    place = next(path for path in (directory, *directory.parents) if path.exists())
    with Path("/proc/self/mountinfo").open() as mounts:
        points = [re.split(r" - ", line)[1].split()[0] for line in mounts if line.split()[2] == _device(place)]
    if "bpf" not in points:
        raise EnvironmentProblem(f"{place} is no BPF file system: mount -t bpf bpf /sys/fs/bpf")


def _device(path: Path) -> str:
    number = path.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


def set_constants(candidate: Object, secret: bytes, buckets: int) -> bytes:
    """Before it is loaded; what its struct config is then."""
    config = np.frombuffer(candidate.constant("config"), _abi.CONFIG)
    config["hash_key"], config["flow_key"] = hash_keys(secret)
    config["buckets"] = buckets
    beats = _SWEEP * _NS / int(config["sweep_interval"][0])
    config["sweep_buckets"] = min(buckets, math.ceil(buckets / beats))
    return config.tobytes()


def _create(directory: Path, lock: int, candidate: Object, secret: bytes, sizes: Sizes) -> Pins:
    candidate.resize("connections", sizes.buckets)
    candidate.resize("slots", sizes.slots)
    require_memory(candidate)
    set_constants(candidate, secret, sizes.buckets)
    candidate.load()
    try:
        for name, table in candidate.maps.items():
            pin(table.fd, directory / name)
        start_sweeper(candidate)
        for name in reversed(PROGRAMS):
            pin(candidate.programs[name].fd, _pin_of(directory, name))
    except BaseException:
        _unpin_all(directory)
        raise
    return _opened(directory, lock, candidate, {name: candidate.programs[name] for name in PROGRAMS}, adopted=False)


def _opened(directory: Path, lock: int, candidate: Object, programs: Mapping[str, Program], adopted: bool) -> Pins:
    candidate.programs["start_sweeper"].close()
    return Pins(directory, lock, candidate.maps, programs, adopted)


def _pin_of(directory: Path, program: str) -> Path:
    return directory / f"{_PROGRAM}{program}"


def require_memory(candidate: Object) -> None:
    """Room for its maps, as they are sized now."""
    needed = sum(memory_of(candidate.shape(name)) for name in candidate.map_names)
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(meminfo["MemAvailable"].split()[0]) * 1024
    if needed > available:
        raise DataplaneError(
            f"the tables need {needed >> 20} MiB of memory and {available >> 20} MiB are available: "
            "ask for fewer connections"
        )


def memory_of(shape: Shape) -> int:
    """Bytes that a map of this shape takes, all entries made."""
    if shape.type == _RING:
        return shape.max_entries
    value = (shape.value_size + 7) // 8 * 8
    if shape.type in _ARRAYS:
        return shape.max_entries * value * (possible_cpus() if shape.type == max(_ARRAYS) else 1)
    return shape.max_entries * (value + (shape.key_size + 7) // 8 * 8 + _OVERHEAD)


def start_sweeper(candidate: Object) -> None:
    """Arm the timer; where it runs already, only its program is exchanged."""
    action = candidate.programs["start_sweeper"].run(_DUMMY).action
    if action == 0:
        raise DataplaneError("the timer that ends connections could not be started")


def _adopt(directory: Path, lock: int, candidate: Object, secret: bytes, sizes: Sizes) -> Pins:
    held = {name: Map(unpinned(directory / name), name) for name in candidate.map_names if (directory / name).exists()}
    try:
        _require_same_layout(directory, candidate, held)
        _require_same_size(held["connections"], sizes)
        for name, table in held.items():
            candidate.reuse(name, table.fd)
    finally:
        for table in held.values():
            table.close()
    config = set_constants(candidate, secret, sizes.buckets)
    # A build that knew no point-to-point links has pinned no program for them.
    pins = {name: _pin_of(directory, name) for name in PROGRAMS}
    running = {name: Program(unpinned(path), owned=True) for name, path in pins.items() if path.exists()}
    programs = {}
    try:
        _require_same_secret(directory, constants(running[ETHERNET]), config)
        candidate.load()
        for name in candidate.map_names:
            if name not in held:
                pin(candidate.maps[name].fd, directory / name)
        start_sweeper(candidate)
        same_maps = held.keys() == candidate.maps.keys()
        for name, path in pins.items():
            fresh = programs[name] = candidate.programs[name]
            old = running.get(name)
            if old and same_maps and old.tag == fresh.tag and constants(old) == config:
                programs[name], running[name] = old, fresh
            else:
                _exchange(path, fresh)
        # An exchange that was cut short left the old program on some interfaces.
        for link in links(directory):
            if link.ifindex and link.program_id != programs[link.program].id:
                exchange(link, programs[link.program])
    finally:
        for program in running.values():
            program.close()
    return _opened(directory, lock, candidate, programs, adopted=True)


def _require_same_secret(directory: Path, before: bytes, config: bytes) -> None:
    was, now = (np.frombuffer(raw, _abi.CONFIG)[0] for raw in (before, config))
    if any(was[key].tobytes() != now[key].tobytes() for key in ("hash_key", "flow_key")):
        raise EnvironmentProblem(
            f"{directory} was made with another secret, and its connections cannot be found with this one: "
            "give it that secret, or run `vipd down` first, which ends them"
        )


def _exchange(path: Path, fresh: Program) -> None:
    beside = path.with_name(f"{path.name}{_FRESH}")
    beside.unlink(missing_ok=True)
    pin(fresh.fd, beside)
    beside.replace(path)


def constants(program: Program) -> bytes:
    """The `struct config` that a loaded program runs with."""
    tables = program.maps()
    try:
        section = next(table for table in tables if table.name.endswith(".rodata"))
        offset, size = kernel_btf(section.info.btf_id).variable(".rodata", "config")
        return section.lookup(bytes(4))[offset : offset + size]
    finally:
        for table in tables:
            table.close()


def layout_differences(candidate: Object, held: Mapping[str, Map]) -> list[str]:
    """Maps that cannot be read as the object's own: every field of every entry stands where this build has it."""
    different = [name for name in candidate.map_names if name not in held and name not in _FOR_TRACING]
    for name, table in held.items():
        wanted, found = candidate.shape(name), table.shape()
        if name in _SIZED:
            wanted = replace(wanted, max_entries=found.max_entries)
        types = kernel_btf(table.info.btf_id) if table.info.btf_id else Btf.empty()
        # An enum that the other build did not have stands in none of its entries.
        if wanted != found or any(types.enum(enum) not in ({}, candidate.btf.enum(enum)) for enum in _ENUMS):
            different.append(name)
    return sorted(different)


def _require_same_layout(directory: Path, candidate: Object, held: dict[str, Map]) -> None:
    """Never misread what another build wrote."""
    if different := layout_differences(candidate, held):
        raise EnvironmentProblem(
            f"{directory} was made by another build of vipd, whose tables differ ({', '.join(different)}): "
            "run the old build, or `vipd down` first, which ends the connections known now"
        )


def _require_same_size(connections: Map, sizes: Sizes) -> None:
    if connections.max_entries != sizes.buckets:
        was = connections.max_entries * BUCKET_FILL // 2
        raise EnvironmentProblem(
            f"the table in force was made for {was} connections, not {sizes.connections}: "
            "leave `connections` as it was, or run `vipd down` first, which ends the connections known now"
        )


def _unpin_all(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


def remove(directory: Path) -> bool:
    """Everything of the instance goes: programs off the interfaces, then all tables. False: nothing was there."""
    if not directory.exists():
        return False
    lock = _locked(directory)
    try:
        for link in links(directory):
            detach(link)
        _unpin_all(directory)
        directory.rmdir()
    finally:
        os.close(lock)
    return True


def instances(root: Path) -> Iterator[Path]:
    """Directories that hold a director."""
    return (path.parent for path in sorted(root.glob(f"*/{_PROGRAM}{ETHERNET}")))
