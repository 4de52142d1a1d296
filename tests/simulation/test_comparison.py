"""What is said of a scheduler is the sum, or the worst, of what all its endpoints met."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tests.support.fleets import asked
from vipd.model.director import Scheduler
from vipd.simulation.comparison import total, verdict
from vipd.simulation.course import Tally
from vipd.simulation.generate import Duration, Recipe
from vipd.simulation.report import Report
from vipd.simulation.simulate import simulate
from vipd.simulation.staging import made_up

RECIPE = Recipe(4000, 300, 40.0, Duration(10.0))


def report(*changes: str, scheduler: Scheduler | None = None, directors: int = 1) -> Report:
    scene, _ = made_up(asked(*changes, directors=directors), RECIPE)
    return simulate(scene if scheduler is None else scene.with_scheduler(scheduler))


def test_tallies_are_added_field_by_field() -> None:
    numbers = [Tally(*range(n, n + len(fields(Tally)))) for n in (0, 100)]
    assert total(numbers) == Tally(*(2 * n + 100 for n in range(len(fields(Tally)))))


def test_an_upset_is_the_sum_over_endpoints() -> None:
    found = report("remove web 10.0.0.12", "remove dns 10.0.1.11", directors=3)
    for number, upset in enumerate(verdict(found).upsets, start=1):
        effects = [endpoint.acts[number].effect for endpoint in found.endpoints]
        assert upset.open == sum(effect.connections.open for effect in effects if effect) > 0
        assert upset.open == upset.stayed + upset.moved + upset.ended
        assert upset.unavoidable == sum(effect.least for effect in effects if effect) > 0
        assert upset.elsewhere is None  # web is balanced by wlc


def test_the_worst_server_is_named_with_its_share() -> None:
    found = report(scheduler=Scheduler.RR)
    said = verdict(found)
    assert said.worst.connections == pytest.approx(4 / 3, rel=0.01)
    web = [server for server in found.endpoints[0].acts[0].servers if server.weight == 1]
    assert said.where in {f"web {server.server}" for server in web}
    assert said.refused == 0


def test_clients_that_get_another_server_weigh_by_their_connections() -> None:
    found = report("remove web 10.0.0.13", scheduler=Scheduler.MH)
    [upset] = verdict(found).upsets
    web, dns = (endpoint.acts[1] for endpoint in found.endpoints)
    assert web.effect is not None
    assert web.effect.elsewhere is not None
    assert dns.effect is not None
    assert dns.effect.elsewhere == 0
    share = web.connections / (web.connections + dns.connections)
    assert upset.elsewhere == pytest.approx(share * web.effect.elsewhere)
    assert upset.least_elsewhere == pytest.approx(share / 4)


def test_without_servers_everything_is_refused_and_nothing_is_worst() -> None:
    gone = [
        f"remove {name} 10.0.{net}.{n}"
        for name, net, of in (("web", 0, (11, 12, 13)), ("dns", 1, (11, 12)))
        for n in of
    ]
    found = verdict(report(*(f"@0s {change}" for change in gone)))
    assert found.refused == 4000
    assert (found.worst.connections, found.upsets[-1].open) == (0.0, 0)


def test_connections_that_no_server_takes_any_more_have_ended() -> None:
    found = verdict(report("remove dns 10.0.1.11", "remove dns 10.0.1.12"))
    last = found.upsets[-1]
    assert last.open == last.stayed + last.ended
    assert (last.moved, last.ended) == (0, last.unavoidable)
    assert last.ended > 0


def test_datagrams_for_which_a_new_director_has_no_server_have_ended() -> None:
    found = verdict(report("drain dns 10.0.1.11", "drain dns 10.0.1.12", "remove director 1", directors=2))
    lost = found.upsets[-1]
    assert lost.open == lost.stayed + lost.moved + lost.ended
    assert lost.ended > 0
