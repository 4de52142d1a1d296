"""What this process may do: checked before the first step, given up once the rest is not needed."""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path
from typing import Final

from vipd.errors import EnvironmentProblem

log = logging.getLogger(__name__)

_BITS: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}
_SETPCAP: Final = 8
_KEPT: Final = ("CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW")
_PR_CAPBSET_DROP: Final = 24
_PR_SET_SECUREBITS: Final = 28
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_NO_SETUID_FIXUP_AND_NO_ROOT_LOCKED: Final = 0b1111
_VERSION_3: Final = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def effective() -> int:
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    raise AssertionError("/proc/thread-self/status without CapEff")


def require(what: str, names: tuple[str, ...]) -> None:
    """Refuse by name what is missing."""
    have = effective()
    missing = [name for name in names if not have >> _BITS[name] & 1]
    if missing:
        who = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
        raise EnvironmentProblem(f"{what} needs {' '.join(missing)}, which {who} does not have here; run it as root")


def drop(names: tuple[str, ...] = _KEPT) -> None:
    """Keep these, for good, in this thread and those it starts; by default what a director needs to go on."""
    if others := len(list(Path("/proc/self/task").iterdir())) - 1:
        log.warning("threads that were started too early and keep their capabilities: %d", others)
    libc = ctypes.CDLL(None, use_errno=True)
    kept = sum(1 << _BITS[name] for name in names)
    if effective() >> _SETPCAP & 1:
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
        for bit in range(last + 1):
            if not kept >> bit & 1:
                _call(libc.prctl(_PR_CAPBSET_DROP, bit, 0, 0, 0), "drop a capability for good")
        _call(libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP_AND_NO_ROOT_LOCKED, 0, 0, 0), "give up root's powers")
    _call(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "clear ambient capabilities")
    _call(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "forbid new privileges")
    header = _Header(_VERSION_3, 0)
    now = effective() & kept
    data = (_Data * 2)(_Data(now & 0xFFFFFFFF, now & 0xFFFFFFFF, 0), _Data(now >> 32, now >> 32, 0))
    _call(libc.capset(ctypes.byref(header), data), "give up capabilities")


def _call(result: int, step: str) -> None:
    if result != 0:
        raise EnvironmentProblem(f"cannot {step}: {os.strerror(ctypes.get_errno())}")
