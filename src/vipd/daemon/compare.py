"""A configuration held against this machine, which is only looked at: what `vipd check` tells beyond the file."""

from __future__ import annotations

from dataclasses import dataclass

from vipd.config import Loaded
from vipd.daemon.survey import problems, survey, warnings
from vipd.drivers.network import Network
from vipd.errors import Problem
from vipd.model.director import Address
from vipd.model.state import Egress


@dataclass(frozen=True, slots=True)
class Way:
    """How a real server is reached from here."""

    server: Address
    egress: Egress
    interface: str
    "Empty where no route leads to it."


@dataclass(frozen=True, slots=True)
class Comparison:
    problems: tuple[Problem, ...]
    "What `vipd run` would refuse here."
    warnings: tuple[Problem, ...]
    ways: tuple[Way, ...]
    "To each server once, in the file's order."


def compare(loaded: Loaded) -> Comparison:
    """Needs no root; changes, asks and sends nothing but netlink's questions to the kernel."""
    director = loaded.director
    network = Network()
    try:
        found = survey(network, (), director)
    finally:
        network.close()
    names = {link.ifindex: link.name for link in found.links.values()}
    servers = dict.fromkeys(server.address for service in director.services for server in service.servers)
    return Comparison(
        problems=problems(loaded, found),
        warnings=warnings(loaded, found),
        ways=tuple(
            Way(address, found.paths[address].egress, names.get(found.paths[address].ifindex, ""))
            for address in servers
        ),
    )
