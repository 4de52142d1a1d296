"""Frame to flow: what is ours, what it is, and what is wrong with it. The first stage."""

from __future__ import annotations

from typing import Final

from vipd.errors import WireError
from vipd.model.director import with_port
from vipd.spec import fragments
from vipd.spec.nexthop import NO_MAC
from vipd.spec.packet import Journey, Link, Part
from vipd.spec.reason import rules_of
from vipd.spec.state import Flow
from vipd.wire import ethernet, ip, transport
from vipd.wire.headers import Network, read_network, read_tcp, read_udp, walk_extensions

_VERSIONS: Final = {kind: version for version, kind in ethernet.IP_TYPES.items()}
_EXTENSIONS: Final = 7
_FARTHEST: Final = 2047
_ODD: Final = (transport.SYN | transport.FIN, transport.SYN | transport.RST, transport.FIN | transport.RST)
_STATES: Final = transport.SYN | transport.FIN | transport.RST | transport.ACK

_rule = rules_of("parse")
SHORT = _rule("short", "too short for an Ethernet header: {length} of 14 bytes", "IEEE 802.3 3.2")
NOT_IP = _rule("not_ip", "EtherType 0x{type:04x} is neither IPv4 nor IPv6: the kernel's", "IEEE 802.3 3.2.6")
NO_VERSION = _rule(
    "no_version", "{length} bytes without Ethernet begin like neither IPv4 nor IPv6: the kernel's", "RFC 791 3.1"
)
VLAN = _rule("vlan", "a VLAN tag: the kernel takes it off, and the packet comes again", "IEEE 802.1Q 9.5")
NO_ADDRESSES = _rule(
    "no_addresses", "too short for an IPv{version} header: nobody's that we know", "RFC 791 3.1, RFC 8200 3"
)
NOT_OURS = _rule(
    "not_ours",
    "neither {destination} is a VIP nor {source} a real server under NAT: the kernel's",
    "ARCHITECTURE.md, the journey of a packet",
)
CONCERNS = _rule(
    "concerns_us",
    "from {source} to {destination}, protocol {protocol}: looked at closely",
    "ARCHITECTURE.md, the journey of a packet",
)
OTHER_MAC = _rule(
    "other_mac",
    "sent to {mac}, which is not interface {ifindex}'s own address: another machine's",
    "IEEE 802.3 3.2.3",
)
CONTRADICTS = _rule(
    "contradicts",
    "version {version}, header of {header} bytes, packet of {length}, of which {held} are here: malformed",
    "RFC 791 3.1, RFC 8200 3",
)
OPTIONS = _rule(
    "options",
    "options that ask for a way of their own, or that do not end where they say: the kernel's",
    "RFC 7126 4.3, 4.4, RFC 791 3.1",
)
JUMBOGRAM = _rule("jumbogram", "a jumbogram, whose length is in an option: the kernel's", "RFC 2675 3")
MAPPED = _rule("mapped", "an IPv4-mapped address on the wire, which is nobody's", "RFC 4038 4.2, RFC 4291 2.5.5.2")
OVERLAP = _rule(
    "overlap", "a TCP fragment at offset 8 would write over the first one's flags", "RFC 1858 3.2.2; IPv6 as well"
)
CHAIN_BROKEN = _rule("chain_broken", "an extension header does not end within its packet: malformed", "RFC 8200 4")
CHAIN_LONG = _rule(
    "chain_long", "more than {most} extension headers, or {bytes} bytes of headers: the kernel's", "RFC 8504 5.3"
)
ROUTING = _rule(
    "routing", "a routing header with segments left is not followed: the kernel's", "RFC 5095, RFC 8200 4.4"
)
HIDDEN = _rule(
    "hidden", "behind the fragment header, extension headers that only the first fragment has", "RFC 8200 4.5"
)
UNKNOWN_HEADER = _rule("unknown_header", "next header {protocol} is not followed: the kernel's", "RFC 8200 4")
PROTOCOL = _rule("protocol", "protocol {protocol} is neither TCP, UDP nor ICMP: the kernel's", "docs/lvs.md")
TCP_BROKEN = _rule("tcp_broken", "the TCP header does not end within its packet: malformed", "RFC 9293 3.1, RFC 1858 3")
UDP_BROKEN = _rule("udp_broken", "the UDP header or its length does not fit its packet: malformed", "RFC 768")
ICMP_PART = _rule("icmp_part", "a fragment of ICMP, or less than its header: the kernel's", "RFC 792, RFC 4443 2.1")
TCP = _rule("tcp", "TCP {flags} from {source} to {destination}", "RFC 9293 3.1")
UDP = _rule("udp", "UDP from {source} to {destination}", "RFC 768")
ICMP = _rule("icmp", "ICMP type {type}, code {code}", "RFC 792, RFC 4443 2.1")


