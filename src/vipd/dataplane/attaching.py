"""The director's programs on the interfaces of this network namespace."""

from __future__ import annotations

from vipd.dataplane.links import ETHERNET, Attachment, attach, detach, links, mode_of
from vipd.dataplane.pins import Pins


class Interfaces:
    """Asks the kernel each time: an interface may go, or lose its program, at any moment."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins

    def attach(self, ifindex: int, name: str, program: str = ETHERNET) -> Attachment:
        """Nothing is done where the program runs already."""
        for link in links(self._pins.directory):
            if link.ifindex == ifindex:
                return Attachment(ifindex, mode_of(ifindex))
        return attach(self._pins.directory, program, self._pins.programs[program], ifindex, name)

    def attached(self) -> tuple[Attachment, ...]:
        """Where the program runs now."""
        here = [link.ifindex for link in links(self._pins.directory) if link.ifindex]
        return tuple(Attachment(ifindex, mode_of(ifindex)) for ifindex in here)

    def detach(self, ifindex: int) -> None:
        """Its link goes too where the interface itself is gone."""
        for link in list(links(self._pins.directory)):
            if link.meant_for == ifindex:
                detach(link)
