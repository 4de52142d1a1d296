"""Checksums under NAT: published vectors, every value there is, and those that must stay as they are."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from tests.support.packets import FAMILIES, HEADER, PORT, altered, framed, ip, sent, tcp, udp
from tests.support.tables import TCP, Director
from tests.support.tables import UDP as UDP_NUMBER
from tests.support.wires import CLIENT, CLIENT_MAC, VIP, server, server_mac
from vipd.dataplane._abi import Method

# NAT of whole packets, computed elsewhere (RFC 1071, full sums): what is sent, and what has to arrive
# but for the TTL. Destination 203.0.113.10 -> 10.0.0.2; port 80 or 53 -> 8080.
TCP_BEFORE: Final = "450000280007000040061484c6336407cb00710a7a690050010203040000000050022000aadd0000"
TCP_AFTER: Final = "45000028000700004006468dc63364070a0000027a691f90010203040000000050022000bda60000"
UDP_BEFORE: Final = "4500002b0007000040111476c6336407cb00710a7a6900350017ff256b617472616e207465737420706b74"
UDP_AFTER: Final = "4500002b000700004011467fc63364070a0000027a691f90001711d46b617472616e207465737420706b74"
# RFC 768: a sum that comes out as 0 is sent as ffff; this datagram's does.
COMPUTED_ZERO: Final = "4500001e000000004011f6cbc0000201c000020200010002000affff7bd3"
# RFC 1624 section 4: HC dd2f, m 5555, m' 3285 gives 0000, where RFC 1141's equation gives ffff.
RFC1624: Final = (0xDD2F, 0x5555, 0x3285, 0x0000)

EVERY: Final = np.arange(0x10000, dtype=np.int64)


def folded(values: NDArray[np.int64]) -> NDArray[np.int64]:
    for _ in range(3):
        values = (values & 0xFFFF) + (values >> 16)
    return values


def words(raw: bytes) -> NDArray[np.int64]:
    return np.frombuffer(raw + bytes(len(raw) % 2), ">u2").astype(np.int64)


def nat(director: Director, family: int, protocol: int, address: str, port: int = 0, listen: int = PORT) -> None:
    service = director.service(VIP[family], listen, protocol)
    director.serve(service, [director.server(service, address, Method.NAT, port=port)])


@pytest.mark.parametrize(
    ("before", "after", "protocol", "listen"),
    [(TCP_BEFORE, TCP_AFTER, TCP, 80), (UDP_BEFORE, UDP_AFTER, UDP_NUMBER, 53)],
    ids=["tcp", "udp"],
)
def test_published_packets_are_rewritten_as_published(
    director: Director, before: str, after: str, protocol: int, listen: int
) -> None:
    nat(director, 4, protocol, "10.0.0.2", 8080, listen)
    result = director.run(framed(IP(bytes.fromhex(before)), director.wires.out))
    # Nobody knows 10.0.0.2's MAC: the kernel is to route it, and to count its hop.
    assert result.outcomes == {"ROUTE_NAT": 1}
    assert result.frame[14:].hex() == after


@pytest.mark.parametrize("family", FAMILIES)
def test_a_udp_checksum_of_zero_stays_zero(director: Director, family: int) -> None:
    nat(director, family, UDP_NUMBER, server(family, 1), 53)
    packet = ip(family) / udp(chksum=0) / Raw(b"abc")
    result = director.run(framed(packet, director.wires.out))
    # For IPv6 that is RFC 6936 5's business between the end points, not a middlebox's.
    expected = altered(packet, 1, dst=server(family, 1), dport=53)
    assert result.frame == sent(expected, director.wires.inner, server_mac(1))
    assert result.frame[14 + HEADER[family] + 6 :][:2] == bytes(2)
    back = ip(family, src=server(family, 1), dst=CLIENT[family]) / udp(sport=53, dport=40123, chksum=0)
    result = director.run(framed(back, director.wires.inner), director.wires.inner)
    assert result.frame == sent(altered(back, 1, src=VIP[family], sport=PORT), director.wires.out, CLIENT_MAC)


def test_the_published_datagram_whose_sum_is_zero_carries_ffff() -> None:
    raw = bytes.fromhex(COMPUTED_ZERO)
    again = IP(raw)
    del again[UDP].chksum
    assert bytes(again) == raw


def sums_to_zero(packet: Any) -> Any:
    """The packet with two more bytes of payload that make its computed checksum 0."""
    made = packet / Raw(bytes(2))
    check = (IP if IP in made else IPv6)(bytes(made))[UDP].chksum
    return packet / Raw(check.to_bytes(2, "big"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_computed_udp_checksum_of_zero_is_sent_as_ffff(director: Director, family: int) -> None:
    nat(director, family, UDP_NUMBER, server(family, 1), 53)
    wanted = sums_to_zero(ip(family, src=CLIENT[family], dst=server(family, 1)) / udp(dport=53))
    packet = altered(wanted, dst=VIP[family], dport=PORT)
    result = director.run(framed(packet, director.wires.out))
    assert result.frame[14 + HEADER[family] + 6 :][:2] == b"\xff\xff"
    assert result.frame == sent(altered(wanted, 1), director.wires.inner, server_mac(1))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", [tcp("S"), udp()], ids=["tcp", "udp"])
@pytest.mark.parametrize("error", [0x0001, 0x8000, 0x1234])
def test_a_wrong_checksum_stays_as_wrong_as_it_was(director: Director, family: int, transport: Any, error: int) -> None:
    protocol = TCP if "flags" in transport.fields else UDP_NUMBER
    nat(director, family, protocol, server(family, 1), 8080)
    packet = ip(family) / transport / Raw(b"data")
    raw = bytearray(framed(packet, director.wires.out))
    place = 14 + HEADER[family] + (16 if protocol == TCP else 6)
    was = int.from_bytes(raw[place : place + 2], "big")
    raw[place : place + 2] = (was + error & 0xFFFF).to_bytes(2, "big")
    out = director.run(bytes(raw)).frame
    right = sent(altered(packet, 1, dst=server(family, 1), dport=8080), director.wires.inner, server_mac(1))
    assert out[:place] + out[place + 2 :] == right[:place] + right[place + 2 :]
    difference = int.from_bytes(out[place : place + 2], "big") - int.from_bytes(right[place : place + 2], "big")
    expected = (was + error & 0xFFFF) - was
    assert difference % 0xFFFF == expected % 0xFFFF
    assert difference


def test_a_wrong_ip_header_checksum_stays_wrong(director: Director) -> None:
    nat(director, 4, TCP, server(4, 1))
    right = framed(ip(4) / tcp("S"), director.wires.out)
    wrong = bytearray(right)
    wrong[24] ^= 0x40
    assert director.run(bytes(wrong)).frame[24:26] != director.run(right).frame[24:26]


class Template:
    """A packet of which one word varies, and the sums that a full computation gives."""

    def __init__(self, packet: Any, wire: Any) -> None:
        self.frame = bytearray(framed(packet, wire))
        self.family = 4 if IP in packet else 6

    def outputs(self, director: Director, place: int, checks: dict[int, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Frames as words, one row for each of the 65,536 values at `place`, sums set beforehand."""
        run, frame, ifindex = director.bpf.programs["director"].run, self.frame, director.wires.out.ifindex
        rows = []
        columns = [(at, values.astype(">u2").tobytes()) for at, values in checks.items()]
        for value in range(0x10000):
            frame[place : place + 2] = value.to_bytes(2, "big")
            for at, packed in columns:
                frame[at : at + 2] = packed[2 * value : 2 * value + 2]
            rows.append(run(bytes(frame), ifindex=ifindex).frame)
        return np.frombuffer(b"".join(rows), ">u2").reshape(0x10000, -1).astype(np.int64)


