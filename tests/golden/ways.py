"""What vipd sends, said in another way than the data plane says it: one function for each way out.

A packet's `step` is what came in; all of these return what has to come out of it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.golden import edits
from tests.golden.data import INNER, OUT, Case, Frame, Step
from tests.golden.edits import ETHERNET, Layout, mac
from tests.golden.services import SERVICES, Service, configuration
from tests.support.hashes import flow_hash, siphash
from tests.support.planes import SECRET
from tests.support.wires import (
    CLIENT,
    CLIENT_MAC,
    INNER_MAC,
    NARROW_LINK,
    NARROW_LINK_MAC,
    OUT_MAC,
    VIP,
    server,
    server_mac,
)
from vipd.config import loads
from vipd.control import desired
from vipd.model.director import Transport
from vipd.model.keys import hash_keys
from vipd.model.state import Egress
from vipd.wire.checksum import internet_checksum, pseudo_header

FLOW_KEY: Final = hash_keys(SECRET)[1]
_TUNNEL_TTL: Final = 64
_QUOTED: Final = {4: 576 - 28, 6: 1280 - 48}


def stimulus(step: Step) -> bytes:
    assert isinstance(step.does, Frame)
    return step.does.raw


def service_of(case: Case) -> Service:
    return SERVICES[case.service]


def _to_server(raw: bytes, address: str) -> Frame:
    known = {server(family, n): server_mac(n) for family in (4, 6) for n in (1, 2, 3)}
    known |= dict.fromkeys(NARROW_LINK.values(), NARROW_LINK_MAC)
    return Frame(INNER, mac(known[address]) + mac(INNER_MAC) + raw[12:])


def _to_client(raw: bytes, hop: str = CLIENT_MAC) -> Frame:
    return Frame(OUT, mac(hop) + mac(OUT_MAC) + raw[12:])


def forwarded(case: Case, step: Step, number: int = 0) -> Frame:
    """A client's packet, or an error to its server as far as no address changes, to the service's server."""
    raw, service = stimulus(step), service_of(case)
    address = service.servers[number].address
    if service.method == "dr":
        return _to_server(raw, address)
    less = edits.ttl_put(raw, edits.ttl_of(raw) - 1)
    if service.method == "nat":
        return _to_server(
            edits.transport_put(less, Layout.of(raw).destination, address, 2, service.server_port), address
        )
    return tunnelled(case, step, less, address)


def hash_of(case: Case, raw: bytes) -> int:
    """Of the flow that the frame belongs to; that of an error is its quote's."""
    service, layout = service_of(case), Layout.of(raw)
    ports, protocol = (case.port, service.port), layout.protocol
    if protocol in (edits.ICMP, edits.ICMPV6):
        quote = layout.transport + 8
        protocol = raw[quote + (9 if layout.family == 4 else 6)]
    elif not layout.later:
        source, destination = (int.from_bytes(raw[layout.transport + n :][:2], "big") for n in (0, 2))
        ports = source, destination
    return flow_hash(CLIENT[service.family], VIP[service.family], *ports, protocol, FLOW_KEY)


def outer_source(value: int, family: int) -> bytes:
    """The defaults: 172.16.0.0/16 and 100::/64, spread by the flow's hash."""
    if family == 4:
        return IPv4Address(int(IPv4Address("172.16.0.0")) | value & 0xFFFF).packed
    return IPv6Address(int(IPv6Address("100::")) | value).packed


def length_of(raw: bytes) -> int:
    """Bytes of the frame up to the end of IP; what follows is Ethernet's."""
    if raw[12:14] == edits.IPV4:
        return ETHERNET + int.from_bytes(raw[16:18], "big")
    return ETHERNET + 40 + int.from_bytes(raw[18:20], "big")


def tunnelled(case: Case, step: Step, raw: bytes, address: str) -> Frame:
    """What is behind the Ethernet header of `raw`, in another packet; padding stays behind all of it."""
    inner, padding = raw[ETHERNET : length_of(raw)], raw[length_of(raw) :]
    value, v4, outer_v4 = hash_of(case, stimulus(step)), raw[12:14] == edits.IPV4, "." in address
    kind = inner[1] if v4 else (int.from_bytes(inner[:2], "big") >> 4) & 0xFF
    ends = {"src": str(ip_address(outer_source(value, 4 if outer_v4 else 6))), "dst": address}
    protocol = 4 if v4 else 41
    if outer_v4:
        whole = not v4 or inner[6] & 0x40
        identity = {"id": int.from_bytes(inner[4:6], "big") if v4 else 0, "flags": "DF" if whole else 0}
        outer: Any = IP(**ends, **identity, ttl=_TUNNEL_TTL, tos=kind, proto=protocol)
    else:
        outer = IPv6(**ends, hlim=_TUNNEL_TTL, tc=kind, fl=value >> 12, nh=protocol)
    made = bytes(outer / Raw(inner)) + padding
    return _to_server(bytes(12) + (edits.IPV4 if outer_v4 else edits.IPV6) + made, address)


