"""The decapsulating XDP program in the kernel: loaded, set, attached, read. Its state is pinned, none is here."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Final

from vipd.dataplane.btf import Btf
from vipd.dataplane.libbpf import KernelRefusal, check, lib, require_kernel
from vipd.dataplane.maps import Map
from vipd.dataplane.program import Object, Program, pin, unpinned
from vipd.errors import EnvironmentProblem
from vipd.model.director import Network
from vipd.realserver.options import Attached
from vipd.realserver.steps import PINS, POINT_TO_POINT, PROGRAM, PROGRAMS, Decapsulate, packed, prefix, unpacked

OBJECT: Final = Path(__file__).parents[1] / "bpf" / "realserver.bpf.o"
TABLES: Final = ("addresses", "vips", "directors", "outcomes")
ENUM: Final = "decapsulation"
_ENUM_PREFIX: Final = "DECAP_"
_NO_OUTCOMES: Final = {"DECAP_CONTINUE", "DECAP_COUNT"}
_BPF_XDP: Final = 37
_MODES: Final = {"native": 1 << 2, "generic": 1 << 1}
"XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE: what the driver can, else what every interface can."
_YES: Final = b"\x01"


class _LinkOpts(ctypes.Structure):
    """struct bpf_link_create_opts, of which XDP needs the flags only."""

    _fields_ = (("sz", ctypes.c_size_t), ("flags", ctypes.c_uint32), ("rest", ctypes.c_uint32 * 15))


def attach(step: Decapsulate, indices: Mapping[str, int]) -> None:
    """Make it so, whatever part of it is there; the tables are right before the first frame meets them."""
    require_kernel()
    _mount()
    pins = Path(step.pins)
    # A build that knew no point-to-point links has pinned no program for them.
    if not _complete(pins) or (step.point_to_point and not _program_pin(pins, POINT_TO_POINT).exists()):
        detach(step.instance)
        _load(Path(step.program), pins)
    with _table(pins, "addresses") as table:
        _fill(table, map(packed, step.addresses))
    with _table(pins, "vips") as table:
        _fill(table, map(packed, step.vips))
    with _table(pins, "directors") as table:
        _fill(table, map(prefix, step.directors))
    wanted = {pins / f"link_{indices[name]}": name for name in step.interfaces}
    for stale in set(pins.glob("link_*")) - wanted.keys():
        _take_off(stale)
    for path, name in wanted.items():
        _attach_to(pins, step.program_for(name), path, name, indices[name])


def detach(instance: str) -> None:
    """Off the interfaces first, then forgotten."""
    pins = Path(PINS, instance)
    if not pins.is_dir():
        return
    for path in pins.glob("link_*"):
        _take_off(path)
    for path in pins.iterdir():
        path.unlink()
    pins.rmdir()
    with suppress(OSError):  # another instance's
        pins.parent.rmdir()


def _take_off(path: Path) -> None:
    """Detached by name, since the kernel may take its time after the last reference."""
    link = unpinned(path)
    try:
        check(lib().bpf_link_detach(link), f"detach {path}")
    finally:
        os.close(link)
    path.unlink()


def attached(instance: str, programs: Mapping[str, frozenset[int]]) -> Attached | None:
    """`programs` are the XDP programs on each interface, as netlink tells."""
    pins = Path(PINS, instance)
    if not _complete(pins):
        return None
    ours = set()
    for name in PROGRAMS:
        if _program_pin(pins, name).exists():
            with _program(pins, name) as program:
                ours.add(program.id)
    keys = {}
    for name in ("addresses", "vips", "directors"):
        with _table(pins, name) as table:
            keys[name] = tuple(table.keys())
    return Attached(
        interfaces=frozenset(name for name, numbers in programs.items() if ours & numbers),
        addresses=frozenset(map(unpacked, keys["addresses"])),
        vips=frozenset(map(unpacked, keys["vips"])),
        directors=frozenset(map(_network, keys["directors"])),
    )


def outcomes(instance: str) -> dict[str, int]:
    """Frames by what became of them; empty where no program of ours is loaded."""
    pins = Path(PINS, instance)
    if not _complete(pins):
        return {}
    with Object(OBJECT) as compiled:
        names = outcome_names(compiled.btf)
    with _table(pins, "outcomes") as table:
        counts = {name: table.lookup(number.to_bytes(4, "little")) for number, name in names.items()}
    return {name: sum(memoryview(raw).cast("Q")) for name, raw in counts.items()}


def outcome_names(btf: Btf) -> dict[int, str]:
    values = btf.enum(ENUM)
    return {
        number: name.removeprefix(_ENUM_PREFIX).lower() for name, number in values.items() if name not in _NO_OUTCOMES
    }


def _complete(pins: Path) -> bool:
    """This program is pinned last."""
    return os.access(_program_pin(pins, PROGRAM), os.F_OK)


def _program_pin(pins: Path, name: str) -> Path:
    return pins / f"prog_{name}"


def _load(path: Path, pins: Path) -> None:
    with Object(path) as compiled:
        compiled.load()
        try:
            pins.mkdir(mode=0o700, parents=True)
            for name in TABLES:
                pin(compiled.maps[name].fd, pins / name)
            for name in reversed(PROGRAMS):
                pin(compiled.programs[name].fd, _program_pin(pins, name))
        finally:
            for table in compiled.maps.values():
                table.close()
            for program in compiled.programs.values():
                program.close()


def _attach_to(pins: Path, program_name: str, path: Path, name: str, index: int) -> None:
    if path.exists() and not _is_dead(path):
        return
    path.unlink(missing_ok=True)
    with _program(pins, program_name) as program:
        link = _link(program.fd, name, index)
    try:
        pin(link, path)
    finally:
        os.close(link)


def _link(program: int, name: str, index: int) -> int:
    refusals = []
    for mode, flags in _MODES.items():
        options = _LinkOpts(sz=ctypes.sizeof(_LinkOpts), flags=flags)
        result: int = lib().bpf_link_create(program, index, _BPF_XDP, ctypes.byref(options))
        if result >= 0:
            return result
        if result in (-errno.EBUSY, -errno.EEXIST):
            raise EnvironmentProblem(
                f"{name} runs an XDP program of somebody else; take it off (ip link set dev {name} xdp off), "
                "or choose --decapsulation kernel"
            )
        refusals.append(f"{mode}: {os.strerror(-result)}")
    raise KernelRefusal(f"attach to {name}", -result, "; ".join(refusals))


class _LinkInfo(ctypes.Structure):
    """struct bpf_link_info of an XDP link; the ifindex is 0 once the interface is gone."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("prog_id", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("ifindex", ctypes.c_uint32),
        ("rest", ctypes.c_uint32 * 11),
    )