def pseudo(source: str, destination: str, length: int, protocol: int) -> int:
    addresses = words(ip_address(source).packed + ip_address(destination).packed)
    return int(addresses.sum()) + length + protocol


@pytest.mark.parametrize("family", FAMILIES)
def test_every_udp_checksum_comes_out_as_a_full_computation_says(director: Director, family: int) -> None:
    """And, in the same packets, every value of an IPv4 header's checksum."""
    nat(director, family, UDP_NUMBER, server(family, 1), 8080)
    fields = {"id": 0} if family == 4 else {}
    template = Template(ip(family, **fields) / udp() / Raw(bytes(2)), director.wires.out)
    l4, length, base = 14 + HEADER[family], 10, bytes(template.frame)
    payload, check = l4 + 8, l4 + 6
    transport = int(words(base[l4:check] + bytes(2)).sum()) + EVERY
    before = 0xFFFF - folded(pseudo(CLIENT[family], VIP[family], length, 17) + transport)
    checks = {check: np.where(before == 0, 0xFFFF, before)}
    header = int(words(base[14:24] + base[26:34]).sum())
    if family == 4:  # the identification takes every value too
        checks |= {18: EVERY, 24: 0xFFFF - folded(header + EVERY)}
    out = template.outputs(director, payload, checks)
    rewritten = int(words(base[l4 : l4 + 2]).sum()) + 8080 + length
    after = 0xFFFF - folded(pseudo(CLIENT[family], server(family, 1), length, 17) + rewritten + EVERY)
    assert np.array_equal(out[:, check // 2], np.where(after == 0, 0xFFFF, after))
    if family == 4:
        moved = int(words(ip_address(server(4, 1)).packed).sum() - words(ip_address(VIP[4]).packed).sum())
        assert np.array_equal(out[:, 12], 0xFFFF - folded(header + EVERY + moved - 0x100))


def test_rfc_1624s_corner_comes_out_as_its_equation_3_says(director: Director) -> None:
    """The rewritten word is the port's here, and the TTL does not change under a route of the kernel's."""
    check, old, new, wanted = RFC1624
    nat(director, 6, TCP, VIP[6], port=new, listen=old)  # an address that stays: only the port changes
    packet = ip(6) / tcp("S", dport=old, chksum=check)
    result = director.run(framed(packet, director.wires.out))
    assert result.frame[14 + 40 + 16 :][:2] == wanted.to_bytes(2, "big")
