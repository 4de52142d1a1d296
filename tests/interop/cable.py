"""A cable from a guest's serial line into a namespace: a port there, noise on the way, and it can be pulled."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self

from tests.support.lan import Host
from tests.support.relay import Relay


class Cable:
    """Whoever connects to `port` on the host's loopback address is connected to the line, one at a time."""

    def __init__(self, host: Host, line: Path, noise: float = 0.0) -> None:
        self.noise = noise
        self.turned = 0
        self._line = line
        self._listener = host.inside(lambda: socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        self._relay: Relay | None = None
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.pull()
        self._thread.join()

    def pull(self) -> None:
        """Both ends of it are closed; who connects anew is connected anew."""
        relay = self._relay
        if relay is not None:
            relay.leave()

    def set_noise(self, noise: float) -> None:
        self.noise = noise
        relay = self._relay
        if relay is not None:
            relay.noise = noise

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            with here, socket.socket(socket.AF_UNIX) as there:
                here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                there.connect(str(self._line))
                with Relay(here.fileno(), there.fileno(), self.noise) as relay:
                    self._relay = relay
                    relay.wait()
                    self._relay = None
                self.turned += relay.turned
