"""A TUN interface: the kernel's IP packets without any header, in and out of a descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from vipd.errors import DataplaneError, EnvironmentProblem

_DEVICE: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_IFF_TUN_EXCL: Final = 0x8000
"Never an interface that is there already."
_REQUEST: Final = struct.Struct("16sH22x")
"struct ifreq: name, flags."
_LONGEST: Final = 65_535


class Tun:
    """It exists as long as this is open, whatever ends the process."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self.descriptor = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise EnvironmentProblem(f"{_DEVICE}: {error.strerror}; 'modprobe tun' where that helps") from None
        try:
            request = _REQUEST.pack(name.encode(), _IFF_TUN | _IFF_NO_PI | _IFF_TUN_EXCL)
            fcntl.ioctl(self.descriptor, _TUNSETIFF, request)
        except OSError as error:
            self.close()
            if error.errno == errno.EBUSY:
                raise EnvironmentProblem(
                    f"there is an interface {name!r} already; name another by --interface"
                ) from None
            raise EnvironmentProblem(f"interface {name!r} cannot be made: {error.strerror}") from None

    def read(self) -> bytes:
        """One packet, or nothing; `DataplaneError` where somebody removed the interface."""
        try:
            return os.read(self.descriptor, _LONGEST)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DataplaneError(f"interface {self.name} is gone: {error.strerror}") from None

    def write(self, packet: bytes) -> bool:
        """Whether the kernel took it: not where the interface is down, nor what is no IP."""
        try:
            os.write(self.descriptor, packet)
        except OSError:
            return False
        return True

    def close(self) -> None:
        os.close(self.descriptor)
