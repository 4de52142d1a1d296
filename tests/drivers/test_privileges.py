"""What the process may do is checked by name and given up for good; the service manager is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vipd.drivers.machine import notify

KEPT = (1 << 39) | (1 << 12) | (1 << 13)

pytestmark = pytest.mark.root


def python(program: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


def test_three_capabilities_are_kept_and_no_child_gets_more() -> None:
    done = python(
        "import os, subprocess, threading\n"
        "from vipd.drivers import privileges\n"
        "privileges.drop()\n"
        "show = lambda: print(open('/proc/thread-self/status').read())\n"
        "thread = threading.Thread(target=show); thread.start(); thread.join()\n"
        "print('child'); subprocess.run(['cat', '/proc/self/status'])\n"
    )
    assert done.returncode == 0, done.stderr
    ours, child = done.stdout.split("child")
    for line in ("CapPrm", "CapEff", "CapBnd"):
        assert f"{line}:\t{KEPT:016x}" in ours
    assert "NoNewPrivs:\t1" in ours
    assert f"CapEff:\t{0:016x}" in child


def test_a_missing_capability_is_named() -> None:
    done = python(
        "from vipd.drivers import privileges\nprivileges.require('vipd run', ('CAP_BPF', 'CAP_NET_ADMIN'))\n",
        "setpriv",
        "--bounding-set=-bpf",
        "--inh-caps=-all",
    )
    assert "vipd run needs CAP_BPF, which root does not have here" in done.stderr


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    address = f"@vipd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1) if abstract else address)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_a_service_manager_that_is_gone_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    assert "cannot be told" in caplog.text