def _is_dead(path: Path) -> bool:
    link = unpinned(path)
    try:
        info = _LinkInfo()
        size = ctypes.c_uint32(ctypes.sizeof(info))
        check(lib().bpf_obj_get_info_by_fd(link, ctypes.byref(info), ctypes.byref(size)), f"look at {path}")
        return not info.ifindex
    finally:
        os.close(link)


def _fill(table: Map, wanted: Iterable[bytes]) -> None:
    """New entries before old ones go, so that nothing that stays is ever missing."""
    wanted = set(wanted)
    present = set(table.keys())
    for key in wanted - present:
        table.update(key, _YES)
    for key in present - wanted:
        table.delete(key)


@contextmanager
def _table(pins: Path, name: str) -> Iterator[Map]:
    table = Map(unpinned(pins / name), name)
    try:
        yield table
    finally:
        table.close()


@contextmanager
def _program(pins: Path, name: str) -> Iterator[Program]:
    program = Program(unpinned(_program_pin(pins, name)), owned=True)
    try:
        yield program
    finally:
        program.close()


def _network(key: bytes) -> Network:
    length, address = int.from_bytes(key[:4], "little"), unpacked(key[4:])
    if isinstance(address, IPv6Address):
        return IPv6Network((address, length))
    return IPv4Network((address, length - 96))


def _mount() -> None:
    """The BPF file system, where every system that knows it has it."""
    place = "/sys/fs/bpf"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if fields.split()[4] == place and kind.startswith("bpf "):
            return
    if ctypes.CDLL(None, use_errno=True).mount(b"bpf", place.encode(), b"bpf", 0, None):
        raise EnvironmentProblem(f"cannot mount the BPF file system on {place}: {os.strerror(ctypes.get_errno())}")
