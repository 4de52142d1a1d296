"""The director of a lab: `vipd run` in its namespace, and the other commands of vipd to it."""

from __future__ import annotations

import json
import signal
import socket
from typing import Any, Final

from vipd.errors import DirectorError
from vipd.lab import process
from vipd.lab.lab import VIPD, Lab, instance_of
from vipd.lab.process import Process, wait_until

_PATIENCE: Final = 30.0


class Director:
    """Started with the lab's own configuration unless another text is given."""

    def __init__(self, lab: Lab, configuration: str | None = None) -> None:
        self.lab = lab
        self.host = lab.topology.director
        self.instance = instance_of(lab.name, self.host.name)
        self.process: Process | None = None
        if configuration is not None:
            lab.configuration.write_text(configuration)

    def start(self, *options: str) -> Process:
        """It forwards when this returns."""
        command = (*VIPD, "--instance", self.instance, "run", "-c", str(self.lab.configuration), *options)
        started = self.lab.start(self.host.name, *command, name="director")
        wait_until(
            lambda: self._answers() or not process.is_alive(started), f"the director, see {started.log}", _PATIENCE
        )
        if not process.is_alive(started):
            raise DirectorError(f"the director ended: {started.log.read_text(errors='replace').strip()}")
        self.process = started
        return started

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Forwarding goes on."""
        if self.process is not None:
            process.stop([self.process], _PATIENCE, number)
            self.process = None

    def vipd(self, *arguments: str, check: bool = True) -> str:
        """A command of vipd, carried out where the director is; what it printed."""
        return self.lab.run(self.host.name, *VIPD, "--instance", self.instance, *arguments, check=check)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.vipd("status", "--json"))
        return told

    def configure(self, text: str) -> None:
        """Write another configuration and reload."""
        self.lab.configuration.write_text(text)
        self.vipd("reload")

    def _answers(self) -> bool:
        """Whether the API listens, which it does once all else is done."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(f"/run/vipd/{self.instance}/api.sock") == 0
