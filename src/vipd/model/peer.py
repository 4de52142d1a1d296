"""One of several links on a machine, by the name of its peer, and where its things are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vipd.errors import ConfigError, Problem

ROOT: Final = Path("/run/vipd-link")
# As the name of an interface may be, which it is by default; no dots, so never a path.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,14}")


@dataclass(frozen=True, slots=True)
class Peer:
    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            problem = f"{self.name!r} cannot name a link; allowed are up to 15 letters, digits, '_' and '-'"
            raise ConfigError([Problem("peer", problem)])

    @property
    def directory(self) -> Path:
        return ROOT / self.name

    @property
    def socket(self) -> Path:
        return self.directory / "api.sock"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def pty(self) -> Path:
        """Leads to the pseudo-terminal that the peer opens."""
        return self.directory / "pty"
