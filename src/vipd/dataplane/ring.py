"""A BPF ring buffer's records as bytes, in the order in which they were written. Knows no layout of ours."""

from __future__ import annotations

import ctypes
import errno
from typing import Final

from vipd.dataplane.libbpf import SAMPLE, check, lib, pointer
from vipd.dataplane.maps import Map

_ROOM: Final = 1 << 12
"Records of one poll, so that whoever shows them is soon back; the rest waits in the kernel's ring."


class Ring:
    """For one reader: what it has read, nobody sees again."""

    def __init__(self, table: Map) -> None:
        self._records: list[bytes] = []
        # Kept for as long as libbpf may call it.
        self._sample = SAMPLE(self._take)
        self._name = table.name
        made = lib().ring_buffer__new(table.fd, self._sample, None, None)
        self._handle = pointer(made, f"read ring buffer {table.name}")

    def close(self) -> None:
        if self._handle:
            lib().ring_buffer__free(self._handle)
            self._handle = 0

    def _take(self, _: int | None, place: int, length: int) -> int:
        self._records.append(ctypes.string_at(place, length))
        return -errno.EAGAIN if len(self._records) >= _ROOM else 0

    def poll(self, timeout: float) -> list[bytes]:
        """What is there; waits up to so many seconds for the first record, less where a signal comes."""
        result = lib().ring_buffer__poll(self._handle, round(timeout * 1000))
        if result not in (-errno.EINTR, -errno.EAGAIN):
            check(result, f"read ring buffer {self._name}")
        found, self._records = self._records, []
        return found
