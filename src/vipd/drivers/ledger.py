"""What vipd added to this machine and must undo, and drains: a file that outlives the daemon.

Every entry is written before the thing is done, so a crash leaves nothing that
`vipd down` does not know of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, IPvAnyAddress, ValidationError

from vipd.drivers.files import read_private, write_private
from vipd.errors import EnvironmentProblem
from vipd.model.director import Address

log = logging.getLogger(__name__)

_LIMIT: Final = 64 << 20


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AddedAddress(_Entry):
    address: IPvAnyAddress
    interface: str


class AddedNeighbour(_Entry):
    address: IPvAnyAddress
    interface: str


class ChangedSysctl(_Entry):
    key: str
    "The path below /proc/sys."
    before: str
    ours: str


class ChangedOffload(_Entry):
    interface: str
    feature: str
    before: bool


class Drain(_Entry):
    service: str
    address: IPvAnyAddress
    port: int | None


class Contents(_Entry):
    addresses: tuple[AddedAddress, ...] = ()
    neighbours: tuple[AddedNeighbour, ...] = ()
    sysctls: tuple[ChangedSysctl, ...] = ()
    offloads: tuple[ChangedOffload, ...] = ()
    drains: tuple[Drain, ...] = ()


E = TypeVar("E", bound=_Entry)


class Ledger:
    """`contents` is always right for this run; the file follows it as well as the disk lets it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dirty = False
        self.contents = self._load()

    @property
    def interfaces(self) -> frozenset[str]:
        """Those on which something was added or changed, also where they are gone since."""
        now = self.contents
        added: tuple[AddedAddress | AddedNeighbour | ChangedOffload, ...]
        added = (*now.addresses, *now.neighbours, *now.offloads)
        keys = (entry.key.split("/") for entry in now.sysctls)
        return frozenset({entry.interface for entry in added} | {key[3] for key in keys if key[2:3] == ["conf"]})

    def _load(self) -> Contents:
        try:
            return Contents.model_validate_json(read_private(self._path, _LIMIT))
        except FileNotFoundError:
            return Contents()
        except (OSError, ValidationError, EnvironmentProblem) as error:
            reason = "not what vipd writes" if isinstance(error, ValidationError) else error
            log.warning(
                "%s cannot be used (%s): addresses and settings found on this machine count as not vipd's own",
                self._path,
                reason,
            )
            return Contents()

    def change(self, edit: Callable[[Contents], Contents]) -> None:
        changed = edit(self.contents)
        if changed == self.contents and not self._dirty:
            return
        self.contents = changed
        try:
            write_private(self._path, changed.model_dump_json(indent=1).encode())
        except (OSError, EnvironmentProblem) as error:
            if not self._dirty:
                log.warning("%s cannot be written (%s): a crash now would leave things behind", self._path, error)
            self._dirty = True
        else:
            self._dirty = False

    def add(self, field: str, entries: tuple[E, ...]) -> None:
        """Entries that are there already are kept as they are: the first `before` is the true one."""
        self.change(lambda now: now.model_copy(update={field: _merged(getattr(now, field), entries)}))

    def drop(self, field: str, entries: tuple[E, ...]) -> None:
        gone = set(entries)
        self.change(
            lambda now: now.model_copy(
                update={field: tuple(entry for entry in getattr(now, field) if entry not in gone)}
            )
        )

    def owns(self, address: Address) -> bool:
        return any(entry.address == address for entry in self.contents.addresses)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self.contents = Contents()


def _merged(present: tuple[E, ...], entries: tuple[E, ...]) -> tuple[E, ...]:
    return tuple(dict.fromkeys((*present, *entries)))
