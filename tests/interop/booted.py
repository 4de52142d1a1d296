"""The guest that runs tests of this tree, with Debian's systemd as its first process: units are started in it.

A unit's sandbox hides the home directories, where tree and interpreter may be: both move to /opt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.interop import guest
from tests.interop.image import libraries

PYTHON: Final = "/opt/vipd/.venv/bin/python"
"In there."
_SYSTEM: Final = Path("/lib/systemd")
_PROGRAMS: Final = {"systemctl": "systemd", "journalctl": "systemd", "ping": "iputils-ping"}
_UNITS: Final = (
    *("basic.target", "sysinit.target", "sockets.target", "paths.target", "timers.target", "slices.target"),
    *("local-fs.target", "local-fs-pre.target", "network.target", "network-online.target", "multi-user.target"),
    *("network-pre.target", "swap.target", "shutdown.target", "umount.target"),
    *("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"),
)
"Beside ours only the journal runs."
_INIT: Final = """#!/bin/busybox sh
PATH={path}
alias mkdir='/bin/busybox mkdir' mount='/bin/busybox mount' mv='/bin/busybox mv' ln='/bin/busybox ln'
alias cp='/bin/busybox cp' sed='/bin/busybox sed' chmod='/bin/busybox chmod' readlink='/bin/busybox readlink'
mkdir -p /opt /proc /sys /dev /run /root /home /tmp /var/tmp /var/lib /var/log /etc/vipd/link /machine /usr/local/bin
ln -sfn /run /var/run
mount -t proc proc /proc
python=$(readlink -f {root}/.venv/bin/python)
prefix=${{python%/bin/*}}
mv {root} /opt/vipd
case $prefix in
/usr | /usr/local) ;;
*)
    mv $prefix /opt/python && cp /opt/python/lib/libpython*.so* /usr/lib/
    ln -sf /opt/python/bin/${{python##*/}} /opt/vipd/.venv/bin/python
    sed -i 's|^home = .*|home = /opt/python/bin|' /opt/vipd/.venv/pyvenv.cfg
    ;;
esac
for pth in /opt/vipd/.venv/lib/python3*/site-packages/*vipd*.pth; do echo /opt/vipd/src >$pth; done
cat >/usr/local/bin/vipd <<'END'
#!/opt/vipd/.venv/bin/python
from vipd.cli.main import main
main()
END
chmod 755 /usr/local/bin/vipd
mkdir -p /etc/systemd/system
cp /opt/vipd/packaging/*.service /etc/systemd/system/
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /etc/systemd/system.conf.d
cat >/etc/systemd/system.conf.d/emulated.conf <<'END'
[Manager]
DefaultTimeoutStartSec=15min
DefaultTimeoutStopSec=15min
END
cat >/opt/proof <<'END'
mkdir -p /run/netns
cd /opt/vipd
/bin/bash -c {command}
echo {status}$?
/bin/busybox poweroff -f
END
cat >/etc/systemd/system/default.target <<'END'
[Unit]
Requires=basic.target systemd-journald.service proof.service
END
cat >/etc/systemd/system/proof.service <<'END'
[Unit]
After=basic.target systemd-journald.service
[Service]
Environment=PATH={path} HOME=/tmp PATIENCE=10
ExecStart=/bin/bash /opt/proof
StandardOutput=file:/dev/ttyS0
StandardError=inherit
END
# A root that can be left, as is done for each service: the first of all roots cannot.
mount -o bind / /machine && cd /machine && mount --move . / && exec /bin/busybox chroot . /lib/systemd/systemd
"""


def run(command: str, folder: Path, deadline: float, lines: tuple[str, ...] = ()) -> str:
    """As `guest.run`; `vipd` is in the path, and its units are where an administrator puts them."""
    more = guest.More(_PROGRAMS, tuple(_files()), lines)
    return guest.run(command, folder, deadline, more, _INIT)


def _files() -> Iterator[Path]:
    programs = [_SYSTEM / name for name in ("systemd", "systemd-journald")]
    yield from (*programs, *libraries(programs))
    yield from (_SYSTEM / "system" / name for name in _UNITS)
    yield from (Path("/bin/sh"), Path("/etc/group"))
    yield from (guest.ROOT / "packaging").iterdir()
