"""XDP programs on interfaces, as links that stay when the daemon goes. Knows no map."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vipd.dataplane.libbpf import KernelRefusal, check, lib
from vipd.dataplane.program import Program, pin, unpinned
from vipd.errors import DataplaneError, EnvironmentProblem

_ARPHRD_PPP: Final = 512
_ARPHRD_NONE: Final = 65534
_BPF_XDP: Final = 37
_XDP_FLAGS_SKB_MODE: Final = 1 << 1
_XDP_FLAGS_DRV_MODE: Final = 1 << 2
ETHERNET: Final = "director"
POINT_TO_POINT: Final = "director_point_to_point"
PROGRAMS: Final = (ETHERNET, POINT_TO_POINT)
"For frames with Ethernet headers, and for packets of devices that have none."
_PREFIXES: Final = {ETHERNET: "link_", POINT_TO_POINT: "point_to_point_"}
"The name of a pinned link tells the program that belongs there."
_TAKEN: Final = {errno.EBUSY, errno.EEXIST}
_NOT_NATIVE: Final = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOMEM, errno.ERANGE, errno.ENOSPC}
"What drivers answer that have no native XDP, or not in the device's present state."
_MODES: Final = {_XDP_FLAGS_DRV_MODE: "native", _XDP_FLAGS_SKB_MODE: "generic"}
_U32 = ctypes.c_uint32


def is_point_to_point(hardware: int, kind: str) -> bool:
    """Of a device's ARPHRD_ type and kind: XDP sees bare IP packets there.

    Others without Ethernet hand XDP what is before the packet, or headers of their own.
    """
    return hardware == _ARPHRD_PPP or (hardware, kind) == (_ARPHRD_NONE, "tun")


class _LinkOpts(ctypes.Structure):
    _fields_ = (("sz", ctypes.c_size_t), ("flags", _U32), ("rest", ctypes.c_uint64 * 8))


class _LinkInfo(ctypes.Structure):
    _fields_ = (("type", _U32), ("id", _U32), ("prog_id", _U32), ("pad", _U32), ("ifindex", _U32))


class _QueryOpts(ctypes.Structure):
    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("prog_id", _U32),
        ("drv_prog_id", _U32),
        ("hw_prog_id", _U32),
        ("skb_prog_id", _U32),
        ("attach_mode", ctypes.c_uint8),
    )


@dataclass(frozen=True, slots=True)
class Attachment:
    ifindex: int
    mode: str
    "`native` or `generic`."
    reason: str = ""
    "Of generic: what the driver said to native."


@dataclass(frozen=True, slots=True)
class Link:
    """A pinned link; `ifindex` 0: its interface is gone, or somebody took the program off."""

    path: Path
    ifindex: int
    program_id: int

    @property
    def program(self) -> str:
        return next(name for name, prefix in _PREFIXES.items() if self.path.name.startswith(prefix))

    @property
    def meant_for(self) -> int:
        return int(self.path.name.removeprefix(_PREFIXES[self.program]))


def links(directory: Path) -> Iterator[Link]:
    for path in sorted(path for prefix in _PREFIXES.values() for path in directory.glob(f"{prefix}*")):
        fd = unpinned(path)
        try:
            info, size = _LinkInfo(), _U32(ctypes.sizeof(_LinkInfo))
            check(lib().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size)), f"look at {path}")
            yield Link(path, info.ifindex, info.prog_id)
        finally:
            os.close(fd)


def attach(directory: Path, program: str, loaded: Program, ifindex: int, name: str) -> Attachment:
    """Native, else generic; refused where another program sits."""
    fd, attachment = _create(loaded, ifindex, name)
    path = directory / f"{_PREFIXES[program]}{ifindex}"
    try:
        path.unlink(missing_ok=True)
        pin(fd, path)
    finally:
        os.close(fd)
    return attachment


def _create(program: Program, ifindex: int, name: str) -> tuple[int, Attachment]:
    try:
        socket.if_indextoname(ifindex)
    except OSError as error:
        raise EnvironmentProblem(f"{name}: there is no such interface here") from error
    reason = ""
    for flag, mode in _MODES.items():
        options = _LinkOpts(sz=16, flags=flag)
        fd: int = lib().bpf_link_create(program.fd, ifindex, _BPF_XDP, ctypes.byref(options))
        if fd >= 0:
            return fd, Attachment(ifindex, mode, reason)
        if -fd in _TAKEN:
            raise DataplaneError(
                f"{name} has an XDP program of somebody else's ({_occupant(ifindex)}): take it off first "
                f"(`ip link set dev {name} xdp off`, or `bpftool link detach`)"
            )
        if -fd not in _NOT_NATIVE:
            break
        reason = reason or os.strerror(-fd)
    raise KernelRefusal(f"attach the program to {name}", -fd, f"natively: {reason}" if reason else "")


def _occupant(ifindex: int) -> str:
    query = _QueryOpts(sz=ctypes.sizeof(_QueryOpts))
    check(lib().bpf_xdp_query(ifindex, 0, ctypes.byref(query)), "ask which XDP program is there")
    number = query.prog_id or query.drv_prog_id or query.skb_prog_id or query.hw_prog_id
    if not number:
        return "gone meanwhile"
    fd: int = lib().bpf_prog_get_fd_by_id(number)
    if fd < 0:  # its name needs CAP_SYS_ADMIN, which the daemon gives up
        return f"program {number}"
    found = Program(fd, owned=True)
    try:
        return f"{found.name}, program {number}"
    finally:
        found.close()


def mode_of(ifindex: int) -> str:
    """How the program on an interface of this network namespace runs."""
    query = _QueryOpts(sz=ctypes.sizeof(_QueryOpts))
    check(lib().bpf_xdp_query(ifindex, 0, ctypes.byref(query)), "ask how XDP runs there")
    return "native" if query.drv_prog_id else "generic" if query.skb_prog_id else "none"


def exchange(link: Link, program: Program) -> None:
    """The program of a link, between two packets."""
    fd = unpinned(link.path)
    try:
        check(lib().bpf_link_update(fd, program.fd, None), f"exchange the program of {link.path}")
    finally:
        os.close(fd)


def detach(link: Link) -> None:
    """At once, whoever else holds the link."""
    fd = unpinned(link.path)
    try:
        if link.ifindex:
            check(lib().bpf_link_detach(fd), f"detach {link.path}")
    finally:
        os.close(fd)
    link.path.unlink()
