"""Where tshark sees a field, we see it too, with the same value."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.specimens import CISCO, ETHERNET, PPP
from vipd.anatomy.dissect import Kind, Reading, bare
from vipd.anatomy.field import Field, walk
from vipd.wire import pcap
from vipd.wire.fcs import NO_FCS
from vipd.wire.pcap import Captured, LinkType

# tshark's name, and ours. Of those below, position and octets are compared.
OCTETS = {
    "eth.dst": "destination",
    "eth.src": "source",
    "llc.oui": "organisation",
    "llc.type": "type",
    "arp.opcode": "operation",
    "arp.src.hw_mac": "sender's MAC",
    "arp.dst.proto_ipv4": "target's address",
    "ip.len": "total length",
    "ip.id": "identification",
    "ip.ttl": "time to live",
    "ip.proto": "protocol",
    "ip.checksum": "header checksum",
    "ip.src": "source",
    "ip.dst": "destination",
    "ipv6.plen": "payload length",
    "ipv6.nxt": "next header",
    "ipv6.hlim": "hop limit",
    "ipv6.src": "source",
    "ipv6.dst": "destination",
    "ipv6.fraghdr.ident": "identification",
    "ipv6.fraghdr.nxt": "next header",
    "ipv6.dstopts.len": "length",
    "udp.srcport": "source port",
    "udp.dstport": "destination port",
    "udp.length": "length",
    "udp.checksum": "checksum",
    "tcp.checksum": "checksum",
    "icmp.checksum": "checksum",
    "tcp.srcport": "source port",
    "tcp.dstport": "destination port",
    "tcp.seq_raw": "sequence",
    "tcp.ack_raw": "acknowledgment",
    "tcp.window_size_value": "window",
    "tcp.urgent_pointer": "urgent pointer",
    "tcp.options": "options",
    "tcp.options.mss_val": "size",
    "tcp.options.wscale.shift": "shift",
    "tcp.options.timestamp.tsval": "value",
    "tcp.options.timestamp.tsecr": "echo",
    "tcp.options.sack_perm": "SACK permitted",
    "tcp.payload": "data",
    "icmp.type": "type",
    "icmp.code": "code",
    "icmp.mtu": "MTU",
    "icmp.redir_gw": "gateway",
    "icmpv6.type": "type",
    "icmpv6.checksum": "checksum",
    "icmpv6.mtu": "MTU",
    "icmpv6.echo.identifier": "identifier",
    "icmpv6.echo.sequence_number": "sequence",
    "icmpv6.nd.ns.target_address": "target",
    "icmpv6.opt.linkaddr": "MAC",
    "ppp.address": "address",
    "ppp.control": "control",
    "ppp.protocol": "protocol",
    "ppp.code": "code",
    "ppp.identifier": "identifier",
    "ppp.length": "length",
    "lcp.opt.mru": "octets",
    "lcp.opt.asyncmap": "map",
    "lcp.opt.auth_protocol": "protocol",
    "lcp.opt.algorithm": "algorithm",
    "lcp.opt.magic_number": "number",
    "lcp.opt.mrru": "octets",
    "lcp.opt.ep_disc_class": "class",
    "lcp.opt.quality_protocol": "protocol",
    "lcp.opt.data": "address",
    "lcp.rej_proto": "rejected protocol",
    "lcp.magic_number": "magic number",
    "lcp.data": "data",
    "lcp.opt.type": "type",
    "lcp.opt.length": "length",
    "ipcp.opt.type": "type",
    "ipcp.opt.length": "length",
    "ipcp.opt.ip_address": "address",
    "ipcp.opt.pri_dns_address": "address",
    "ipcp.opt.max_slot_id": "highest slot",
    "ipcp.opt.compress_proto": "protocol",
    "ipv6cp.interface_identifier": "identifier",
    "pap.code": "code",
    "pap.peer_id": "name",
    "pap.password": "password",
    "pap.message": "message",
    "chap.value_size": "value size",
    "chap.value": "value",
    "chap.name": "name",
    "chap.message": "message",
    "chdlc.address": "address",
    "chdlc.control": "control",
    "chdlc.protocol": "type",
    "slarp.ptype": "code",
    "slarp.mysequence": "my sequence",
    "slarp.yoursequence": "your sequence",
    "slarp.reliability": "reliability",
    "slarp.address": "address",
    "slarp.netmask": "mask",
}
# Of those below, the number is compared, and that the octet is the same.
NUMBERS = {
    "vlan.priority": "priority",
    "vlan.dei": "drop eligible",
    "vlan.id": "VLAN",
    "ieee8021ad.id": "VLAN",
    "ip.version": "version",
    "ip.dsfield.dscp": "DSCP",
    "ip.dsfield.ecn": "ECN",
    "ip.flags.df": "don't fragment",
    "ip.flags.mf": "more fragments",
    "ipv6.tclass.dscp": "DSCP",
    "ipv6.tclass.ecn": "ECN",
    "ipv6.flow": "flow label",
    "ipv6.fraghdr.more": "more fragments",
    "tcp.flags.syn": "SYN",
    "tcp.flags.ack": "ACK",
    "tcp.flags.cwr": "CWR",
    "tcp.flags.ece": "ECE",
    "tcp.flags.fin": "FIN",
}
CASES = [
    (Kind.PPP, LinkType.PPP, PPP, 400, 55),
    (Kind.CISCO_HDLC, LinkType.CISCO_HDLC, CISCO, 400, 50),
    (Kind.ETHERNET, LinkType.ETHERNET, ETHERNET, 450, 50),
]


def dissected(path: Path) -> Iterator[list[ET.Element]]:
    command = ["tshark", "-r", str(path), "-T", "pdml", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    for packet in ET.fromstring(shown).iter("packet"):
        yield [field for field in packet.iter("field") if int(field.get("size") or 0)]


def sees(ours: list[Field], theirs: ET.Element) -> bool:
    name, first, size = str(theirs.get("name")), int(str(theirs.get("pos"))), int(str(theirs.get("size")))
    if name in OCTETS:
        wanted = (OCTETS[name], 8 * first, 8 * size)
        found = [field for field in ours if (field.name, field.offset, field.width) == wanted]
        return any(number(field) in (None, int(str(theirs.get("value")), 16)) for field in found)
    shown = int(str(theirs.get("show")), 0)
    inside = range(8 * first, 8 * (first + size))
    return any(f.name == NUMBERS[name] and f.offset in inside and f.value == shown for f in ours)


def number(field: Field) -> int | None:
    return int.from_bytes(field.value, "big") if isinstance(field.value, bytes) else field.value


@pytest.mark.parametrize(("kind", "link_type", "samples", "fields", "names"), CASES, ids=[case[0] for case in CASES])
def test_tshark_sees_the_same_fields_in_the_same_places(
    tmp_path: Path, kind: Kind, link_type: LinkType, samples: dict[str, bytes], fields: int, names: int
) -> None:
    path = tmp_path / "samples.pcap"
    with path.open("wb") as file:
        pcap.write(file, link_type, [Captured(octets, len(octets), link_type) for octets in samples.values()])
    compared = []
    for (name, octets), theirs in zip(samples.items(), dissected(path), strict=True):
        ours = [field for _, field in walk(bare(octets, Reading(kind, NO_FCS)).fields)]
        for field in theirs:
            if field.get("name") in OCTETS.keys() | NUMBERS.keys():
                assert sees(ours, field), (name, field.attrib)
                compared.append(field.get("name"))
    assert len(compared) > fields
    assert len(set(compared)) > names
