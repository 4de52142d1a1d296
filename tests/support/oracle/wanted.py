"""From services to what the data plane is to hold, by the control plane's own way; with the keys of all tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.support.tables import FLOW_KEY, HASH_KEY
from vipd.control import desired
from vipd.model.director import Address, Director, Endpoint, VirtualService
from vipd.model.state import Egress, HeldService
from vipd.spec.configuration import Keys

KEYS: Final = Keys((HASH_KEY[0], HASH_KEY[1]), tuple(FLOW_KEY))
SECRET: Final = bytes(range(16))
"What Maglev tables are made with."


class Wanted:
    """Maglev tables take their time, and services come again and again: each is made once."""

    def __init__(self, local: frozenset[Address], secret: bytes = SECRET) -> None:
        """`local`: the director's own addresses."""
        self._local, self._secret = local, secret
        self._known: dict[VirtualService, dict[Endpoint, HeldService]] = {}

    def __call__(self, services: Sequence[VirtualService]) -> dict[Endpoint, HeldService]:
        return {endpoint: held for service in services for endpoint, held in self._of(service).items()}

    def _of(self, service: VirtualService) -> dict[Endpoint, HeldService]:
        if service not in self._known:
            self._known[service] = desired(Director(("out0",), (service,)), self._reach, self._secret)
        return self._known[service]

    def _reach(self, address: Address) -> Egress:
        return Egress.LOCAL if address in self._local else Egress.ON_LINK
