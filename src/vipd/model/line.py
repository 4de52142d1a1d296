"""Where a link's octets travel, as people write it: `serial:/dev/ttyS0,115200`, `pty`, `tcp:HOST:PORT`, … Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from vipd.errors import ConfigError, Problem
from vipd.model.director import Address, with_port

FORMS: Final = "serial:DEVICE[,BAUD[,FLOW]], pty, tcp:HOST:PORT, tcp-listen:[ADDRESS:]PORT, stdio"
LOOPBACK: Final = IPv4Address("127.0.0.1")
XON_XOFF: Final = 0x000A0000
"The ACCM of the two octets that steer the flow (RFC 1662 section 7.1)."
_DEFAULT_BAUD: Final = 115_200
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")


class Flow(StrEnum):
    """Who tells a serial line's sender to wait."""

    NONE = "none"
    RTSCTS = "rtscts"
    XONXOFF = "xonxoff"


@dataclass(frozen=True, slots=True)
class Serial:
    device: str
    baud: int = _DEFAULT_BAUD
    flow: Flow = Flow.NONE

    def __str__(self) -> str:
        return f"serial:{self.device},{self.baud}" + (f",{self.flow}" if self.flow is not Flow.NONE else "")


@dataclass(frozen=True, slots=True)
class Pty:
    def __str__(self) -> str:
        return "pty"


@dataclass(frozen=True, slots=True)
class Tcp:
    host: str
    "A name or an address."
    port: int

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TcpListen:
    address: Address
    port: int

    def __str__(self) -> str:
        return f"tcp-listen:{with_port(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class Stdio:
    def __str__(self) -> str:
        return "stdio"


Place: TypeAlias = Serial | Pty | Tcp | TcpListen | Stdio


def parse_place(text: str) -> Place:
    """`ConfigError` says what is wrong and what is allowed."""
    kind, given, rest = text.partition(":")
    match kind, bool(given):
        case "serial", True:
            return _serial(rest)
        case "pty", False:
            return Pty()
        case "tcp", True:
            host, port = _host_and_port(text, rest)
            if not host:
                raise _refusal(f"{text!r} does not say which host; tcp:HOST:PORT is expected")
            return Tcp(host, port)
        case "tcp-listen", True:
            return _listen(text, rest)
        case "stdio", False:
            return Stdio()
        case _:
            raise _refusal(f"{text!r} is no line; allowed is {FORMS}")


def _serial(rest: str) -> Serial:
    device, *more = rest.split(",")
    if not device.startswith("/"):
        raise _refusal(f"{device!r} is no device; a path such as /dev/ttyS0 is expected")
    if len(more) > 2:
        raise _refusal(f"{','.join(more[2:])!r} is one part too many; allowed is serial:DEVICE[,BAUD[,FLOW]]")
    flow = Flow.NONE
    if more and not more[-1].isdecimal():
        if more[-1] not in set(Flow):
            raise _refusal(f"{more[-1]!r} is neither a speed in baud nor a flow control; those are {', '.join(Flow)}")
        flow = Flow(more.pop())
    baud = _number(more[0], "a speed in baud", 1, 10_000_000) if more else _DEFAULT_BAUD
    return Serial(device, baud, flow)


def _listen(text: str, rest: str) -> TcpListen:
    host, port = _host_and_port(text, rest)
    if not host:
        return TcpListen(LOOPBACK, port)
    try:
        address = ip_address(host)
    except ValueError:
        raise _refusal(f"{host!r} is no address to listen at; one of this machine's is, or 0.0.0.0, or [::]") from None
    return TcpListen(address, port)


def _host_and_port(text: str, rest: str) -> tuple[str, int]:
    host, _, port = rest.rpartition(":")
    number = _number(port, "a port", 1, 65_535)
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(IPv6Address(host[1:-1])), number
        except ValueError:
            raise _refusal(f"{host!r} is no IPv6 address") from None
    if ":" in host:
        raise _refusal(f"{text!r} is ambiguous; an IPv6 address stands in brackets: [2001:db8::1]:{number}")
    if host and not _HOST.fullmatch(host):
        raise _refusal(f"{host!r} is neither the name of a host nor an address")
    return host, number


def _number(text: str, what: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not low <= int(text[:20]) <= high:
        raise _refusal(f"{text!r} is not {what}; {low} to {high} is")
    return int(text)


def _refusal(message: str) -> ConfigError:
    return ConfigError([Problem("over", message)])
