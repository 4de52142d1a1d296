"""What is written in a configuration, one value at a time, and what it means. Knows no document.

Each function takes whatever YAML made of the text and raises `Refused` with a message of
the form "what is wrong; what is allowed".
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from vipd.model.director import Address, Endpoint, Network, Transport

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
PORTS: Final = range(1, 65536)
SHORTEST: Final = 0.1
LONGEST: Final = 31 * 86400.0

_ENDPOINT: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<ports>[^:/]*)(?:/(?P<transport>[^/]*))?")
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_IPV6_TEXT: Final = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%\w+)?")
_V4_USUAL: Final = range(0x01000000, 0xE0000000)
_V6_USUAL: Final = range(0x0100 << 112, 0xFE80 << 112)


class Refused(ValueError):
    """What stands there cannot be used; pydantic collects it with its own errors."""


def shown(value: object) -> str:
    """A value as a message quotes it: short, on one line, harmless to a terminal."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return f"'{printable(value)}'"
        case _:
            return printable(str(value))


def printable(text: str, limit: int = 64) -> str:
    """The text without control characters and not longer than a line may be."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def did_you_mean(word: object, known: list[str]) -> str:
    """`; did you mean 'weight'?` or nothing."""
    near = get_close_matches(word.lower(), known, n=1) if isinstance(word, str) and len(word) < 64 else []
    return f"; did you mean '{near[0]}'?" if near else ""


def quote_hint(value: object) -> str:
    """For a list that was meant to be an IPv6 address in brackets."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and _IPV6_TEXT.fullmatch(value[0]):
        return f'; YAML reads an unquoted [ as a list: put it in quotes, "[{value[0]}]"'
    return ""


def address(value: object) -> Address:
    """An address of a machine, in the form that the data plane tells apart from every other."""
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not an IP address{quote_hint(value) or '; 192.0.2.10 or 2001:db8::10'}")
    found: Address
    try:
        found = IPv6Address(value) if ":" in value else IPv4Address(value)
    except ValueError:
        raise Refused(f"{shown(value)} is not an IP address; {_why_no_address(value)}") from None
    if int(found) not in (_V4_USUAL if found.version == 4 else _V6_USUAL):
        _refuse_unusual(found, printable(value))
    elif found.version == 6 and found.scope_id is not None:
        raise Refused(f"{shown(value)} carries a zone; write the address without %{printable(found.scope_id)}")
    return found


def _why_no_address(text: str) -> str:
    if "/" in text:
        return "a single address is expected, without a prefix length"
    if text.startswith("[") and text.endswith("]"):
        return "brackets are for an address with a port"
    if re.search(r"[g-zG-Z]", text):
        return "host names are not looked up, write the address"
    return "192.0.2.10 or 2001:db8::10"


def _refuse_unusual(found: Address, text: str) -> None:
    number = int(found)
    if found.version == 6:
        if found.scope_id is not None:
            raise Refused(f"'{text}' carries a zone; a link-local address cannot be used here")
        if found.ipv4_mapped is not None:
            raise Refused(f"{text} is an IPv4 address in IPv6 form; write {found.ipv4_mapped}")
        if found.is_link_local:
            raise Refused(f"{text} is link-local and has no meaning beyond one link; use a global or fd00::/8 one")
    elif number >> 24 == 0:
        raise Refused(f'{found} is no machine\'s address; 0.0.0.0/8 means "this network"')
    elif number == 0xFFFFFFFF:
        raise Refused(f"{text} is the broadcast address; a single machine's is expected")
    if found.is_multicast:
        raise Refused(f"{text} is a multicast address; a single machine's is expected")
    if found.is_unspecified:
        raise Refused(f"{text} is the unspecified address; a single machine's is expected")


def vip(value: object) -> Address:
    """An address that clients can talk to."""
    found = address(value)
    if found.is_loopback:
        raise Refused(f"{found} is a loopback address; no client can reach it as a VIP")
    return found


def port(value: object) -> int:
    if type(value) is not int:
        raise Refused(f"{shown(value)} is not a port; ports are 1 to 65535")
    if value not in PORTS:
        raise Refused(f"{shown(value)} is {'below 1' if value < 1 else 'above 65535'}; ports are 1 to 65535")
    return value


