"""The API's server: one Unix socket, which only its owner may open."""

from __future__ import annotations

import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from vipd.api.schema import CONNECTION, Drained, DrainRequest, Failure, Reloaded, Status, matching
from vipd.dataplane.port import Matching
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem, Problem
from vipd.model.state import Connection

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


class Control(Protocol):
    """What the API asks of the daemon."""

    async def status(self) -> Status: ...

    def connections(self, matching: Matching, limit: int) -> AsyncIterator[Sequence[Connection]]:
        """In batches; `limit` 0: all."""

    async def reload(self) -> Reloaded: ...

    async def drain(self, service: str, server: str, drained: bool) -> Drained: ...

    async def stop(self) -> None: ...


def application(control: Control) -> Starlette:
    async def status(_: Request) -> Response:
        return _json(await control.status())

    async def connections(request: Request) -> Response:
        found = control.connections(matching(request.query_params), _number(request.query_params.get("limit", "0")))
        return StreamingResponse(_lines(found), media_type="application/x-ndjson")

    async def reload(_: Request) -> Response:
        return _json(await control.reload())

    async def drain(request: Request) -> Response:
        try:
            asked = DrainRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise ConfigError([Problem("", f"not a request to drain: {error.errors()[0]['msg']}")]) from None
        return _json(await control.drain(asked.service, asked.server, request.url.path == "/drain"))

    async def stop(_: Request) -> Response:
        await control.stop()
        return Response(status_code=202)

    return Starlette(
        routes=[
            Route("/status", _guarded(status)),
            Route("/connections", _guarded(connections)),
            Route("/reload", _guarded(reload), methods=["POST"]),
            Route("/drain", _guarded(drain), methods=["POST"]),
            Route("/undrain", _guarded(drain), methods=["POST"]),
            Route("/stop", _guarded(stop), methods=["POST"]),
        ]
    )


class Server(uvicorn.Server):
    """Signals are the daemon's business."""

    def __init__(self, control: Control) -> None:
        config = uvicorn.Config(application(control), log_config=None, access_log=False, lifespan="off", ws="none")
        super().__init__(config)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(path: Path) -> socket.socket:
    """Where the instance's lock is held, a socket that is there is a dead one's."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise EnvironmentProblem(f"{path}: not a socket; remove it")
        path.unlink()
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # Its directory is 0700, so nobody can connect before the mode is right.
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(f"{path}: cannot listen there: {error.strerror}") from None
    return listener


def _guarded(answer: Answer) -> Answer:
    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except ConfigError as error:
            return _json(Failure(kind="config", message=str(error), problems=list(error.problems)), 422)
        except EnvironmentProblem as error:
            return _json(Failure(kind="environment", message=str(error)), 422)
        except DirectorError as error:
            return _json(Failure(kind="failure", message=str(error)), 500)

    return guarded


def _json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


async def _lines(batches: AsyncIterator[Sequence[Connection]]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield b"".join(CONNECTION.dump_json(connection) + b"\n" for connection in batch)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError([Problem("limit", f"{text!r} is no number; allowed is 0 (all) or more")])
    return int(text)
