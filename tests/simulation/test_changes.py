"""What may happen to a fleet, as people write it, and what they are told where they cannot mean it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from vipd.config import loads
from vipd.errors import ConfigError
from vipd.model.director import Method, RealServer, Scheduler
from vipd.simulation.changes import Situation, change
from vipd.simulation.fleet import Ecmp, Fleet

TEXT = """
interfaces: [eth0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: nat
    scheduler: wrr
    servers: [10.0.0.11, "10.0.0.12:8080", "10.0.0.12:8081"]
  director:
    listen: 192.0.2.11:80/tcp
    method: nat
    servers: [10.0.1.11, 10.0.1.12]
  empty:
    listen: 192.0.2.12:80/tcp
    method: nat
"""


def situation(directors: int = 1) -> Situation:
    text = TEXT if "servers: []" in TEXT else TEXT + "    servers: []\n"
    return Situation(loads(text).director, frozenset(), Fleet.of(directors, Ecmp.RESILIENT))


def after(*texts: str, directors: int = 1) -> Situation:
    found = situation(directors)
    for text in texts:
        found = change(text, found).after
    return found


def servers(given: Situation, name: str = "web") -> list[RealServer]:
    service = given.service(name)
    assert service is not None
    return list(service.servers)


def refused(*texts: str, directors: int = 1) -> str:
    with pytest.raises(ConfigError) as caught:
        after(*texts, directors=directors)
    [problem] = caught.value.problems
    return f"{problem.column}: {problem.message}"


def test_a_server_is_removed_by_its_address_or_with_its_port() -> None:
    assert [str(each.address) for each in servers(after("remove web 10.0.0.11"))] == ["10.0.0.12", "10.0.0.12"]
    assert [each.port for each in servers(after("remove web 10.0.0.12:8080"))] == [None, 8081]
    assert len(servers(after("remove web 10.0.0.11:80"))) == 2


def test_an_address_that_two_servers_have_needs_the_port() -> None:
    told = refused("remove web 10.0.0.12")
    assert told == "12: '10.0.0.12' may be 10.0.0.12:8080 or 10.0.0.12:8081; say which"


def test_a_server_is_added_like_its_neighbours_or_otherwise() -> None:
    assert servers(after("add web 10.0.0.13"))[-1] == RealServer(ip_address("10.0.0.13"), None, 1, Method.NAT)
    added = servers(after("add web 10.0.0.13 weight 7 method tun"))[-1]
    assert added == RealServer(ip_address("10.0.0.13"), None, 7, Method.TUN)
    assert servers(after("add empty 10.0.0.13 method dr"), "empty")[0].method is Method.DR


def test_weights_and_schedulers_change() -> None:
    assert [each.weight for each in servers(after("weight web 10.0.0.11 0"))] == [0, 1, 1]
    service = after("scheduler web mh").service("web")
    assert service is not None
    assert service.scheduler is Scheduler.MH


def test_a_drained_server_stays_until_it_is_removed() -> None:
    drained = after("drain web 10.0.0.11")
    assert drained.drained == {("web", ip_address("10.0.0.11"), None)}
    assert len(servers(drained)) == 3
    assert after("drain web 10.0.0.11", "undrain web 10.0.0.11").drained == frozenset()
    assert after("drain web 10.0.0.11", "remove web 10.0.0.11").drained == frozenset()


def test_directors_come_and_go_and_no_number_comes_again() -> None:
    assert after("remove director 2", directors=3).fleet.members == (1, 3)
    assert after("remove director 2", "add director", directors=3).fleet.members == (1, 3, 4)
    assert after("directors 1", "directors 3", directors=2).fleet.members == (1, 3, 4)


def test_a_service_may_be_called_director() -> None:
    assert len(servers(after("remove director 10.0.1.11"), "director")) == 1
    assert len(servers(after("add director 10.0.1.13"), "director")) == 3


def test_a_moment_stands_before_the_change() -> None:
    found = change(" @90s  remove web 10.0.0.11", situation())
    assert (found.at, found.text) == (90.0, "remove web 10.0.0.11")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: a change (remove, add, weight, drain, undrain, scheduler, directors) is missing"),
        ("remov web 10.0.0.11", "1: 'remov' is not a change; did you mean 'remove'?"),
        ("remove wep 10.0.0.11", "8: there is no service 'wep'; did you mean 'web'?"),
        ("remove web", "11: a server of web is missing"),
        ("remove web 10.0.0.99", "12: service web has no server '10.0.0.99'; did you mean '10.0.0.11'?"),
        ("remove web ten", "12: 'ten' is not an IP address; host names are not looked up, write the address"),
        ("remove web 10.0.0.11 now", "22: 'now' is one word too many; the change was complete"),
        ("weight web 10.0.0.11 9999999999", "22: '9999999999' is too large a number; a weight is expected"),
        ("weight web 10.0.0.11 -1", "22: '-1' is not a number; a weight is expected"),
        ("weight web 10.0.0.11 70000", "70000 is above 65535"),
        ("add web 10.0.0.11", "10.0.0.11"),
        ("add empty 10.0.0.13", "empty has no server to take the method from"),
        ("scheduler web sed", "15: 'sed' is not a scheduler; rr, wrr, lc, wlc, sh, mh"),
        ("undrain web 10.0.0.11", "13: 10.0.0.11 is not drained"),
        ("remove director", "16: a director's number is missing"),
        ("remove director 1", "17: the only director; with --directors there may be more"),
        ("directors 0", "11: 0 directors; 1 to 250"),
        ("@soon remove web 10.0.0.11", "1: '@soon' is not a moment"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(text: str, told: str) -> None:
    assert told in refused(text)


def test_a_lost_director_is_not_lost_twice() -> None:
    assert refused("remove director 2", "remove director 2", directors=3) == (
        "17: there is no director 2; there are: 1, 3"
    )