def link_of(frame: bytes, has_link: bool) -> tuple[Link | None, bytearray]:
    """The Ethernet header, where there is one, and the rest."""
    if not has_link or len(frame) < ethernet.HEADER:
        return None, bytearray(frame)
    return Link(frame[:6], frame[6:12], int.from_bytes(frame[12:14], "big")), bytearray(frame[ethernet.HEADER :])


def parse(journey: Journey) -> str | None:
    """The outcome where the packet ends here; else None, and the next stage goes on."""
    version, outcome = _version(journey)
    if outcome:
        return outcome
    network = read_network(journey.packet, version)
    if network is None:
        journey.because(NO_ADDRESSES, version=version)
        return "pass_not_ours"
    journey.network = network
    outcome = _whose(journey, network)
    if outcome == "pass_not_ours":
        return outcome
    if not _for_our_mac(journey):
        return "pass_other_mac"
    return outcome or _transport(journey)


def _version(journey: Journey) -> tuple[int, str | None]:
    link, packet = journey.link, journey.packet
    if link is None and journey.ingress.ethernet:
        journey.because(SHORT, length=len(packet))
        return 0, "pass_not_ip"
    if link is None:
        version = packet[0] >> 4 if len(packet) >= ethernet.HEADER else 0
        if version in _VERSIONS.values():
            return version, None
        journey.because(NO_VERSION, length=len(packet))
        return 0, "pass_not_ip"
    if link.type in ethernet.TAG_TYPES:
        journey.because(VLAN)
        return 0, "pass_vlan"
    if link.type not in _VERSIONS:
        journey.because(NOT_IP, type=link.type)
        return 0, "pass_not_ip"
    return _VERSIONS[link.type], None


def _whose(journey: Journey, network: Network) -> str | None:
    """Whether the packet concerns us, and if so, whether its IP headers hold together.

    ICMP errors come from anywhere and go to a client too: whether they concern us, only what they quote tells.
    """
    configuration = journey.configuration
    journey.to_vip = configuration.concerns_us(network.destination)
    ours = journey.to_vip or configuration.concerns_us(network.source)
    if not ours and network.protocol != network.icmp:
        journey.because(NOT_OURS, source=network.source, destination=network.destination)
        return "pass_not_ours"
    journey.because(CONCERNS, source=network.source, destination=network.destination, protocol=network.protocol)
    outcome = _headers(journey, network)
    return outcome if ours or outcome is None else "pass_not_ours"


def _headers(journey: Journey, network: Network) -> str | None:
    held = len(journey.packet)
    if network.version == 6 and network.length == network.header and network.protocol == ip.HOP_BY_HOP:
        journey.because(JUMBOGRAM)
        return "pass_extension_header"
    least = network.header < 20 or network.length < network.header
    if network.says_version != network.version or least or not network.length <= min(held, 0xFFFF):
        journey.because(
            CONTRADICTS, version=network.says_version, header=network.header, length=network.length, held=held
        )
        return "drop_malformed"
    if any(address.version == 6 and address.ipv4_mapped for address in (network.source, network.destination)):
        journey.because(MAPPED)
        return "drop_martian"
    journey.offset = network.header
    if not _options_are_harmless(network.options):
        journey.because(OPTIONS)
        return "pass_options"
    if network.fragmentation is not None and not _is_part(journey, network.fragmentation, network.protocol):
        return "drop_malformed"
    return _chain(journey, network)


def _options_are_harmless(options: bytes) -> bool:
    try:
        kinds = {kind for kind, _ in ip.options(options)}
    except WireError:
        return False
    return not kinds & {ip.LOOSE_ROUTE, ip.STRICT_ROUTE}


def _is_part(journey: Journey, part: ip.Fragmentation, protocol: int) -> bool:
    """Note which part of a datagram this is; False where it can be no honest one."""
    journey.part = Part.LATER if part.offset else Part.FIRST
    journey.identification = part.identification
    if protocol == ip.TCP and part.offset == 8:
        journey.because(OVERLAP)
        return False
    return True


