"""The server of a running link."""

from __future__ import annotations

from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vipd.api.link import LinkStatus
from vipd.api.serving import as_json, guarded


class LinkControl(Protocol):
    """What is asked of a link."""

    def status(self) -> LinkStatus: ...

    def stop(self) -> None: ...


def application(control: LinkControl) -> Starlette:
    async def status(_: Request) -> Response:
        return as_json(control.status())

    async def stop(_: Request) -> Response:
        control.stop()
        return Response(status_code=202)

    return Starlette(
        routes=[Route("/status", guarded(status)), Route("/stop", guarded(stop), methods=["POST"])],
    )
