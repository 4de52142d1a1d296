"""The API's client, which the command line uses."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from vipd.api.schema import CONNECTION, Drained, Failure, Reloaded, Status
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem
from vipd.model.instance import Instance
from vipd.model.state import Connection

_TIMEOUT: Final = httpx.Timeout(60, connect=5)
M = TypeVar("M", bound=BaseModel)


class NotRunningError(DirectorError):
    """Nobody answers at the instance's socket."""


class Client:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        transport = httpx.HTTPTransport(uds=str(instance.socket))
        self._http = httpx.Client(transport=transport, base_url="http://vipd", timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        """Raises where nobody listens, or we may not ask: httpx would only tell in words."""
        path = self._instance.socket
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
                probe.connect(str(path))
        except PermissionError:
            self._http.close()
            raise EnvironmentProblem(f"{path}: only root may talk to the daemon; run this as root") from None
        except OSError:
            self._http.close()
            raise NotRunningError(
                f"vipd does not run for instance {self._instance.name!r} (nobody answers at {path})"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def status(self) -> Status:
        return self._ask(Status, "GET", "/status")

    def connections(self, filters: dict[str, str], limit: int) -> Iterator[Connection]:
        """`limit` 0: all."""
        query = {**filters, "limit": str(limit)}
        with self._reach(), self._http.stream("GET", "/connections", params=query) as answer:
            if answer.is_error:
                answer.read()
                raise _failure(answer)
            for line in answer.iter_lines():
                yield CONNECTION.validate_json(line)

    def reload(self) -> Reloaded:
        return self._ask(Reloaded, "POST", "/reload")

    def drain(self, service: str, server: str, drained: bool) -> Drained:
        body = {"service": service, "server": server}
        return self._ask(Drained, "POST", "/drain" if drained else "/undrain", body)

    def stop(self) -> None:
        with self._reach():
            answer = self._http.post("/stop")
        if answer.is_error:
            raise _failure(answer)

    def _ask(self, kind: type[M], method: str, path: str, body: dict[str, str] | None = None) -> M:
        with self._reach():
            answer = self._http.request(method, path, json=body)
        if answer.is_error:
            raise _failure(answer)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise DirectorError(
                f"the daemon of instance {self._instance.name} answers as another version would; restart it"
            ) from None

    @contextlib.contextmanager
    def _reach(self) -> Iterator[None]:
        path = self._instance.socket
        try:
            yield
        except httpx.TimeoutException:
            raise DirectorError(f"the daemon does not answer in time at {path}") from None
        except httpx.HTTPError as error:
            raise DirectorError(f"the daemon stopped answering at {path}: {error}") from None


def _failure(answer: httpx.Response) -> DirectorError:
    try:
        failure = Failure.model_validate_json(answer.content)
    except ValidationError:
        return DirectorError(f"the daemon failed to answer (HTTP {answer.status_code}); its log says why")
    match failure.kind:
        case "config":
            return ConfigError(failure.problems)
        case "environment":
            return EnvironmentProblem(failure.message)
        case _:
            return DirectorError(failure.message)
