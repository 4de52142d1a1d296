"""A list of flows as text, `client,port,start,duration,service` in a line; only the client is needed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NoReturn

from vipd.config.values import did_you_mean, shown
from vipd.errors import ConfigError, Problem
from vipd.simulation.gathering import ANY, NOT_SAID, Gathering

COLUMNS: Final = ("client", "port", "start", "duration", "service")


class _Line:
    """For messages."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.number = 0

    def refuse(self, message: str, column: str = "") -> NoReturn:
        raise ConfigError([Problem(column, message, self.file, self.number, 1)])


def read(lines: Iterable[str], file: str, gathering: Gathering, services: Mapping[str, int]) -> None:
    """Into the gathering. A first line of names says which columns there are; a # begins a comment.

    `services`: what a service may be called, and its group. ConfigError with the line where one is wrong.
    """
    place = _Line(file)
    columns: Sequence[str] = COLUMNS
    known: dict[str, int] = {}
    begun = False
    for place.number, text in enumerate(lines, start=1):
        line = text.partition("#")[0].strip()
        if not line:
            continue
        cells = [cell.strip() for cell in line.split(",")]
        if not begun:
            begun = True
            if "client" in cells:
                columns = _named(cells, place)
                continue
        if len(cells) > len(columns):
            place.refuse(f"{len(cells)} values; at most {len(columns)}: {','.join(columns)}")
        said = dict(zip(columns, cells, strict=False))
        address = said["client"]
        client = known.get(address)
        if client is None:
            client = known[address] = gathering.client(_address(address, place))
        gathering.add(
            client,
            _port(said.get("port"), place),
            _seconds(said.get("start"), "start", place),
            _seconds(said.get("duration"), "duration", place),
            _service(said.get("service"), services, place),
        )


def _named(cells: list[str], place: _Line) -> list[str]:
    for cell in cells:
        if cell not in COLUMNS:
            hint = did_you_mean(cell, list(COLUMNS)) or f"; {', '.join(COLUMNS)}"
            place.refuse(f"{shown(cell)} is not a column{hint}")
        if cells.count(cell) > 1:
            place.refuse(f"the column {cell} stands here twice; once")
    return cells


def _address(text: str, place: _Line) -> IPv4Address | IPv6Address:
    try:
        found = ip_address(text)
    except ValueError:
        place.refuse(f"{shown(text)} is not an IP address; 192.0.2.7 or 2001:db8::7", "client")
    if found.version == 6 and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _port(text: str | None, place: _Line) -> int:
    if not text:
        return ANY
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        place.refuse(f"{shown(text)} is not a port; 0 to 65535, or nothing", "port")
    return int(text)


def _seconds(text: str | None, name: str, place: _Line) -> float:
    if not text:
        return NOT_SAID
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        place.refuse(f"{shown(text)} is not a time; seconds, or nothing", name)
    return found


def _service(text: str | None, services: Mapping[str, int], place: _Line) -> int:
    if not text:
        return ANY
    if text not in services:
        hint = did_you_mean(text, list(services)) or f"; there are: {', '.join(list(services)[:20])}"
        place.refuse(f"there is no service {shown(text)}{hint}", "service")
    return services[text]
