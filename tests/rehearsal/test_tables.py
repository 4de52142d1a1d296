"""A running director's maps as tables: what the daemon changes while they are looked at."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vipd.errors import BusyError
from vipd.rehearsal.tables import OfServers
from vipd.spec.state import Entry, Flow

FLOW = Flow(ip_address("203.0.113.7"), 4711, ip_address("192.0.2.10"), 80, 6)


def test_a_connection_of_a_server_that_came_meanwhile_is_looked_up_again_and_is_no_traceback() -> None:
    entries = {FLOW: Entry(3, 1, "established", 9)}
    assert OfServers(entries, {1, 3}).get(FLOW) == entries[FLOW]
    assert OfServers({}, {1}).get(FLOW) is None
    with pytest.raises(BusyError, match="a server came while the director was looked at; try again"):
        OfServers(entries, {1, 2}).get(FLOW)
