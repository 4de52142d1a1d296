"""The decapsulating program, frame by frame: what comes out is what scapy builds, and every refusal has its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from vipd.dataplane.program import Object
from vipd.realserver.decapsulator import OBJECT, TABLES, outcome_names
from vipd.realserver.steps import POINT_TO_POINT, PROGRAM, PROGRAMS, packed, prefix

pytestmark = pytest.mark.root

XDP_DROP: Final = 1
XDP_PASS: Final = 2
ETHER: Final[dict[str, Any]] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
SERVER: Final = {4: "10.0.0.11", 6: "2001:db8:1::11"}
VIP: Final = {4: "192.0.2.10", 6: "2001:db8::10"}
CLIENT: Final = {4: "198.51.100.7", 6: "2001:db8:7::7"}
DIRECTOR: Final = {4: "172.16.9.9", 6: "100::9"}
FAMILIES: Final = [(4, 4), (6, 4), (4, 6), (6, 6)]
"Inner and outer, in the order of the outcomes' names."


@dataclass(frozen=True, slots=True)
class Result:
    action: int
    frame: bytes
    outcomes: dict[str, int]


class Server:
    def __init__(self, compiled: Object) -> None:
        self._maps, self._programs = compiled.maps, compiled.programs
        self._names = outcome_names(compiled.btf)

    def allow(self, table: str, *keys: bytes) -> None:
        for key in list(self._maps[table].keys()):
            self._maps[table].delete(key)
        for key in keys:
            self._maps[table].update(key, b"\x01")

    def _counts(self) -> dict[str, int]:
        rows = {n: self._maps["outcomes"].lookup(number.to_bytes(4, "little")) for number, n in self._names.items()}
        return {name: sum(memoryview(raw).cast("Q")) for name, raw in rows.items()}

    def receive(self, frame: Any, program: str = PROGRAM) -> Result:
        before = self._counts()
        run = self._programs[program].run(bytes(frame))
        moved = {name: count - before[name] for name, count in self._counts().items() if count != before[name]}
        return Result(run.action, run.frame, moved)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Object]:
    with Object(OBJECT) as compiled:
        compiled.load()
        yield compiled
        for name in TABLES:
            compiled.maps[name].close()
        for name in PROGRAMS:
            compiled.programs[name].close()


@pytest.fixture
def server(loaded: Object) -> Server:
    made = Server(loaded)
    made.allow("addresses", *(packed(ip_address(text)) for text in SERVER.values()))
    made.allow("vips", *(packed(ip_address(text)) for text in VIP.values()))
    made.allow("directors", prefix(ip_network("::/0")))
    return made


def inner(family: int, **fields: Any) -> Any:
    addresses = {"src": CLIENT[family], "dst": VIP[family]}
    header = (IP if family == 4 else IPv6)(**{**addresses, **fields})
    return header / TCP(sport=40000, dport=80, flags="S", seq=7) / Raw(b"hello")


def outer(family: int, **fields: Any) -> Any:
    addresses = {"src": DIRECTOR[family], "dst": SERVER[family]}
    return (IP if family == 4 else IPv6)(**{**addresses, **fields})


def tunnelled(inner_family: int, outer_family: int, **fields: Any) -> Any:
    return Ether(**ETHER) / outer(outer_family, **fields) / inner(inner_family)


def untouched(result: Result, frame: Any, outcome: str) -> bool:
    return (result.action, result.frame, result.outcomes) == (XDP_PASS, bytes(frame), {outcome: 1})


def dropped(result: Result, outcome: str) -> bool:
    return (result.action, result.outcomes) == (XDP_DROP, {outcome: 1})


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_the_inner_packet_comes_out_whole(server: Server, inside: int, outside: int) -> None:
    result = server.receive(tunnelled(inside, outside))
    assert result.outcomes == {f"taken_{inside}in{outside}": 1}
    assert (result.action, result.frame) == (XDP_PASS, bytes(Ether(**ETHER) / inner(inside)))


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_without_ethernet_the_inner_packet_comes_out_whole(server: Server, inside: int, outside: int) -> None:
    result = server.receive(outer(outside) / inner(inside), POINT_TO_POINT)
    assert result.outcomes == {f"taken_{inside}in{outside}": 1}
    assert (result.action, result.frame) == (XDP_PASS, bytes(inner(inside)))


@pytest.mark.parametrize("family", [4, 6])
def test_without_ethernet_what_is_no_tunnel_is_left_alone(server: Server, family: int) -> None:
    for packet in (bytes(inner(family)), bytes(inner(family))[:16], b"\x50" + bytes(39), bytes(20)):
        result = server.receive(packet, POINT_TO_POINT)
        assert (result.action, result.frame, result.outcomes) == (XDP_PASS, packet, {"pass_not_tunnel": 1})


@pytest.mark.parametrize(
    ("inside", "outside", "source"), [(6, 4, "172.16.9.9"), (4, 6, "2001:db8:c633::9")], ids=["6in4", "4in6"]
)
@pytest.mark.parametrize("mark", [0, 0x10])
def test_what_the_kernel_would_take_for_the_other_version_is_dropped(
    server: Server, inside: int, outside: int, source: str, mark: int
) -> None:
    """Without Ethernet it compares the first 14 bytes: the group bit and the type that they seem to have."""
    client = {4: CLIENT[4], 6: "2001:db8:ac10::7"}[inside]
    marks = {4: {"tos": mark}, 6: {"tc": mark}}
    packet = outer(outside, src=source, **marks[outside]) / inner(inside, src=client, **marks[inside])
    result = server.receive(packet, POINT_TO_POINT)
    taken = {f"taken_{inside}in{outside}": 1}
    assert (result.action, result.outcomes) == ((XDP_DROP, {"drop_adjust": 1}) if mark else (XDP_PASS, taken))
    # With a header of its own there is nothing to mistake.
    assert server.receive(Ether(**ETHER) / packet).outcomes == taken


@pytest.mark.parametrize("ttl", [0, 1, 2, 64, 255])
@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_the_inner_ttl_is_left_as_it_is(server: Server, inside: int, outside: int, ttl: int) -> None:
    field = "ttl" if inside == 4 else "hlim"
    result = server.receive(Ether(**ETHER) / outer(outside) / inner(inside, **{field: ttl}))
    assert result.frame == bytes(Ether(**ETHER) / inner(inside, **{field: ttl}))


@pytest.mark.parametrize("payload", [UDP(sport=1, dport=2) / b"x", ICMP() / b"ping", TCP() / Raw(b"y" * 1400)])
def test_what_the_inner_packet_carries_does_not_matter(server: Server, payload: Any) -> None:
    packet = IP(src=CLIENT[4], dst=VIP[4], options=[IPOption_NOP()] * 4, flags="MF") / payload
    result = server.receive(Ether(**ETHER) / outer(6) / packet)
    assert (result.outcomes, result.frame) == ({"taken_4in6": 1}, bytes(Ether(**ETHER) / packet))


NOT, ONE, ZERO, CONGESTED = range(4)
# RFC 6040, figure 4: a row for each inner codepoint, a column for each outer; None: drop.
MERGED: Final[dict[int, dict[int, int | None]]] = {
    NOT: {NOT: NOT, ZERO: NOT, ONE: NOT, CONGESTED: None},
    ZERO: {NOT: ZERO, ZERO: ZERO, ONE: ONE, CONGESTED: CONGESTED},
    ONE: {NOT: ONE, ZERO: ONE, ONE: ONE, CONGESTED: CONGESTED},
    CONGESTED: {NOT: CONGESTED, ZERO: CONGESTED, ONE: CONGESTED, CONGESTED: CONGESTED},
}


def marked(family: int, ecn: int, dscp: int) -> dict[str, Any]:
    return {"tos" if family == 4 else "tc": dscp << 2 | ecn}


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
@pytest.mark.parametrize("inner_ecn", range(4))
@pytest.mark.parametrize("outer_ecn", range(4))
def test_congestion_marks_are_merged(
    server: Server, inside: int, outside: int, inner_ecn: int, outer_ecn: int
) -> None:  # fmt: skip
    frame = (
        Ether(**ETHER)
        / outer(outside, **marked(outside, outer_ecn, 46))
        / inner(inside, **marked(inside, inner_ecn, 10))
    )
    result = server.receive(frame)
    merged = MERGED[inner_ecn][outer_ecn]
    if merged is None:
        assert dropped(result, "drop_ecn")
    else:
        assert result.outcomes == {f"taken_{inside}in{outside}": 1}
        assert result.frame == bytes(Ether(**ETHER) / inner(inside, **marked(inside, merged, 10)))


@pytest.mark.parametrize("checksum", [0x0000, 0x1234, 0xFFFF])
def test_a_wrong_inner_checksum_is_not_made_right_by_a_mark(server: Server, checksum: int) -> None:
    frame = Ether(**ETHER) / outer(4, tos=CONGESTED) / inner(4, tos=ZERO, chksum=checksum)
    taken = IP(server.receive(frame).frame[14:])
    right = IP(bytes(inner(4, tos=CONGESTED))).chksum
    assert taken.tos == CONGESTED
    assert taken.chksum != right


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_every_truncation_is_refused(server: Server, inside: int, outside: int) -> None:
    frame = bytes(tunnelled(inside, outside))
    needed = 14 + (20 if outside == 4 else 40)
    for length in range(14, len(frame)):
        result = server.receive(frame[:length])
        if length < needed:
            assert untouched(result, frame[:length], "pass_not_tunnel"), length
        else:
            assert dropped(result, "drop_truncated"), length


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_what_ethernet_added_stays_behind_the_inner_packet(server: Server, inside: int, outside: int) -> None:
    result = server.receive(bytes(tunnelled(inside, outside)) + b"trailer")
    assert result.frame == bytes(Ether(**ETHER) / inner(inside)) + b"trailer"


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_an_inner_packet_longer_than_the_outer_one_is_dropped(server: Server, inside: int, outside: int) -> None:
    length = "len" if inside == 4 else "plen"
    whole = len(inner(inside)) - (0 if inside == 4 else 40)
    frame = Ether(**ETHER) / outer(outside) / inner(inside, **{length: whole + 1})
    assert dropped(server.receive(bytes(frame) + bytes(64)), "drop_inner_length")


@pytest.mark.parametrize("fields", [{"len": 19}, {"len": 0}, {"ihl": 4}, {"ihl": 15}])
def test_an_inner_header_that_contradicts_itself_is_dropped(server: Server, fields: dict[str, Any]) -> None:
    frame = Ether(**ETHER) / outer(4) / IP(src=CLIENT[4], dst=VIP[4], proto=6, **fields) / Raw(b"x" * 20)
    assert dropped(server.receive(frame), "drop_inner_length")


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_an_inner_header_of_the_other_family_is_dropped(server: Server, inside: int, outside: int) -> None:
    protocol = {"proto" if outside == 4 else "nh": 41 if inside == 4 else 4}
    # Long enough for the header that is announced.
    frame = Ether(**ETHER) / outer(outside, **protocol) / inner(inside) / Raw(bytes(40))
    assert dropped(server.receive(frame), "drop_inner_version")


@pytest.mark.parametrize("length", [0, 19, 21, 39])
def test_an_outer_length_without_room_for_an_inner_header_is_dropped(server: Server, length: int) -> None:
    assert dropped(server.receive(tunnelled(4, 4, len=length)), "drop_truncated")


@pytest.mark.parametrize("length", [0, 1, 39])
def test_an_outer_payload_without_room_for_an_inner_header_is_dropped(server: Server, length: int) -> None:
    assert dropped(server.receive(tunnelled(6, 6, plen=length)), "drop_truncated")


def test_a_wrong_outer_checksum_is_dropped(server: Server) -> None:
    right = IP(bytes(outer(4) / inner(4))).chksum
    assert server.receive(tunnelled(4, 4, chksum=right)).outcomes == {"taken_4in4": 1}
    assert dropped(server.receive(tunnelled(4, 4, chksum=right ^ 1)), "drop_outer_checksum")


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_only_allowed_directors_are_believed(server: Server, inside: int, outside: int) -> None:
    server.allow("directors", prefix(ip_network("172.16.0.0/16")), prefix(ip_network("100::/64")))
    assert server.receive(tunnelled(inside, outside)).outcomes == {f"taken_{inside}in{outside}": 1}
    stranger = "172.17.0.1" if outside == 4 else "100:0:0:1::9"
    assert dropped(server.receive(tunnelled(inside, outside, src=stranger)), "drop_source")


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_tunnels_of_others_pass_untouched(server: Server, inside: int, outside: int) -> None:
    elsewhere = "10.0.0.12" if outside == 4 else "2001:db8:1::12"
    frame = tunnelled(inside, outside, dst=elsewhere)
    assert untouched(server.receive(frame), frame, "pass_other_destination")
    other = "192.0.2.11" if inside == 4 else "2001:db8::11"
    frame = Ether(**ETHER) / outer(outside) / inner(inside, dst=other)
    assert untouched(server.receive(frame), frame, "pass_other_inner")


@pytest.mark.parametrize(
    ("outcome", "packet"),
    [
        ("pass_fragment", outer(4, flags="MF") / inner(4)),
        ("pass_fragment", outer(4, frag=3) / inner(4)),
        ("pass_options", outer(4, options=[IPOption_NOP()] * 4) / inner(4)),
        ("pass_fragment", outer(6) / IPv6ExtHdrFragment(m=1) / inner(4)),
        ("pass_extension_header", outer(6) / IPv6ExtHdrHopByHop() / inner(6)),
        ("pass_extension_header", outer(6) / IPv6ExtHdrDestOpt() / inner(6)),
        ("pass_not_tunnel", inner(4)),
        ("pass_not_tunnel", inner(6)),
        ("pass_not_tunnel", outer(4, version=5) / inner(4)),
        ("pass_not_tunnel", ARP()),
        ("pass_not_tunnel", Dot1Q(vlan=5) / outer(4) / inner(4)),
    ],
)
def test_what_is_not_for_us_passes_untouched(server: Server, outcome: str, packet: Any) -> None:
    frame = Ether(**ETHER) / packet
    assert untouched(server.receive(frame), frame, outcome)


@pytest.mark.parametrize(("inside", "outside"), FAMILIES)
def test_no_flipped_bit_of_the_headers_goes_uncounted(server: Server, inside: int, outside: int) -> None:
    frame = bytes(tunnelled(inside, outside))
    for bit in range((14 + 40 + 40) * 8):
        wrong = bytearray(frame)
        wrong[bit // 8 % len(frame)] ^= 1 << bit % 8
        result = server.receive(bytes(wrong))
        assert sum(result.outcomes.values()) == 1, bit
        [outcome] = result.outcomes
        assert result.action == (XDP_DROP if outcome.startswith("drop_") else XDP_PASS), bit
        if outcome.startswith("pass_"):
            assert result.frame == bytes(wrong), bit
