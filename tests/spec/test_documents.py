"""What docs/specification.md shows is what the code says, and what rules name as their source is there."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
from scapy.layers.l2 import Ether

from tests.support.oracle import Alone
from tests.support.oracle.network import PORTS
from tests.support.packets import PORT, segment
from tests.support.wires import CLIENT_MAC, VIP, server
from vipd.model.director import Endpoint, Method, RealServer, Scheduler, Transport, VirtualService
from vipd.spec.reason import RULES
from vipd.wire.ethernet import mac_text

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/specification.md").read_text()


def third_connection() -> list[str]:
    servers = tuple(RealServer(ip_address(server(4, n)), weight=n, method=Method.DR) for n in (1, 2))
    endpoint = Endpoint(ip_address(VIP[4]), PORT, PORT, Transport.TCP)
    made = Alone()
    made.configure([VirtualService("web", (endpoint,), servers, Scheduler.WLC, maglev_slots=31)])
    for sport in (1000, 1001, 40123):
        frame = bytes(Ether(src=CLIENT_MAC, dst=mac_text(PORTS["out"].mac)) / segment(4, sport=sport))
        decision = made.send("out", frame)
    return [f"{reason.rule!s:20} {reason}" for reason in decision.reasons]


def test_the_example_is_what_the_specification_says() -> None:
    [shown] = re.findall(r"^```\n(parse\..*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown.splitlines() == third_connection()


def test_every_module_stands_in_the_page() -> None:
    named = set(re.findall(r"`(\w+\.py)`", PAGE))
    there = {path.name for path in (ROOT / "src/vipd/spec").glob("*.py")} - {"__init__.py"}
    assert there <= named


NAMED: Final = sorted(
    {found for rule in RULES.values() for found in re.findall(r"((?:docs/)?[\w-]+\.md), ([^;:]+)", rule.source)}
)


@pytest.mark.parametrize(("page", "what"), NAMED, ids=lambda value: value)
def test_a_source_in_our_own_documents_is_there(page: str, what: str) -> None:
    text = re.sub(r"[\s*`|]+", " ", (ROOT / page).read_text()).lower()
    assert what.lower() in text
