"""The XDP program that lets every frame pass, loaded and put on a port of the switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

import vipd
from vipd.dataplane.program import Object

OBJECT: Final = Path(vipd.__file__).parent / "bpf" / "pass.bpf.o"


@contextmanager
def loaded() -> Iterator[int]:
    """A descriptor of the program; what it is attached to keeps it alive afterwards."""
    with Object(OBJECT) as compiled:
        compiled.load()
        program = compiled.programs["pass"]
        try:
            yield program.fd
        finally:
            program.close()


def attach(netlink: IPRoute, index: int, program: int) -> None:
    netlink.link("set", index=index, xdp_fd=program)
