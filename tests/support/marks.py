"""Which cases a test of the data plane is run for."""

from __future__ import annotations

import pytest

from tests.support.packets import FAMILIES, PROTOCOLS

each_family = pytest.mark.parametrize("family", FAMILIES)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=["tcp", "udp"])
each_pair = pytest.mark.parametrize(("inside", "outside"), [(4, 4), (4, 6), (6, 4), (6, 6)])
either_neighbour = pytest.mark.usefixtures("neighbour")
