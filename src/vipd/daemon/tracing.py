"""Tracing an instance that forwards, with or without its daemon: who may, and what its numbers are called here."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from vipd.dataplane.tracing import Tracer, open_tracer
from vipd.drivers import privileges
from vipd.errors import DataplaneError
from vipd.model.instance import Instance

_NEEDED = ("CAP_BPF", "CAP_NET_ADMIN")


@contextmanager
def tracing(instance: Instance) -> Iterator[Tracer]:
    """The instance's only tracer; whatever ends the block, nothing is traced behind it."""
    privileges.require("vipd trace", _NEEDED)
    if not instance.pins.exists():
        raise DataplaneError(
            f"nothing is forwarded for instance {instance.name!r} (no {instance.pins}); 'vipd run' starts it"
        )
    with open_tracer(instance.pins) as tracer:
        yield tracer


def interface_names() -> dict[int, str]:
    """By number, in this network namespace."""
    return dict(socket.if_nameindex())
