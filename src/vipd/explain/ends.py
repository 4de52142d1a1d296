"""Where a packet comes from and where it goes, as people write it, and what they may have meant instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from vipd.errors import ConfigError, Problem
from vipd.explain.scene import Scene
from vipd.model.director import Address, Endpoint, Transport, with_port
from vipd.spec import Configuration

CLIENT: Final[dict[int, Address]] = {4: IPv4Address("198.51.100.7"), 6: IPv6Address("2001:db8:7::7")}
"Where nobody says who asks (RFC 5737, RFC 3849)."
CLIENT_PORT: Final = 40000
_ANY_PORT: Final = 80
"Of a service on all ports."
_LISTED: Final = 6
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::(.*))?")


class End(NamedTuple):
    address: Address
    port: int | None = None


class Target(NamedTuple):
    address: Address
    port: int
    transport: Transport
    note: str = ""
    "What was chosen for whoever did not say."


def refused(where: str, what: str) -> ConfigError:
    return ConfigError([Problem(where, what)])


def end_of(where: str, text: str) -> End:
    """`203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`."""
    host, port = _split(text)
    address = _address(host)
    if address is None:
        raise refused(where, f"{text!r} is no address; 203.0.113.7:4711 or [2001:db8::7]:4711 is")
    return End(address, None if port is None else _port(where, port))


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _split(text: str) -> tuple[str, str | None]:
    """Host and port, the port None where there is none."""
    if bracketed := _BRACKETED.fullmatch(text):
        return bracketed[1], bracketed[2]
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def _port(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 <= int(text) <= 65535:
        raise refused(where, f"{text!r} is no port; 0 to 65535 are")
    return int(text)


def target_of(where: str, text: str, source: Address | None, scene: Scene) -> Target:
    """A service by its name, or VIP:PORT/TRANSPORT, of which the end may be left out."""
    named = [endpoint for endpoint, name in scene.names.services.items() if name == text]
    if named:
        return _of_service(where, text, named, source)
    place, slash, word = text.partition("/")
    word = word.lower()
    if slash and word not in list(Transport):
        raise refused(where, f"{word!r} is no transport; tcp and udp are")
    if _address(_split(place)[0]) is None:
        raise _unknown(where, text, scene)
    end = end_of(where, place)
    here = [endpoint for endpoint in listening(scene.configuration) if endpoint.vip == end.address]
    fitting = [each for each in here if word in ("", each.transport) and end.port in (None, *_ports(each, end.port))]
    if end.port is None:
        if not fitting:
            heard = listed(here, scene) if here else f"and {end.address} is no VIP here"
            raise refused(where, f"{text!r} has no port, as in {with_port(end.address, 80)}/tcp; {heard}")
        return _of_service(where, text, fitting, source)
    transport = Transport(word) if word else fitting[0].transport if fitting else Transport.TCP
    return Target(end.address, end.port, transport)


def _ports(endpoint: Endpoint, port: int | None) -> tuple[int, ...]:
    inside = port is not None and endpoint.first_port <= port <= endpoint.last_port
    return (port,) if inside and port is not None else ()


def _of_service(where: str, text: str, endpoints: list[Endpoint], source: Address | None) -> Target:
    fitting = [each for each in endpoints if source is None or each.vip.version == source.version]
    if not fitting:
        told = ", ".join(map(str, endpoints[:_LISTED]))
        assert source is not None
        raise refused(where, f"{text} listens on {told}; {source} is IPv{source.version}, and a packet has one family")
    chosen = fitting[0]
    port = chosen.first_port if not chosen.all_ports else _ANY_PORT
    note = ""
    if len(fitting) > 1 or not chosen.single_port:
        note = f"{text} means {with_port(chosen.vip, port)}/{chosen.transport} here, of {_all(fitting)}"
    return Target(chosen.vip, port, chosen.transport, note)


def _all(endpoints: list[Endpoint]) -> str:
    more = f" and {len(endpoints) - _LISTED} more" if len(endpoints) > _LISTED else ""
    return ", ".join(map(str, endpoints[:_LISTED])) + more


def _unknown(where: str, text: str, scene: Scene) -> ConfigError:
    names = sorted(set(scene.names.services.values()))
    near = get_close_matches(text, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    told = f"; services are {', '.join(names[:_LISTED])}" if names and not near else ""
    if not names and (known := list(listening(scene.configuration))):
        told = f"; what services are called its daemon knows, which does not run; they listen on {_all(known)}"
    return refused(where, f"{text!r} is neither a service nor VIP:PORT/TRANSPORT, as in 192.0.2.10:80/tcp{guess}{told}")


def require_one_family(where: str, source: Address, target: Address, scene: Scene) -> None:
    if source.version == target.version:
        return
    there = [each for each in listening(scene.configuration) if each.vip.version == source.version]
    heard = f"IPv{source.version} is served on {listed(there, scene)}" if there else f"no VIP is IPv{source.version}"
    told = f"{source} is IPv{source.version} and {target} IPv{target.version}, but a packet has one family; {heard}"
    raise refused(where, told)


def listening(configuration: Configuration) -> Iterator[Endpoint]:
    return (service.endpoint for service in configuration.services.values() if service.listening)


def listed(endpoints: Iterable[Endpoint], scene: Scene) -> str:
    """Some endpoints, each with the name of its service."""
    found = list(endpoints)
    names = scene.names
    told = [f"{each} ({names.service(each)})" if each in names.services else str(each) for each in found[:_LISTED]]
    more = [f"{len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return ", ".join([*told, *more])
