"""What every client of a unix socket of ours needs: to reach it, to ask, and to tell why it cannot."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from vipd.api.schema import Failure
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem

_CONNECT: Final = 5.0
M = TypeVar("M", bound=BaseModel)


class NotRunningError(DirectorError):
    """Nobody answers at the socket."""


class SilentError(DirectorError):
    """Somebody listens at the socket and does not answer."""


class Caller:
    """`whom`: as a message names who should answer: "vipd does not run for ...". `patience` in seconds."""

    def __init__(self, path: Path, whom: str, patience: float = 60.0) -> None:
        self._path, self._whom = path, whom
        transport = httpx.HTTPTransport(uds=str(path))
        timeout = httpx.Timeout(patience, connect=_CONNECT)
        self._http = httpx.Client(transport=transport, base_url="http://vipd", timeout=timeout)

    def __enter__(self) -> Self:
        """Raises where nobody listens, or we may not ask: httpx would only tell in words."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
                probe.connect(str(self._path))
        except PermissionError:
            self._http.close()
            raise EnvironmentProblem(f"{self._path}: only root may talk to the daemon; run this as root") from None
        except OSError:
            self._http.close()
            raise NotRunningError(f"vipd does not run for {self._whom} (nobody answers at {self._path})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def stop(self) -> None:
        with self._reach():
            answer = self._http.post("/stop")
        if answer.is_error:
            raise _failure(answer)

    def ask(self, kind: type[M], method: str, path: str, body: dict[str, str] | None = None) -> M:
        with self._reach():
            answer = self._http.request(method, path, json=body)
        if answer.is_error:
            raise _failure(answer)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise DirectorError(f"the daemon of {self._whom} answers as another version would; restart it") from None

    @contextlib.contextmanager
    def stream(self, path: str, query: dict[str, str]) -> Iterator[Iterator[str]]:
        """The lines of a long answer, as they come."""
        with self._reach(), self._http.stream("GET", path, params=query) as answer:
            if answer.is_error:
                answer.read()
                raise _failure(answer)
            yield answer.iter_lines()

    @contextlib.contextmanager
    def _reach(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise SilentError(f"the daemon of {self._whom} does not answer in time at {self._path}") from None
        except httpx.HTTPError as error:
            raise DirectorError(f"the daemon stopped answering at {self._path}: {error}") from None


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
