"""A file loaded again and again: where one service changed, only its lines are read anew.

The result is always that of a full load, which is made whenever anything is out of the ordinary:
a mistake, a warning, a change outside of one service's own lines or of what it listens on.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path
from typing import Final

from vipd.config import document as yaml
from vipd.config.document import Broken
from vipd.config.load import Loaded, loads, read
from vipd.config.rules import MOST_SERVERS
from vipd.errors import ConfigError

_BLOCK: Final = re.compile(r"(?P<indent> +)(?P<name>[\w.-]+):(?: +#[ -~]*| *)\n(?P<body>[\n -~]*\n)", re.ASCII)
_NO_PLAIN_TEXT: Final = re.compile("[|>?]")
"Texts that span lines, and keys that do not look like keys."


class Reloading:
    """Remembers the last file that was good."""

    def __init__(self, last: Loaded) -> None:
        self._last = last

    def load(self, path: Path) -> Loaded:
        """As `config.load`; services that are written as before are the same objects as before."""
        text, file = read(path)
        self._last = self._changed(text, file) or loads(text, file)
        return self._last

    def _changed(self, text: str, file: str) -> Loaded | None:
        """What was loaded last, with one service as it is written now; None: that cannot be told so easily."""
        last = self._last
        if last.warnings or last.file != file or len(last.starts) != len(last.director.services) + 1:
            return None
        if text == last.text:
            return last
        number = _changed_block(last, text)
        if number is None:
            return None
        start, longer = last.starts[number], len(text) - len(last.text)
        block = text[start : last.starts[number + 1] + longer]
        name = last.director.services[number].name
        if not _stands_alone(block, name):
            return None
        try:
            alone = loads(text[: last.starts[0]] + block + last.text[last.starts[-1] :], file)
        except ConfigError:
            return None
        services = list(last.director.services)
        (changed,) = alone.director.services
        services[number], before = changed, services[number]
        if changed.listen != before.listen or any(not each.path.startswith("vips.") for each in alone.warnings):
            return None
        if sum(len(service.listen) * len(service.servers) for service in services) > MOST_SERVERS:
            return None
        starts = (*last.starts[: number + 1], *(each + longer for each in last.starts[number + 1 :]))
        return replace(last, director=replace(last.director, services=tuple(services)), text=text, starts=starts)


def _changed_block(last: Loaded, text: str) -> int | None:
    """The number of the one service between whose first line and the next one's all differences are."""
    old, starts = last.text, last.starts
    same = _alike(old, text)
    last_possible = bisect_left(starts, same) - 1
    # A line put in behind a service may begin like the service after it.
    for number in (last_possible, last_possible - 1):
        if not 0 <= number < len(starts) - 1:
            continue
        name_ends, behind = old.find("\n", starts[number]), len(old) - starts[number + 1]
        if name_ends < min(same, len(text) - behind) and text.endswith(old[starts[number + 1] :]):
            return number
    return None


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _stands_alone(block: str, name: str) -> bool:
    """Whether the lines are that service and nothing else, wherever they stand."""
    found = _BLOCK.fullmatch(block)
    if found is None or found["name"] != name or _NO_PLAIN_TEXT.search(found["body"]):
        return False
    deeper = found["indent"] + " "
    for line in found["body"].split("\n"):
        if not line.startswith(deeper) and line.strip(" ") and not line.lstrip(" ").startswith("#"):
            return False
    try:
        reading = yaml.read(f"services:\n{block}", "services")
    except Broken:
        return False
    if reading.mistakes or not reading.starts:
        return False
    return list(reading.data) == ["services"] and list(reading.data["services"]) == [name]
