"""From what is asked for to what is simulated: moments, secrets, and schedulers that choose alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fleets import TEXT, asked
from vipd.errors import ConfigError
from vipd.model.director import Scheduler
from vipd.simulation.generate import Duration, Popularity, Recipe
from vipd.simulation.report import Report
from vipd.simulation.simulate import Scene, simulate
from vipd.simulation.staging import Asked, alike, made_up

RECIPE = Recipe(4000, 300, 40.0, Duration(10.0), Popularity.ZIPF)
EVEN = TEXT.replace("weight: 2", "weight: 1")


def scene(given: Asked) -> Scene:
    return made_up(given, RECIPE)[0]


def test_changes_without_a_moment_are_evenly_spread() -> None:
    found = scene(asked("drain web 10.0.0.11", "undrain web 10.0.0.11", "drain web 10.0.0.12"))
    end = found.end
    assert found.moments == (0, end // 4, end // 2, end * 3 // 4)


def test_those_without_one_stand_between_those_that_have_one() -> None:
    found = scene(asked("@20s drain web 10.0.0.11", "undrain web 10.0.0.11", "@40s drain web 10.0.0.12"))
    assert found.moments == (0, 20_000, 30_000, 40_000)
    assert scene(asked("@1h drain web 10.0.0.11")).end == 3_600_000


def test_changes_are_not_put_into_another_order() -> None:
    with pytest.raises(ConfigError, match="@10s comes before the change above it"):
        scene(asked("@20s drain web 10.0.0.11", "@10s undrain web 10.0.0.11"))


def test_a_shared_secret_makes_directors_hash_alike() -> None:
    own, shared = asked(directors=2), asked(directors=2, text=TEXT + "secret_file: /etc/vipd/secret\n")
    assert own.secret_of(1) != own.secret_of(2)
    assert shared.secret_of(1) == shared.secret_of(2)
    assert replace(own, seed=2).secret_of(1) != own.secret_of(1)


def test_nobody_asks_from_a_vip_or_a_server() -> None:
    given = asked("add web 10.0.0.14")
    assert [str(each) for each in given.foreign] == [
        *("10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.1.11", "10.0.1.12"),
        *("192.0.2.10", "192.0.2.53"),
    ]


def test_without_services_or_directors_there_is_nothing_to_simulate() -> None:
    with pytest.raises(ConfigError, match="nothing can be simulated without a service"):
        asked(text="interfaces: [eth0]\nservices: {}\n")
    with pytest.raises(ConfigError, match="0 directors; 1 to 250"):
        asked(directors=0)


def told(report: Report) -> list[object]:
    """All but the scheduler's name."""
    acts = [replace(act, scheduler="") for endpoint in report.endpoints for act in endpoint.acts]
    return [*acts, report.directors, report.doubts]


@pytest.mark.parametrize("text", [TEXT, EVEN], ids=["weights", "no weights"])
def test_schedulers_that_are_taken_for_alike_choose_alike(text: str) -> None:
    found = scene(asked("remove web 10.0.0.13", "remove director 2", directors=2, text=text))
    reports = {each: told(simulate(found.with_scheduler(each))) for each in Scheduler}
    same = {each: alike(each, found.situations) for each in Scheduler}
    assert all(reports[each] == reports[other] for each, other in same.items())
    assert len(set(same.values())) == (5 if text == TEXT else 3)


def test_a_weight_that_comes_later_counts() -> None:
    even = asked("drain web 10.0.0.11", text=EVEN).situations
    assert alike(Scheduler.WLC, even) is Scheduler.LC
    assert alike(Scheduler.WLC, asked("weight web 10.0.0.11 5", text=EVEN).situations) is Scheduler.WLC
    assert alike(Scheduler.WLC, asked("weight web 10.0.0.11 0", text=EVEN).situations) is Scheduler.LC


def test_the_same_seed_makes_the_same_report() -> None:
    first, again = (simulate(scene(asked("remove web 10.0.0.12", directors=3))) for _ in range(2))
    assert first == again
    assert first != simulate(scene(asked("remove web 10.0.0.12", directors=3, seed=2)))


def test_hundreds_of_services_are_simulated_together() -> None:
    text = "interfaces: [eth0]\nservices:\n" + "".join(
        f"  s{n}: {{listen: '192.0.2.{n % 250}:{1000 + n}/tcp', method: dr, maglev_slots: 251, servers: [10.0.0.1]}}\n"
        for n in range(1, 301)
    )
    report = simulate(scene(asked("weight s7 10.0.0.1 2", text=text)))
    assert len(report.endpoints) == 300
    [director] = report.directors
    assert director.connections == report.flows
