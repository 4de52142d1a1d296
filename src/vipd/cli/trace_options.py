"""What `vipd trace` was asked for, as people write it, to what the data plane can pick; every mistake by its option."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Final

from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, Endpoint, Network, Transport
from vipd.model.outcome import OUTCOMES, Action

_SHOWN: Final = 8
"Names that a message lists at the most."
_FORMS: Final = "allowed is a service's name, VIP, VIP:PORT or VIP:PORT/TRANSPORT"

Named = Callable[[], Mapping[str, Iterable[str]]]
"Asks for the services by name, each with what it listens on."


def network_of(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise _mistake("--client", f"{error}; allowed is ADDRESS or ADDRESS/PREFIX") from None


def outcomes_of(texts: Iterable[str]) -> frozenset[str]:
    """Each a name, a pattern such as `drop_*`, or an action such as `drop`; several by commas."""
    found: set[str] = set()
    for text in (part.strip() for given in texts for part in given.split(",")):
        pattern = f"{text}_*" if text in set(Action) else text
        fitting = [name for name in OUTCOMES if fnmatchcase(name, pattern)]
        if not fitting:
            near = get_close_matches(text, [*Action, *OUTCOMES], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "'vipd status --outcomes' lists them"
            raise _mistake("--outcome", f"no outcome is called {text!r}; {hint}")
        found.update(fitting)
    return frozenset(found)


def servers_of(texts: Iterable[str], known: Collection[Address]) -> frozenset[Address]:
    found = set()
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError as error:
            raise _mistake("--server", f"{error}; allowed is an address") from None
        if address not in known:
            raise _mistake("--server", f"{address} is no real server here; {_there_are(map(str, known))}")
        found.add(address)
    return frozenset(found)


def services_of(texts: Iterable[str], known: Sequence[Endpoint], named: Named) -> frozenset[Endpoint]:
    return frozenset(endpoint for text in texts for endpoint in _service(text, known, named))


def _service(text: str, known: Sequence[Endpoint], named: Named) -> list[Endpoint]:
    found = _written(text, known)
    if found is None:
        names = named()
        if text not in names:
            raise _mistake("--service", f"no service is called {text!r}; {_there_are(names)}; {_FORMS}")
        listens = set(names[text])
        found = [each for each in known if str(each) in listens]
    if not found:
        raise _mistake("--service", f"no service listens on {text}; {_there_are(map(str, known))}")
    return found


def _written(text: str, known: Sequence[Endpoint]) -> list[Endpoint] | None:
    """None where it is a name; else those that it covers or is a port of."""
    place, _, transport = text.partition("/")
    host, _, port = place.rpartition(":") if "]:" in place or place.count(":") == 1 else (place, "", "")
    try:
        vip = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if transport and transport.lower() not in set(Transport):
        raise _mistake("--service", f"{transport!r} is no transport; allowed is {' or '.join(Transport)}")
    exact = [each for each in known if str(each) == text]
    if port not in ("", "*") and not exact and not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise _mistake("--service", f"{port!r} is no port; {_FORMS}")
    return exact or [
        each
        for each in known
        if each.vip == vip
        and (not transport or each.transport == transport.lower())
        and (port in ("", "*") or each.first_port <= int(port) <= each.last_port)
    ]


def _there_are(names: Iterable[str]) -> str:
    listed = sorted(names)
    if not listed:
        return "there are none"
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed[:_SHOWN])}{more}"


def _mistake(option: str, what: str) -> ConfigError:
    return ConfigError([Problem(option, what)])
