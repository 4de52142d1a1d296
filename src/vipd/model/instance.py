"""One of several directors on a machine, by name, and where its things are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vipd.errors import ConfigError, Problem

DEFAULT: Final = "default"
# No dots: a BPF file system has no names with them.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Instance:
    name: str = DEFAULT

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            problem = f"{self.name!r} cannot name an instance; allowed are up to 64 letters, digits, '_' and '-'"
            raise ConfigError([Problem("instance", problem)])

    @property
    def directory(self) -> Path:
        return Path("/run/vipd") / self.name

    @property
    def socket(self) -> Path:
        return self.directory / "api.sock"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def ledger(self) -> Path:
        return self.directory / "state.json"

    @property
    def pins(self) -> Path:
        return Path("/sys/fs/bpf/vipd") / self.name

    @property
    def secret(self) -> Path:
        return Path("/var/lib/vipd") / self.name / "secret"
