"""`vipd frame`, called without a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from vipd.cli.app import app
from vipd.errors import ConfigError
from vipd.wire import pcap
from vipd.wire.pcap import Captured

runner = CliRunner()


def frame(*arguments: str, data: bytes = b"") -> Result:
    return runner.invoke(app, ["frame", *arguments], input=data, env={"COLUMNS": "120", "NO_COLOR": "1"})


def shown(*arguments: str, data: bytes = b"", code: int = 0) -> str:
    result = frame(*arguments, data=data)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def refused(*arguments: str, data: bytes = b"") -> str:
    result = frame(*arguments, data=data)
    assert isinstance(result.exception, ConfigError), (result.output, result.exception)
    assert result.stdout == ""
    return str(result.exception)


def told(*arguments: str, data: bytes = b"", code: int = 0) -> Any:
    return json.loads(shown(*arguments, "--json", data=data, code=code))


def names(found: dict[str, Any]) -> list[str]:
    return [field["name"] for field in found["fields"]]


def capture_file(path: Path, link_type: int, frames: list[bytes], fcs_octets: int | None = None) -> str:
    with path.open("wb") as file:
        pcap.write(file, link_type, [Captured(each, len(each), link_type) for each in frames], fcs_octets=fcs_octets)
    return str(path)
