"""The only place that indexes bytes from the network. Every bounds check is here."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vipd.errors import WireError


class Reader:
    """Reads from front to back; raises `WireError` where the bytes end before the value does."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._offset

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise WireError(f"{size} bytes expected at offset {self._offset}, {self.left} left")
        start = self._offset
        self._offset += size
        return self._data[start : self._offset]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def ipv4(self) -> IPv4Address:
        return IPv4Address(self.take(4))

    def ipv6(self) -> IPv6Address:
        return IPv6Address(self.take(16))

    def rest(self) -> bytes:
        return self.take(self.left)
