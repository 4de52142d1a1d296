"""What the other tests here lean on: load, reload, kill and adoption in a lab, with nothing lost."""

from __future__ import annotations

import signal

from tests.netns.conftest import MakeSite
from vipd.lab.configuration import director_configuration
from vipd.lab.topology import DR
from vipd.model.director import Transport


def test_a_reload_under_load_costs_nothing(lab: MakeSite) -> None:
    site = lab("nat")
    with site.loading(Transport.TCP, 4, requests=5, pause=0.02) as load:
        site.director.configure(director_configuration(site.lab.topology, scheduler="wlc"))
        result = load.finish()
    assert result.answered == result.sent > 0
    assert (result.errors, result.moved, result.retransmits) == ({}, 0, 0)
    assert {service["scheduler"] for service in site.status()["services"]} == {"wlc"}


def test_a_killed_daemon_is_not_missed_and_its_state_is_adopted(lab: MakeSite) -> None:
    site = lab("dr")
    with site.loading(Transport.UDP, 6, requests=5, pause=0.02) as load:
        site.director.stop(signal.SIGKILL)
        assert site.status()["pid"] is None
        site.start()
        result = load.finish()
    assert result.answered == result.sent > 0
    assert (result.errors, result.moved) == ({}, 0)
    assert site.director.process is not None
    assert site.status()["pid"] == site.director.process.pid


def test_a_configuration_of_ones_own_is_used(lab: MakeSite) -> None:
    text = director_configuration(DR).replace("scheduler: rr", "scheduler: mh")
    assert {service["scheduler"] for service in lab("dr", text).status()["services"]} == {"mh"}