def answered(case: Case, step: Step) -> Frame:
    """A real server's packet under NAT, with the VIP as its source."""
    raw, service = stimulus(step), service_of(case)
    less = edits.ttl_put(raw, edits.ttl_of(raw) - 1)
    return _to_client(edits.transport_put(less, Layout.of(raw).source, VIP[service.family], 0, service.port))


def routed(step: Step, hop: str = CLIENT_MAC) -> Frame:
    """As any router sends it on."""
    raw = stimulus(step)
    return _to_client(edits.ttl_put(raw, edits.ttl_of(raw) - 1), hop)


def error_to_server(case: Case, step: Step) -> Frame:
    raw, service = stimulus(step), service_of(case)
    if service.method != "nat":
        return forwarded(case, step)
    layout, address = Layout.of(raw), service.servers[0].address
    quoted_source = 12 if service.family == 4 else 8
    less = edits.ttl_put(raw, edits.ttl_of(raw) - 1)
    return _to_server(
        edits.error_put(less, layout.destination, quoted_source, 0, address, service.server_port), address
    )


def error_to_client(case: Case, step: Step) -> Frame:
    raw, service = stimulus(step), service_of(case)
    quoted_destination = 16 if service.family == 4 else 24
    less = edits.ttl_put(raw, edits.ttl_of(raw) - 1)
    vip = VIP[service.family]
    return _to_client(edits.error_put(less, Layout.of(raw).source, quoted_destination, 2, vip, service.port))


def _back(step: Step, made: Any) -> Frame:
    raw = stimulus(step)
    return Frame(OUT, bytes(Ether(src=OUT_MAC, dst=raw[6:12].hex(":")) / made))


def _ends(step: Step) -> dict[str, Any]:
    """Of an answer of the director's own."""
    packet = Ether(stimulus(step)).payload
    given = {"src": packet.dst, "dst": packet.src}
    return given | ({"id": 0, "flags": "DF", "ttl": 64} if packet.version == 4 else {"hlim": 64})


def reset(step: Step) -> Frame:
    """RFC 9293 3.10.7.1."""
    packet = Ether(stimulus(step)).payload
    asked = packet[TCP]
    if asked.flags.A:
        fields = {"flags": "R", "seq": asked.ack, "ack": 0}
    else:
        length = len(bytes(asked.payload)) + int(asked.flags.S) + int(asked.flags.F)
        fields = {"flags": "RA", "seq": 0, "ack": asked.seq + length}
    head = IP if packet.version == 4 else IPv6
    return _back(step, head(**_ends(step)) / TCP(sport=asked.dport, dport=asked.sport, window=0, **fields))


def refused(step: Step) -> Frame:
    """Port unreachable."""
    return error_of(step, 3, 3) if Layout.of(stimulus(step)).family == 4 else error_of(step, 1, 4)


def too_big(step: Step, mtu: int) -> Frame:
    return error_of(step, 3, 4, mtu) if Layout.of(stimulus(step)).family == 4 else error_of(step, 2, 0, mtu)


def error_of(step: Step, kind: int, code: int, rest: int = 0, whole: bool = False) -> Frame:
    """Quotes whole words of the packet as it came, the kernel all of it. `rest`: the header's last four bytes."""
    raw = stimulus(step)
    family = Layout.of(raw).family
    quoted = raw[ETHERNET:][: _QUOTED[family]]
    body = bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big") + (quoted if whole else quoted[: len(quoted) & ~3])
    ends = _ends(step)
    if family == 4:
        check = internet_checksum(body)
        return _back(step, IP(**ends, tos=0xC0, proto=1) / Raw(edits.put(body, 2, check.to_bytes(2, "big"))))
    check = internet_checksum(pseudo_header(ip_address(ends["src"]), ip_address(ends["dst"]), 58, len(body)) + body)
    return _back(step, IPv6(**ends, nh=58) / Raw(edits.put(body, 2, check.to_bytes(2, "big"))))


def choice_of(service: Service, step: Step) -> int:
    """sh, mh: the number of the server that the client's hash leads to."""
    raw = stimulus(step)
    layout = Layout.of(raw)
    held = desired(loads(configuration([service])).director, lambda _: Egress.ON_LINK, SECRET)
    [tcp] = [each for endpoint, each in held.items() if endpoint.transport is Transport.TCP]
    slots = memoryview(tcp.slots).cast("I")
    client = raw[layout.source : layout.destination]
    low, high = hash_keys(SECRET)[0]
    slot = (siphash(client + bytes(2), (low, high)) >> 32) * len(slots) >> 32
    address = str(tcp.servers[slots[slot]].key.address)
    return [each.address for each in service.servers].index(address)
