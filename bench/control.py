"""The control plane: how long until a configuration, or a change of it, is decided. No root, no kernel."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from bench.effort import Effort
from bench.report import Row
from vipd import config, control
from vipd.control import maglev
from vipd.model.director import Address, Director, VirtualService
from vipd.model.state import Egress

SERVICES: Final = 1000
SERVERS: Final = 50
SECRET: Final = bytes(range(16))
REPEATS: Final = 7


def text() -> str:
    """1,000 services of 50 servers, with weights; no two servers alike."""
    lines = ["interfaces: [eth0]", "services:"]
    for service in range(SERVICES):
        vip = IPv4Address(0xC6120000 + service)
        lines += [f"  s{service}:", f"    listen: {vip}:80/tcp", "    method: nat", "    servers:"]
        for server in range(SERVERS):
            address = IPv4Address(0x0A000001 + service * SERVERS + server)
            lines.append(f"      - {{address: {address}, weight: {server % 10 + 1}}}")
    return "\n".join(lines) + "\n"


def on_link(_address: Address) -> Egress:
    return Egress.ON_LINK


def all_on_link(service: VirtualService) -> tuple[Egress, ...]:
    return (Egress.ON_LINK,) * len(service.servers)


def fastest(work: Callable[[], object], repeats: int) -> float:
    """Seconds; the fastest run is the one that other processes disturbed least."""
    taken = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return min(taken)


def figures(repeats: int = REPEATS) -> list[dict[str, Any]]:
    """Objects with the keys of build/bench.json."""
    return list(_figures(repeats))


def _figures(repeats: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vipd.yaml"
        file.write_text(text())
        director = config.load(file).director
        changed = config.loads(text().replace("{address: 10.0.97.169, weight: 1}", "{address: 10.0.97.169, weight: 7}"))
        if changed.director == director:
            raise AssertionError("the changed file is the same")
        yield _figure("control: load and check 1000 x 50", fastest(lambda: config.load(file), repeats), 900)
    yield _figure(
        "control: decide 1000 x 50", fastest(lambda: control.desired(director, on_link, SECRET), repeats), 600
    )
    yield _figure("control: decide one changed weight", _one_change(director, changed.director, repeats), 50)
    servers = [(IPv4Address(0x0A000001 + number), 80) for number in range(1000)]
    for name, weights in (("equal", [1] * 1000), ("1 to 10", [number % 10 + 1 for number in range(1000)])):
        once = fastest(lambda w=weights: maglev.table(servers, w, 65_537, SECRET), 3 * repeats)  # type: ignore[misc]
        yield _figure(f"control: Maglev, 1000 servers, weights {name}, 65537 slots", once, 20)


def _one_change(before: Director, after: Director, repeats: int) -> float:
    """From the new configuration to the changes for the data plane."""
    desire = control.Desired()
    held = desire(before, all_on_link, SECRET)
    now, then = after, before

    def step() -> None:
        nonlocal held, now, then
        wanted = desire(now, all_on_link, SECRET)
        if len(control.plan(wanted, held, control.policies(now))) != 1:
            raise AssertionError("one service was to change")
        held, now, then = wanted, then, now

    return fastest(step, repeats)


def _figure(name: str, seconds: float, goal: float) -> dict[str, Any]:
    value = round(seconds * 1000, 2)
    return {
        "name": name,
        "value": value,
        "unit": "ms",
        "baseline": None,
        "ratio": None,
        "goal": f"<= {goal:g} ms",
        "met": value <= goal,
    }


def rows(_effort: Effort, told: Callable[[str], None]) -> Iterator[Row]:
    told("the control plane")
    for figure in _figures(REPEATS):
        yield Row(**figure)
