"""Writes the frames of a line into a capture file, for Wireshark and tcpdump."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vipd.errors import EnvironmentProblem
from vipd.model.link import Encapsulation
from vipd.wire.pcap import Captured, Form, LinkType

log = logging.getLogger(__name__)

_FORM: Final = Form()
_TYPES: Final = {Encapsulation.PPP: LinkType.PPP_HDLC, Encapsulation.CISCO_HDLC: LinkType.CISCO_HDLC}


class Capture:
    """A file that cannot be written to the end is left as it is; the link goes on."""

    def __init__(self, path: Path, encapsulation: Encapsulation) -> None:
        self._path, self._type = path, _TYPES[encapsulation]
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb")
            self._file.write(_FORM.header(self._type, fcs_octets=0))
            self._file.flush()
        except OSError as error:
            raise EnvironmentProblem(f"{path}: the capture cannot be written: {error.strerror}") from None
        self._broken = False

    def seen(self, frame: bytes, _sent: bool) -> None:
        """The direction has no place in this form of file."""
        if not self._broken:
            self._try(lambda: self._file.write(_FORM.record(Captured(frame, len(frame), self._type, time.time_ns()))))

    def flush(self) -> None:
        if not self._broken:
            self._try(self._file.flush)

    def close(self) -> None:
        self._try(self._file.close)

    def _try(self, step: Callable[[], object]) -> None:
        try:
            step()
        except OSError as error:
            if not self._broken:
                log.warning("%s: the capture ends here: %s", self._path, error.strerror)
            self._broken = True
