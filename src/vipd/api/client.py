"""The API's client, which the command line uses."""

from __future__ import annotations

from collections.abc import Iterator

from vipd.api.caller import Caller, NotRunningError
from vipd.api.schema import CONNECTION, Drained, Reloaded, Status
from vipd.model.instance import Instance
from vipd.model.state import Connection

__all__ = ["Client", "NotRunningError"]


class Client(Caller):
    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.socket, f"instance {instance.name!r}")

    def status(self) -> Status:
        return self.ask(Status, "GET", "/status")

    def connections(self, filters: dict[str, str], limit: int) -> Iterator[Connection]:
        """`limit` 0: all."""
        with self.stream("/connections", {**filters, "limit": str(limit)}) as lines:
            for line in lines:
                yield CONNECTION.validate_json(line)

    def reload(self) -> Reloaded:
        return self.ask(Reloaded, "POST", "/reload")

    def drain(self, service: str, server: str, drained: bool) -> Drained:
        body = {"service": service, "server": server}
        return self.ask(Drained, "POST", "/drain" if drained else "/undrain", body)
