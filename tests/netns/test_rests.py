"""Started and ended over and over, by every way there is: the machine is as it was."""

from __future__ import annotations

import os
import signal
from typing import Any, Final

from tests.support.labs import unique_name
from tests.support.lan import Host
from vipd.lab.director import Director
from vipd.lab.lab import Lab, lab_of
from vipd.lab.topology import NAT
from vipd.lab.traffic import asking, load
from vipd.model.director import Transport
from vipd.model.instance import Instance

ROUNDS: Final = 200 if os.environ.get("SOAK") else 9


def machine(lab: Lab, instance: Instance) -> dict[str, Any]:
    """All that vipd may change; neighbours and counters live by themselves."""
    snapshot = Host(lab.network.namespace("director")).snapshot()
    rules = lab.run("director", "nft", "list", "ruleset") + lab.run("director", "ip", "rule")
    return snapshot | {"rules": rules, "pins": instance.pins.exists(), "run": instance.directory.exists()}


def test_starts_and_ends_leave_nothing() -> None:
    with lab_of(NAT, unique_name()) as lab:
        director = Director(lab)
        instance = Instance(director.instance)
        before = machine(lab, instance)
        for number in range(ROUNDS):
            way = number % 3
            director.start(*(["--detach"] if way == 0 else []))
            if number < 3:
                assert load(lab, asking(lab, lab.topology.service(Transport.TCP), 4, connections=10)).answered == 10
            director.stop(signal.SIGKILL if way == 2 else signal.SIGTERM)
            if way:
                director.vipd("down")
            assert machine(lab, instance) == before
