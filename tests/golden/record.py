"""Runs inside a machine with Debian's kernel: the goldens from IPVS itself. tools/ipvs_goldens.py starts it.

Prints lines that begin with `golden ` and are, put together, the file in base64.
"""

from __future__ import annotations

import base64
import platform
import re
import subprocess
import time
import zlib
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from tests.golden.cases import cases
from tests.golden.data import Case, Frame, Goldens, Recorded, Seen, Step, dump
from tests.golden.services import SCHEDULERS, SERVICES, Service, changes, renewal, rules
from tests.golden.site import Site
from tests.support.wires import CLIENT, VIP

MARK: Final = "golden "
_LINE: Final = 120
_CONNECTIONS: Final = Path("/proc/thread-self/net/ip_vs_conn")
_SERVICES: Final = Path("/proc/thread-self/net/ip_vs")
_SYSCTLS: Final = Path("/proc/sys/net/ipv4/vs")
_STEP: Final = 5
"Seconds: what is left of a timeout is told in fives."
_SETTLE: Final = 0.5
"Seconds in which the kernel ends the connections of a server that was removed, if it does."


def main() -> None:
    subprocess.run(
        ["modprobe", "-a", "ip_vs", "veth", *(f"ip_vs_{name}" for name in SCHEDULERS)],
        check=True,
    )
    site = Site()
    with site.wires.entered():
        _ipvsadm(rules(SERVICES.values()))
        recorded = tuple(_record(site, case) for case in cases())
        settings = {path.name: path.read_text().strip() for path in sorted(_SYSCTLS.iterdir()) if path.is_file()}
    site.close()
    made_by = {
        "made by": "make goldens",
        "kernel": f"{platform.system()} {platform.release()} {platform.version()}",
        "ipvsadm": subprocess.run(["ipvsadm", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "net.ipv4.vs": settings,
    }
    text = base64.b64encode(zlib.compress(dump(Goldens(made_by, recorded)).encode(), 9)).decode()
    print()  # what the machine's own start has left on the line
    for start in range(0, len(text), _LINE):
        print(MARK + text[start : start + _LINE])


def _record(site: Site, case: Case) -> Recorded:
    """Whatever its actions changed is then as before."""
    settings, services = dict[str, str](), set[str]()
    try:
        return Recorded(case, tuple(_seen(site, case, step, settings, services) for step in case.steps))
    finally:
        for name, value in settings.items():
            (_SYSCTLS / name).write_text(value)
        for name in services:
            _ipvsadm(renewal(SERVICES[name]))


def _seen(site: Site, case: Case, step: Step, settings: dict[str, str], services: set[str]) -> Seen:
    frames: tuple[Frame, ...] = ()
    if isinstance(step.does, Frame):
        frames = site.exchange(step.does)
    else:
        match step.does.what.split():
            case ["set", name, value]:
                settings.setdefault(name, (_SYSCTLS / name).read_text())
                (_SYSCTLS / name).write_text(value)
            case [verb, name]:
                services.add(name)
                _ipvsadm(changes(SERVICES[name], verb))
                time.sleep(_SETTLE)
    return Seen(frames, _connection(case.port), _counts(SERVICES[case.service]) if case.alone else "")


def _ipvsadm(lines: Iterable[str]) -> None:
    subprocess.run(["ipvsadm", "--restore"], input="".join(f"{line}\n" for line in lines), text=True, check=True)


def _connection(port: int) -> str:
    """Columns: protocol, client, its port, VIP, its port, server, its port, state, seconds left."""
    clients = {ip_address(client).packed.hex() for client in CLIENT.values()}
    with _CONNECTIONS.open() as rows:
        known = [row.split() for row in rows]
    found = [row for row in known if row[2] == f"{port:04X}" and row[1].replace(":", "").lower() in clients]
    return ", ".join(
        sorted(
            f"{state} {round(int(left) / _STEP) * _STEP} to {int(server_port, 16)}"
            for _, _, _, _, _, _, server_port, state, left, *_ in found
        )
    )


def _counts(service: Service) -> str:
    """Of its TCP half."""
    vip = ip_address(VIP[service.family])
    shown = vip.packed.hex().upper() if vip.version == 4 else f"[{vip.exploded}]"
    where = re.escape(f"TCP  {shown}:{service.port:04X} ")
    found = re.search(where + r".*\n((?:  -> .*\n)*)", _SERVICES.read_text())
    assert found, f"{service.name} is not in {_SERVICES}"
    return ", ".join(f"{row.split()[-2]}/{row.split()[-1]}" for row in found[1].splitlines())


if __name__ == "__main__":
    main()
