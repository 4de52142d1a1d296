"""Where vipd does other than IPVS on purpose: every place that the goldens show, what differs, and why.

docs/differences-from-lvs.md is made from this table, and test_ipvs.py allows no other difference.
Entries are applied in their order.
"""

from __future__ import annotations

from typing import Final

from tests.golden.difference import Chapter
from tests.golden.differences_forwarding import FORWARDING
from tests.golden.differences_headers import IP, TRANSPORTS
from tests.golden.differences_icmp import ERRORS
from tests.golden.differences_servers import SERVERS
from tests.golden.differences_sizes import SIZES

CHAPTERS: Final = (
    Chapter("Forwarding and tunnels", FORWARDING),
    Chapter("TCP and UDP", TRANSPORTS),
    Chapter("IP headers", IP),
    Chapter("Sizes and fragments", SIZES),
    Chapter("ICMP", ERRORS),
    Chapter("Servers and schedulers", SERVERS),
)
