"""What depends on the configuration: servers removed, drained, chosen among; settings; tunnels of other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from typing import Final

from tests.golden.services import METHODS, SCHEDULERS
from tests.golden.talk import TEXT, Play, Script, Talk
from tests.support.packets import FAMILIES

ROUNDS: Final = 12
_SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "": (),
    "-expire-nodest-conn": ("expire_nodest_conn 1",),
}


def removed(talk: Talk, settings: tuple[str, ...]) -> None:
    for each in settings:
        talk.act("set", f"set {each}")
    talk.opened()
    talk.says("datagram", talk.datagram())
    talk.act("remove", f"remove {talk.service.name}")
    talk.says("data", talk.segment("PA", TEXT))
    talk.says("data-again", talk.segment("PA", TEXT))
    talk.says("syn-after", talk.segment("S", seq=7))
    talk.says("datagram-after", talk.datagram())
    talk.says("datagram-again", talk.datagram())


def drained(talk: Talk) -> None:
    talk.opened()
    talk.act("drain", f"drain {talk.service.name}")
    talk.says("data", talk.segment("PA", TEXT))
    talk.says("fin", talk.segment("FA"))


def sloppy(talk: Talk) -> None:
    """IPVS set to take connections that it did not see begin."""
    talk.act("set", "set sloppy_tcp 1")
    talk.says("data", talk.segment("PA", TEXT))
    talk.says("data-again", talk.segment("PA", TEXT))


def server_told(talk: Talk) -> None:
    """IPVS set to tell servers whose answers belong to no connection."""
    talk.act("set", "set nat_icmp_send 1")
    talk.hears("data", talk.answer("PA", TEXT))


def same_client_of_two_services(talk: Talk) -> None:
    """Both have the same server and port, so that the answers look alike."""
    talk.says("syn-of-first", talk.segment("S"))
    talk.says("syn-of-second", talk.segment("S", dport=talk.service.port + 1))
    talk.hears("syn-ack", talk.answer("SA"))


def choices(talk: Talk) -> None:
    """New connections, each from a port of its own; then some that found others closed."""
    for n in range(ROUNDS):
        talk.says(f"syn-{n}", talk.segment("S", sport=50_000 + n))
    for n in (0, 3, 6):
        # A reset of what is half open would leave it counted as active.
        talk.says(f"ack-{n}", talk.segment("A", sport=50_000 + n))
        talk.says(f"rst-{n}", talk.segment("R", sport=50_000 + n))
    for n in range(4):
        talk.says(f"after-{n}", talk.segment("S", sport=51_000 + n))


def choices_by_client(talk: Talk) -> None:
    """New connections of one client, then of others."""
    for n in range(2):
        talk.says(f"syn-{n}", talk.segment("S", sport=50_000 + n))
    start = ip_address({4: "198.51.100.32", 6: "2001:db8:7::32"}[talk.family])
    for n in range(ROUNDS):
        talk.says(f"client-{n}", talk.ip(src=str(start + n)) / talk.tcp())


def choices_while_drained(talk: Talk) -> None:
    """New connections of many clients to a service one of whose servers has weight 0."""
    talk.act("drain", f"drain {talk.service.name}")
    start = ip_address({4: "192.0.2.32", 6: "2001:db8:aaaa::32"}[talk.family])
    for n in range(ROUNDS):
        talk.router_says(f"client-{n}", talk.ip(src=str(start + n)) / talk.tcp())


def tunnelled(talk: Talk) -> None:
    talk.opened().says("data", talk.segment("PA", TEXT))
    talk.says("datagram", talk.datagram())


def plays() -> Iterator[Play]:
    for family in FAMILIES:
        for method in METHODS:
            for name, settings in _SETTINGS.items():
                script: Script = partial(removed, settings=settings)
                yield Play(f"{method}{family}/server/removed{name}", f"removed-{method}{family}", script)
            yield Play(f"{method}{family}/server/drained", f"drained-{method}{family}", drained)
            yield Play(f"{method}{family}/sloppy", f"{method}{family}", sloppy)
        yield Play(f"any{family}/server-told", f"nat{family}", server_told)
        yield Play(f"nat{family}/same-client-of-two-services", f"first-nat{family}", same_client_of_two_services)
        for kind in ("gue", "gre"):
            yield Play(f"{kind}{family}/tunnelled", f"{kind}{family}", tunnelled)
        for name in SCHEDULERS:
            script = choices_by_client if name in ("sh", "mh") else choices
            yield Play(f"dr{family}/choice/{name}", f"choice-{name}-{family}", script)
    # Behind all others, whose clients keep their ports.
    for family in FAMILIES:
        for name in ("sh", "mh"):
            yield Play(f"dr{family}/drained/{name}", f"choice-{name}-{family}", choices_while_drained)
