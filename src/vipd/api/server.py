"""The API's server: one Unix socket, which only its owner may open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from vipd.api.schema import CONNECTION, Drained, DrainRequest, Reloaded, Status, matching
from vipd.api.serving import as_json, guarded
from vipd.dataplane.port import Matching
from vipd.errors import ConfigError, Problem
from vipd.model.state import Connection


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
        return as_json(await control.status())

    async def connections(request: Request) -> Response:
        found = control.connections(matching(request.query_params), _number(request.query_params.get("limit", "0")))
        return StreamingResponse(_lines(found), media_type="application/x-ndjson")

    async def reload(_: Request) -> Response:
        return as_json(await control.reload())

    async def drain(request: Request) -> Response:
        try:
            asked = DrainRequest.model_validate_json(await request.body())
        except ValidationError as error:
            raise ConfigError([Problem("", f"not a request to drain: {error.errors()[0]['msg']}")]) from None
        return as_json(await control.drain(asked.service, asked.server, request.url.path == "/drain"))

    async def stop(_: Request) -> Response:
        await control.stop()
        return Response(status_code=202)

    return Starlette(
        routes=[
            Route("/status", guarded(status)),
            Route("/connections", guarded(connections)),
            Route("/reload", guarded(reload), methods=["POST"]),
            Route("/drain", guarded(drain), methods=["POST"]),
            Route("/undrain", guarded(drain), methods=["POST"]),
            Route("/stop", guarded(stop), methods=["POST"]),
        ]
    )


async def _lines(batches: AsyncIterator[Sequence[Connection]]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield b"".join(CONNECTION.dump_json(connection) + b"\n" for connection in batch)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError([Problem("limit", f"{text!r} is no number; allowed is 0 (all) or more")])
    return int(text)
