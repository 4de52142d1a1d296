"""What somebody may do, or look at, who asked why a packet ended so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vipd.errors import WireError
from vipd.explain.ends import listed, listening
from vipd.explain.scene import Scene
from vipd.explain.walk import Walk, server_of
from vipd.model.director import Address, Method
from vipd.model.outcome import remedy
from vipd.spec.state import Flow
from vipd.wire import ip

_MOST: Final = 6
_PORTS: Final = 4
"Bytes."
IPV6_LEAST: Final = 1280
_TRANSPORTS: Final = {ip.TCP: "tcp", ip.UDP: "udp"}


def advice(done: Walk, scene: Scene) -> Iterator[str]:
    """What is known of this packet's own case, else what the outcome's page says."""
    found = dict.fromkeys(_of_this_case(done, scene))
    yield from found or filter(None, [remedy(done.decision.outcome)])


def _of_this_case(done: Walk, scene: Scene) -> Iterator[str]:
    match done.decision.outcome:
        case "pass_not_ours" | "pass_no_service":
            yield from _nobody_listens(done, scene)
        case "forward_dr" | "forward_tun" | "route_tun":
            yield from _look_at_the_server(done, scene)
        case "forward_nat" | "route_nat":
            yield "the server's answer must come back through the director: forward_nat_reply counts them"
        case "reply_reset_no_server" | "reply_unreachable_no_server" | "drop_no_server":
            yield from _servers(done, scene)
        case "drop_neighbour_unresolved":
            yield from _unresolved(done, scene)
        case "reply_too_big":
            yield from _below_what_ipv6_sends(done)
        case _:
            pass


def _look_at_the_server(done: Walk, scene: Scene) -> Iterator[str]:
    server = server_of(done, scene)
    if server is not None and server.method in (Method.DR, Method.TUN):
        yield (
            f"{server.address} answers the client itself, past the director; "
            "if no answer comes: vipd real-server status, there"
        )


def _nobody_listens(done: Walk, scene: Scene) -> Iterator[str]:
    """What listens there instead, and what one may have meant."""
    flow = done.flow or _as_read(done.came)
    if flow is None:
        return
    vip, port = flow.destination, flow.destination_port
    known = list(listening(scene.configuration))
    here = [each for each in known if each.vip == vip]
    if here:
        yield f"on {vip} listen {listed(here, scene)}"
        other = [each for each in here if each.first_port <= port <= each.last_port]
        if other:
            spoken = _TRANSPORTS.get(flow.protocol, "that")
            yield f"port {port} is served by {other[0].transport} alone, and this is {spoken}"
        return
    if _is_server(flow.source, scene):
        yield f"{flow.source} is a real server; what it sends of its own accord is not the director's business"
        return
    if not known:
        yield "no service listens anywhere: the director was told of none"
        return
    same = [each for each in known if each.first_port <= port <= each.last_port and each.vip.version == vip.version]
    vips = ", ".join(str(each) for each in list(dict.fromkeys(each.vip for each in known))[:_MOST])
    yield f"{vip} is no VIP; VIPs are {vips}"
    if same:
        yield f"port {port} is served on {listed(same, scene)}"


def _as_read(packet: bytes) -> Flow | None:
    """Of a packet that the director did not look at any closer."""
    try:
        found = ip.decode(packet, whole=False)
    except WireError:
        return None
    part = found.fragmentation
    if found.protocol not in _TRANSPORTS or len(found.payload) < _PORTS or (part is not None and part.offset):
        return Flow(found.source, 0, found.destination, 0, found.protocol)
    ports = (int.from_bytes(found.payload[at : at + 2], "big") for at in (0, 2))
    return Flow(found.source, next(ports), found.destination, next(ports), found.protocol)


def _is_server(address: Address, scene: Scene) -> bool:
    return any(server.address == address for server in scene.configuration.servers.values())


def _servers(done: Walk, scene: Scene) -> Iterator[str]:
    """Those of the service, and why each takes nothing."""
    servers = [each for each in scene.configuration.servers.values() if each.service == done.decision.service]
    if not servers:
        yield "the service has no server at all"
    for each in servers[:_MOST]:
        why = "removed" if each.removed else "weight 0: drained, or configured so" if not each.weight else "present"
        yield f"{each.address}: {why}"


def _below_what_ipv6_sends(done: Walk) -> Iterator[str]:
    told = min((int(str(reason.facts["mtu"])) for reason in done.about("answer.too_big")), default=IPV6_LEAST)
    if told < IPV6_LEAST and done.flow is not None and done.flow.source.version == 6:
        yield (
            f"IPv6 hosts send up to {IPV6_LEAST} bytes whatever they are told (RFC 8200 5), so that this does not "
            f"help: the way to the server must take {IPV6_LEAST - told} bytes more"
        )


def _unresolved(done: Walk, scene: Scene) -> Iterator[str]:
    server = server_of(done, scene)
    if server is not None:
        there = f"ip neigh show {server.address}"
        yield f"{server.address} does not answer for its MAC address: is it up, and in this segment? {there}"