def _port_text(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Refused(f"{shown(text)} is not a port in {shown(whole)}; a port is 1 to 65535, a range 8000-8099")
    if len(text) > 9 or int(text) not in PORTS:
        hint = "; all ports are written *" if text == "0" else ""
        raise Refused(f"port {printable(text)} in {shown(whole)} is out of range; ports are 1 to 65535{hint}")
    return int(text)


def server(text: str) -> tuple[Address, int | None]:
    """`10.0.0.11`, `10.0.0.11:8080`, `2001:db8::11` or `[2001:db8::11]:8080`."""
    if text.startswith("[") or text.count(":") == 1:
        found = _ENDPOINT.fullmatch(text)
        if found is None or found["transport"] is not None:
            raise Refused(f"{shown(text)} is not a server; ADDRESS or ADDRESS:PORT, [ADDRESS]:PORT for IPv6")
        return address(_host(found["host"], text)), _port_text(found["ports"], text)
    return address(text), None


def _host(host: str, whole: str) -> str:
    if host.startswith("[") and ":" not in host:
        raise Refused(f"{shown(whole)} has brackets around something else than an IPv6 address")
    return host.strip("[]")


def endpoint(value: object) -> Endpoint:
    """`192.0.2.10:80/tcp`, `[2001:db8::10]:8000-8099/udp`, `192.0.2.10:*/tcp`."""
    allowed = "192.0.2.10:80/tcp, or 8000-8099 or * for the port"
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not VIP:PORT/TRANSPORT{quote_hint(value) or '; ' + allowed}")
    found = _ENDPOINT.fullmatch(value)
    if found is None:
        raise Refused(f"{shown(value)} is not VIP:PORT/TRANSPORT; {_why_no_endpoint(value) or allowed}")
    where = vip(_host(found["host"], value))
    first, last = _ports(found["ports"], value)
    transport = found["transport"]
    known = [str(name) for name in Transport]
    if transport is None:
        raise Refused(f"{shown(value)} names no transport; {printable(value)}/tcp or {printable(value)}/udp")
    if transport not in known:
        raise Refused(f"{shown(transport)} is not a transport; tcp or udp")
    return Endpoint(where, first, last, Transport(transport))


def _why_no_endpoint(text: str) -> str:
    bare = text.split("/")[0]
    if _IPV6_TEXT.fullmatch(bare.strip("[]")):
        bare = bare.strip("[]")
        return f'an IPv6 address stands in brackets and the whole in quotes: "[{printable(bare)}]:80/tcp"'
    if ":" not in bare:
        return f"the port is missing: {printable(bare)}:80/tcp"
    return ""


def _ports(text: str, whole: str) -> tuple[int, int]:
    if text == "*":
        return 0, 65535
    first, dash, last = text.partition("-")
    low = _port_text(first, whole)
    high = _port_text(last, whole) if dash else low
    if high < low:
        raise Refused(f"the range {low}-{high} in {shown(whole)} runs backwards; {high}-{low}")
    return low, high


def duration(value: object) -> float:
    """Seconds, from `15m`, `100ms` or a plain number of seconds."""
    allowed = "a duration is 100ms, 30s, 15m, 2h, 1d or a number of seconds"
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        seconds = float(found[1]) * _SECONDS[found[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        seconds = value if abs(value) < LONGEST * 2 else math.copysign(LONGEST * 2, value)
    else:
        raise Refused(f"{shown(value)} is not a duration; {allowed}")
    if not SHORTEST <= seconds <= LONGEST:
        side = "below 100ms" if seconds < SHORTEST else "above 31d"
        raise Refused(f"{shown(value)} is {side}; a timeout is 100ms to 31d")
    return seconds


def tunnel_source(value: object) -> Network:
    """A fixed outer source, or the network over which outer sources are spread."""
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not an address or prefix{quote_hint(value)}; 192.0.2.1 or 172.16.0.0/16")
    base, slash, length = value.partition("/")
    found = address(base)
    bits = found.max_prefixlen
    if slash and not (length.isascii() and length.isdigit() and len(length) <= 3 and 1 <= int(length) <= bits):
        raise Refused(f"{shown(value)} is not a prefix; its length is 1 to {bits}")
    network: Network
    if found.version == 4:
        network = IPv4Network((found, int(length) if slash else bits), strict=False)
    else:
        network = IPv6Network((found, int(length) if slash else bits), strict=False)
    if network.network_address != found:
        raise Refused(f"{shown(value)} has bits set behind its prefix; {network}")
    return network


def interface(value: object) -> str:
    """A name that the kernel accepts for a device (dev_valid_name)."""
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not an interface; a name like eth0")
    if (
        not 1 <= len(value.encode()) <= 15
        or value in (".", "..")
        or re.search(r"[/:\s]", value)
        or not value.isprintable()
    ):
        raise Refused(f"{shown(value)} is not an interface; a name has 1 to 15 characters, no space, / or :")
    return value


def service_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise Refused(f"{shown(value)} is no name for a service; 1 to 63 letters, digits, - _ and ., no - _ . first")
    return value


def secret_file(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or len(value.encode()) > 4095:
        raise Refused(f"{shown(value)} is not an absolute path; /etc/vipd/secret")
    return value


def prime(value: int) -> int:
    """The smallest prime that is not smaller."""
    while any(value % divisor == 0 for divisor in range(2, math.isqrt(value) + 1)):
        value += 1
    return value
