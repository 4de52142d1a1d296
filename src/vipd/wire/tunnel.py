"""IP in IP, all four pairings: RFC 2003 (4 in 4), RFC 4213 (6 in 4), RFC 2473 (4 and 6 in 6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import ip
from vipd.wire.headers import Network

OVERHEAD: Final = {4: 20, 6: 40}
"Bytes that an outer header of this family takes."
TTL: Final = 64
_PROTOCOLS: Final = {4: ip.IP_IN_IP, 6: ip.IPV6_IN_IP}


def encapsulate(inner: ip.Packet, source: Address, destination: Address, flow_label: int = 0) -> ip.Packet:
    """The packet inside another from `source` to `destination`, which are of one family.

    DSCP and ECN are copied (RFC 6040 4.1, normal mode). Outside in IPv4, DF is the inner packet's and
    the identification too (RFC 2003 3.1); IPv6 inside may not be fragmented (RFC 4213 3.2).
    `flow_label` is for IPv6 outside alone (RFC 6438).
    """
    outer = ip.build(source, destination, _PROTOCOLS[inner.source.version], inner.encode(), TTL)
    if isinstance(inner, ip.IPv4):
        return _inherit(outer, inner.traffic_class, inner.identification, inner.flags & ip.DONT_FRAGMENT, flow_label)
    return _inherit(outer, inner.traffic_class, 0, ip.DONT_FRAGMENT, flow_label)


def outer_header(inner: Network, source: Address, destination: Address, flow_label: int = 0) -> bytes:
    """As `encapsulate` makes it, for a packet whose own bytes are to stay as they are."""
    outer = ip.build(source, destination, _PROTOCOLS[inner.version], bytes(inner.length), TTL)
    flags = ip.DONT_FRAGMENT if inner.dont_fragment else 0
    outer = _inherit(outer, inner.traffic_class, inner.identification, flags, flow_label)
    return outer.encode()[: OVERHEAD[source.version]]


def _inherit(outer: ip.Packet, traffic_class: int, identification: int, flags: int, flow_label: int) -> ip.Packet:
    if isinstance(outer, ip.IPv6):
        return replace(outer, traffic_class=traffic_class, flow_label=flow_label)
    return replace(outer, traffic_class=traffic_class, identification=identification, flags=flags)


def decapsulate(outer: ip.Packet) -> ip.Packet:
    """The packet inside; WireError where this is no tunnel's packet, or only a part of one."""
    if outer.fragmentation is not None:
        raise WireError("a fragment of a tunnel's packet")
    if outer.protocol == ip.IP_IN_IP:
        return ip.IPv4.decode(outer.payload)
    if outer.protocol == ip.IPV6_IN_IP:
        return ip.IPv6.decode(outer.payload)
    raise WireError(f"protocol {outer.protocol} is no tunnel")
