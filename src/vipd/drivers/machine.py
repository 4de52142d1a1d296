"""The file system for pinned state, and what the service manager is told."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
from pathlib import Path
from typing import Final

from vipd.errors import EnvironmentProblem

log = logging.getLogger(__name__)

BPFFS: Final = Path("/sys/fs/bpf")


def require_bpffs() -> None:
    """Mount it where the machine has not, and say so."""
    if _mounted():
        return
    if Path("/proc/self/ns/mnt").readlink() != Path("/proc/1/ns/mnt").readlink():
        raise EnvironmentProblem(
            f"{BPFFS} is no BPF file system here, in a mount namespace that would take pinned state with it; "
            "enter a network namespace with 'nsenter --net=/run/netns/NAME', not with 'ip netns exec'"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"bpf", os.fsencode(BPFFS), b"bpf", 0, b"mode=0700") != 0:
        reason = os.strerror(ctypes.get_errno())
        raise EnvironmentProblem(f"{BPFFS} is not mounted and cannot be: {reason}; mount -t bpf bpf {BPFFS}")
    log.info("mounted the BPF file system at %s, which this machine had not done", BPFFS)


def _mounted() -> bool:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[4] == str(BPFFS) and source.split()[0] == "bpf":
            return True
    return False


def notify(state: str) -> None:
    """systemd's sd_notify(3), where it asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        try:
            notifier.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("the service manager cannot be told %r: %s", state, error.strerror)
