"""The lab's client at work: a plan carried out on the client host, to its end or until told to stop."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from vipd.errors import DirectorError
from vipd.lab.client import Plan, Result
from vipd.lab.lab import Lab, carry_out
from vipd.lab.topology import Service

_OPTIONS: Final = (
    "connections",
    "concurrency",
    "requests",
    "pause",
    "timeout",
    "seconds",
    "upload",
    "download",
    "first_port",
)
_PATIENCE: Final = 60.0


def asking(lab: Lab, service: Service, family: int, **changes: Any) -> Plan:
    """A plan for a virtual service of the lab."""
    return Plan(service.transport.value, str(lab.topology.vip_address(family)), service.port, **changes)


def load(lab: Lab, plan: Plan, patience: float = _PATIENCE) -> Result:
    """Carry out the plan to its end."""
    return Result.load(json.loads(carry_out(client_command(lab, plan), timeout=patience)))


class Loading:
    """A plan under way; `finish` ends it after the requests under way and gives the result."""

    def __init__(self, lab: Lab, plan: Plan) -> None:
        self._child = subprocess.Popen(
            [*client_command(lab, plan), "--announce"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline() != "started\n":
            raise DirectorError(f"the client ended: {self._child.communicate()[1].strip()}")

    def finish(self, patience: float = _PATIENCE) -> Result:
        self._child.send_signal(signal.SIGTERM)
        output, errors = self._child.communicate(timeout=patience)
        if self._child.returncode != 0:
            raise DirectorError(f"the client failed: {errors.strip()}")
        return Result.load(json.loads(output))

    def kill(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.communicate()


@contextmanager
def loading(lab: Lab, plan: Plan) -> Iterator[Loading]:
    """Traffic for as long as the block lasts; call `finish` in it for the result."""
    under_way = Loading(lab, plan)
    try:
        yield under_way
    finally:
        under_way.kill()


def client_command(lab: Lab, plan: Plan) -> list[str]:
    command = [sys.executable, "-m", "vipd.lab.client", plan.transport, plan.address, str(plan.port)]
    for name in _OPTIONS:
        value = getattr(plan, name)
        command += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    for source in plan.sources:
        command += ["--source", source]
    return lab.command(lab.topology.client.name, command)
