"""IPv4's options: those that change no way are carried, the others are the kernel's."""

from __future__ import annotations

from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IPOption_EOL, IPOption_LSRR, IPOption_SSRR

from tests.support.bpf import XDP_PASS, XDP_REDIRECT
from tests.support.packets import PORT, altered, framed, ip, request, sent
from tests.support.tables import UDP, Director
from tests.support.wires import CLIENT, VIP, server, server_mac
from vipd.dataplane._abi import Method
from vipd.wire.checksum import internet_checksum

ROUTE: Final = {"routers": ["192.0.2.9"], "length": 7}
ALERT: Final = b"\x94\x04\0\0"
KERNELS: Final[dict[str, bytes]] = {
    "loose-route": bytes(IPOption_LSRR(pointer=4, **ROUTE)) + b"\0",
    "loose-route-done": bytes(IPOption_LSRR(pointer=8, **ROUTE)) + b"\0",
    "strict-route": bytes(IPOption_SSRR(pointer=4, **ROUTE)) + b"\0",
    "behind-others": b"\x01" + ALERT + bytes(IPOption_LSRR(pointer=4, **ROUTE)),
    "behind-all-others": ALERT * 8 + bytes(IPOption_LSRR(pointer=4, **ROUTE)) + b"\0",
    "too-long": b"\x01" * 4 + b"\x94\x05\0\0",
    "without-length": b"\x01" * 7 + b"\x94",
    "length-0": b"\x94\0\0\0",
    "length-1": b"\x94\x01\0\0",
}
OURS: Final[dict[str, bytes]] = {
    "ends-with-the-header": b"\x01" * 4 + ALERT,
    "length-2": b"\x94\x02\x01\x01",
    "forty-bytes": b"\x07\x28\x04" + bytes(37),
}


def with_options(packet: bytes, options: bytes) -> bytes:
    """Byte for byte, which scapy would put right."""
    head = bytearray(packet[:20] + options)
    head[0] += len(options) // 4
    head[2:4] = (len(packet) + len(options)).to_bytes(2, "big")
    head[10:12] = bytes(2)
    head[10:12] = internet_checksum(bytes(head)).to_bytes(2, "big")
    return bytes(head) + packet[20:]


def director_gets(director: Director, options: bytes) -> bytes:
    plain = framed(request(4, UDP), director.wires.out)
    return plain[:14] + with_options(plain[14:], options)


def serve(director: Director) -> None:
    service = director.service(VIP[4], PORT, UDP)
    director.serve(service, [director.server(service, server(4, 1), Method.NAT)])


@pytest.mark.parametrize("name", KERNELS)
def test_source_routes_and_malformed_options_are_the_kernels(director: Director, name: str) -> None:
    serve(director)
    frame = director_gets(director, KERNELS[name])
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {"PASS_OPTIONS": 1})
    assert director.entries() == []


@pytest.mark.parametrize("name", OURS)
def test_other_options_are_carried(director: Director, name: str) -> None:
    serve(director)
    result = director.run(director_gets(director, OURS[name]))
    plain = sent(altered(request(4, UDP), 1, dst=server(4, 1)), director.wires.inner, server_mac(1))
    assert (result.action, result.outcomes) == (XDP_REDIRECT, {"FORWARD_NAT": 1})
    assert result.frame == plain[:14] + with_options(plain[14:], OURS[name])


def test_nothing_is_read_behind_the_end_of_options(director: Director) -> None:
    serve(director)
    packet = request(4, UDP)
    packet.options = [IPOption_EOL(), IPOption_LSRR(pointer=4, **ROUTE)]
    assert director.run(framed(packet, director.wires.out)).outcomes == {"FORWARD_NAT": 1}


@pytest.mark.parametrize("ends", [{"dst": "192.0.2.200"}, {"src": "192.0.2.201", "dst": CLIENT[4]}])
def test_source_routes_of_strangers_are_not_ours(director: Director, ends: dict[str, Any]) -> None:
    serve(director)
    frame = framed(ip(4, **ends, options=[IPOption_LSRR(pointer=4, **ROUTE)]) / ICMP(), director.wires.out)
    result = director.run(frame)
    assert (result.action, result.frame, result.outcomes) == (XDP_PASS, frame, {"PASS_NOT_OURS": 1})
