"""What every server on a unix socket of ours needs: the socket itself, and refusals as answers."""

from __future__ import annotations

import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import uvicorn
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from vipd.api.schema import Failure
from vipd.errors import ConfigError, DirectorError, EnvironmentProblem

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


class Server(uvicorn.Server):
    """Signals are the daemon's business."""

    def __init__(self, application: Starlette) -> None:
        config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", ws="none")
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


def guarded(answer: Answer) -> Answer:
    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except ConfigError as error:
            return as_json(Failure(kind="config", message=str(error), problems=list(error.problems)), 422)
        except EnvironmentProblem as error:
            return as_json(Failure(kind="environment", message=str(error)), 422)
        except DirectorError as error:
            return as_json(Failure(kind="failure", message=str(error)), 500)

    return answered


def as_json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")
