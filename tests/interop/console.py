"""A machine with Debian's kernel under qemu, with a shell to talk to and a serial line. All it needs is in its memory.

Leaner than the one that runs tests of this tree: busybox, pppd, and nothing of ours.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self

from tests.interop.image import PATH, kernel_for, libraries, write

UART: Final = "/dev/ttyS1"
VIRTIO: Final = "/dev/hvc0"
"A console without the 8250's 16 octets at a time; as fast as the emulation goes."
PORT: Final = "/dev/vport0p1"
"Octets without anything of a terminal's."
_NEEDED: Final = {"pppd": "ppp", "ip": "iproute2", "modprobe": "kmod"}
_MODULES: Final = (
    "kernel/drivers/char/virtio_console.ko",
    "kernel/drivers/net/ppp",
    "kernel/drivers/net/slip",
    "kernel/drivers/net/wan/hdlc.ko",
    "kernel/drivers/net/wan/hdlc_cisco.ko",
    "kernel/drivers/virtio",
)
_READY: Final = "the guest is ready"
_INIT: Final = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /bin /etc/ppp /var/run /var/log
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /dev/pts
/bin/busybox mount -t devpts devpts /dev/pts
/bin/busybox --install -s /bin
export PATH={PATH} HOME=/tmp PS1=
ip link set lo up
modprobe ppp_async && modprobe virtio_pci && modprobe virtio_console
stty -echo </dev/ttyS0
echo {_READY}
exec </dev/ttyS0 >/dev/ttyS0 2>&1
# Not a shell of the terminal's own: that one would care for jobs, and die by their hangups.
while read -r line; do eval "$line"; done
"""


class Guest:
    """`sockets` lead to the other ends of its lines, by the lines' names inside."""

    def __init__(self, folder: Path, life: float, more: Iterable[Path] = ()) -> None:
        """`more` files, which keep their places inside."""
        kernel = kernel_for(_NEEDED)
        image = folder / "image"
        write(image, folder, [*_files(kernel), *more], _INIT)
        self.sockets = {UART: folder / "uart", VIRTIO: folder / "virtio", PORT: folder / "port"}
        command = [
            *("timeout", "--signal=KILL", str(life)),  # also where this process dies first
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "512M"),
            *("-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio"),
            *("-chardev", f"socket,id=uart,path={self.sockets[UART]},server=on,wait=off"),
            *("-device", "isa-serial,chardev=uart", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=virtio,path={self.sockets[VIRTIO]},server=on,wait=off"),
            *("-device", "virtconsole,chardev=virtio"),
            *("-chardev", f"socket,id=port,path={self.sockets[PORT]},server=on,wait=off"),
            *("-device", "virtserialport,chardev=port"),
            *("-kernel", str(kernel), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1 rdinit=/init"),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._heard = b""
        self._asked = 0

    def __enter__(self) -> Self:
        self._until(_READY.encode(), 120)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:  # closes its pipes
            os.killpg(self._process.pid, signal.SIGKILL)

    def run(self, command: str, patience: float = 60.0) -> str:
        """What a line of shell printed there; fails unless it ended well."""
        self._asked += 1
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), f"{command}\necho end-{self._asked}-$?.\n".encode())
        except BrokenPipeError:
            self._until(b"more than it ever said", patience)
        said = self._until(f"end-{self._asked}-".encode(), patience).decode(errors="replace").replace("\r", "")
        status = self._until(b".", patience)
        assert status == b"0.", f"{command}: {said}"
        return said.rpartition("end-")[0]

    def eventually(self, condition: str, patience: float = 60.0) -> None:
        """Until a command succeeds there."""
        self.run(f"i=0; until {condition}; do i=$((i+1)); [ $i -lt {int(patience * 10)} ] || break; sleep 0.1; done")
        self.run(condition)

    def _until(self, mark: bytes, patience: float) -> bytes:
        deadline = time.monotonic() + patience
        assert self._process.stdout is not None
        while mark not in self._heard:
            left = deadline - time.monotonic()
            assert left > 0, f"the guest did not say {mark!r}: {self._heard[-4000:].decode(errors='replace')}"
            if select.select([self._process.stdout], [], [], left)[0]:
                data = os.read(self._process.stdout.fileno(), 1 << 16)
                assert data, f"qemu ended: {self._heard[-4000:].decode(errors='replace')}"
                self._heard += data
        said, _, self._heard = self._heard.partition(mark)
        return said + mark


def _files(kernel: Path) -> Iterator[Path]:
    programs = [Path(found) for name in _NEEDED if (found := shutil.which(name, path=PATH))]
    yield from (Path("/bin/busybox"), *programs, *libraries(programs))
    yield from (Path("/etc/passwd"), Path("/etc/protocols"))
    modules = Path("/lib/modules", kernel.name.removeprefix("vmlinuz-"))
    yield from modules.glob("modules.*")
    for name in _MODULES:
        yield from [modules / name] if name.endswith(".ko") else (modules / name).rglob("*.ko")