def _chain(journey: Journey, network: Network) -> str | None:
    """Walk IPv6's extension headers to the transport's; of IPv4 there are none."""
    protocol = network.protocol
    for number, header in enumerate(walk_extensions(journey.packet, network), start=1):
        if header is None or header.end > network.length:
            journey.because(CHAIN_BROKEN)
            return "drop_malformed"
        protocol, journey.offset, part = header.following, header.end, header.fragmentation
        if header.segments_left:
            journey.because(ROUTING)
            return "pass_extension_header"
        # Offset 0 and no more to come is a whole packet (RFC 6946).
        if part is not None and (part.offset or part.more):
            if not _is_part(journey, part, protocol):
                return "drop_malformed"
            if protocol not in (ip.TCP, ip.UDP, network.icmp):
                journey.because(HIDDEN)
                return "pass_extension_header"
        if number > _EXTENSIONS and journey.part is not Part.LATER:
            journey.because(CHAIN_LONG, most=_EXTENSIONS, bytes=journey.offset)
            return "pass_extension_header"
        if journey.part is Part.LATER:
            break
    if network.version == 6 and protocol not in (ip.TCP, ip.UDP, network.icmp):
        journey.because(UNKNOWN_HEADER, protocol=protocol)
        return "pass_protocol"
    if journey.offset > _FARTHEST:
        journey.because(CHAIN_LONG, most=_EXTENSIONS, bytes=journey.offset)
        return "pass_extension_header"
    journey.flow = Flow(network.source, 0, network.destination, 0, protocol)
    return None


def _for_our_mac(journey: Journey) -> bool:
    """A switch floods, and a port may be promiscuous. What has no Ethernet is for a device without a MAC."""
    mac = journey.link.destination if journey.link is not None else NO_MAC
    interface = journey.configuration.interfaces.get(journey.ingress.ifindex)
    if interface is not None and interface.mac == mac:
        return True
    journey.because(OTHER_MAC, mac=ethernet.mac_text(mac), ifindex=journey.ingress.ifindex)
    return False


def _transport(journey: Journey) -> str | None:
    protocol = journey.flow.protocol
    if protocol == journey.network.icmp:
        return _icmp(journey)
    if protocol not in (ip.TCP, ip.UDP):
        journey.because(PROTOCOL, protocol=protocol)
        return "pass_protocol"
    if journey.part is not Part.LATER:
        outcome = _tcp(journey) if protocol == ip.TCP else _udp(journey)
        if outcome:
            return outcome
    return None if journey.part is Part.WHOLE else fragments.ports(journey)


def _icmp(journey: Journey) -> str | None:
    if journey.part is not Part.WHOLE or len(journey.packet) < journey.offset + 8:
        journey.because(ICMP_PART)
        return "pass_icmp" if journey.to_vip else "pass_not_ours"
    journey.is_icmp = True
    kind, code = journey.packet[journey.offset : journey.offset + 2]
    journey.because(ICMP, type=kind, code=code)
    return None


def _tcp(journey: Journey) -> str | None:
    """Of the flags, one decides: RST before SYN before FIN before ACK, as in LVS.

    Only a pure SYN begins a connection. No stack sends two of SYN, FIN and RST together, none of the
    four, or a FIN that acknowledges nothing.
    """
    tcp = read_tcp(journey.packet, journey.offset)
    if tcp is None or tcp.header < 20 or journey.offset + tcp.header > journey.network.length:
        journey.because(TCP_BROKEN)
        return "drop_malformed"
    journey.tcp = tcp
    flags = tcp.flags & _STATES
    if flags & transport.RST:
        journey.segment = "rst"
    elif flags & transport.SYN:
        journey.segment = "syn"
    elif flags & transport.FIN:
        journey.segment = "fin"
    journey.may_begin = flags == transport.SYN
    journey.odd_flags = flags in (0, transport.FIN) or any(flags & odd == odd for odd in _ODD)
    _ports(journey, tcp.source_port, tcp.destination_port)
    shown = "+".join(name for name, bit in transport.FLAGS.items() if tcp.flags & bit)
    source, destination = _ends(journey.flow)
    journey.because(TCP, flags=shown or "without flags", source=source, destination=destination)
    return None


def _udp(journey: Journey) -> str | None:
    """Of a first fragment, the length is the whole datagram's."""
    udp = read_udp(journey.packet, journey.offset)
    if udp is None or udp.length < 8 or journey.offset + 8 > journey.network.length:
        journey.because(UDP_BROKEN)
        return "drop_malformed"
    if journey.part is Part.WHOLE and journey.offset + udp.length > journey.network.length:
        journey.because(UDP_BROKEN)
        return "drop_malformed"
    journey.udp = udp
    journey.may_begin = True
    _ports(journey, udp.source_port, udp.destination_port)
    source, destination = _ends(journey.flow)
    journey.because(UDP, source=source, destination=destination)
    return None


def _ends(flow: Flow) -> tuple[str, str]:
    return with_port(flow.source, flow.source_port), with_port(flow.destination, flow.destination_port)


def _ports(journey: Journey, source: int, destination: int) -> None:
    journey.flow = journey.flow._replace(source_port=source, destination_port=destination)
