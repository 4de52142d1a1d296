"""IP in IP, all four pairings: RFC 2003 (4 in 4), RFC 4213 (6 in 4), RFC 2473 (4 and 6 in 6)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from vipd.errors import WireError
from vipd.model.director import Address
from vipd.wire import ip

OVERHEAD: Final = {4: 20, 6: 40}
"Bytes that an outer header of this family takes."
TTL: Final = 64


def encapsulate(inner: ip.Packet, source: Address, destination: Address, flow_label: int = 0) -> ip.Packet:
    """The packet inside another from `source` to `destination`, which are of one family.

    DSCP and ECN are copied (RFC 6040 4.1, normal mode). Outside in IPv4, DF is the inner packet's and
    the identification too (RFC 2003 3.1); IPv6 inside may not be fragmented (RFC 4213 3.2).
    `flow_label` is for IPv6 outside alone (RFC 6438).
    """
    protocol = ip.IP_IN_IP if isinstance(inner, ip.IPv4) else ip.IPV6_IN_IP
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        flags = inner.flags & ip.DONT_FRAGMENT if isinstance(inner, ip.IPv4) else ip.DONT_FRAGMENT
        number = inner.identification if isinstance(inner, ip.IPv4) else 0
        return ip.IPv4(
            source,
            destination,
            protocol,
            inner.encode(),
            ttl=TTL,
            traffic_class=inner.traffic_class,
            identification=number,
            flags=flags,
        )
    if isinstance(source, IPv6Address) and isinstance(destination, IPv6Address):
        return ip.IPv6(
            source,
            destination,
            protocol,
            inner.encode(),
            hop_limit=TTL,
            traffic_class=inner.traffic_class,
            flow_label=flow_label,
        )
    raise ValueError(f"a tunnel from {source} to {destination}, which are of two families")


def decapsulate(outer: ip.Packet) -> ip.Packet:
    """The packet inside; WireError where this is no tunnel's packet, or only a part of one."""
    if outer.fragmentation is not None:
        raise WireError("a fragment of a tunnel's packet")
    if outer.protocol == ip.IP_IN_IP:
        return ip.IPv4.decode(outer.payload)
    if outer.protocol == ip.IPV6_IN_IP:
        return ip.IPv6.decode(outer.payload)
    raise WireError(f"protocol {outer.protocol} is no tunnel")
