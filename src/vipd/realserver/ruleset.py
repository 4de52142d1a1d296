"""The nft tables of a real server, as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import collapse_addresses

from vipd.model.director import Address
from vipd.realserver.options import Decapsulation, Link, Options, Via
from vipd.realserver.steps import AddLink, AddTable

_KEYWORD = {4: "ip", 6: "ip6"}


def tables(options: Options, interfaces: tuple[Link, ...], tunnels: tuple[AddLink, ...]) -> list[AddTable]:
    name = f"vipd_{options.instance}"
    chains = []
    if options.decapsulation is Decapsulation.KERNEL:
        chains.append(_chain("tunnelled", "filter hook prerouting priority raw", _tunnel_rules(options, tunnels)))
    if options.via is Via.REDIRECT:
        chains.append(_chain("take", "nat hook prerouting priority dstnat", _take_rules(options, interfaces)))
        # What was not taken must not be routed back to the director.
        chains.append(_chain("stray", "filter hook forward priority filter", _drop_rules(options)))
    made = [AddTable("inet", name, "".join(chains))] if chains else []
    vips = _of(options.vips, 4)
    if options.via is Via.REDIRECT and vips:
        # The VIP is routed, not local, here: proxy_arp would answer for it.
        silence = [f"arp operation request arp daddr ip {_set(vips)} drop"]
        made.append(AddTable("arp", name, _chain("silence", "filter hook input priority filter", silence)))
    return made


def _take_rules(options: Options, interfaces: tuple[Link, ...]) -> Iterable[str]:
    ports = _set(sorted(set(options.ports)))
    for version, keyword in _KEYWORD.items():
        vips = _of(options.vips, version)
        if not vips:
            continue
        action = "redirect"
        if options.decapsulation is Decapsulation.KERNEL:
            # `redirect` takes an address of the interface, and a tunnel has none.
            own = _of([a for link in interfaces for a in link.addresses if a not in options.vips], version)
            action = f"dnat {keyword} to {own[0]}"
        for match in (f" tcp dport {ports}", f" udp dport {ports}") if options.ports else ("",):
            yield f"{keyword} daddr {_set(vips)}{match} {action}"


def _drop_rules(options: Options) -> Iterable[str]:
    for version, keyword in _KEYWORD.items():
        if vips := _of(options.vips, version):
            yield f"{keyword} daddr {_set(vips)} drop"


def _tunnel_rules(options: Options, tunnels: tuple[AddLink, ...]) -> Iterable[str]:
    """Who may send tunnelled packets, and what may come out: the VIPs, nothing to be routed on."""
    for version, keyword in _KEYWORD.items():
        own = _of(options.addresses, version)
        if own and options.directors:
            allowed = list(collapse_addresses(n for n in options.directors if n.version == version))  # type: ignore[type-var]
            others = f" {keyword} saddr != {_set(allowed)}" if allowed else ""
            yield f"meta l4proto {{ 4, 41 }} {keyword} daddr {_set(own)}{others} drop"
    for tunnel in tunnels:
        for version, keyword in _KEYWORD.items():
            vips = _of(options.vips, version)
            others = f"{keyword} daddr != {_set(vips)}" if vips else f"meta nfproto ipv{version}"
            yield f'iifname "{tunnel.name}" {others} drop'


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{lines}\t}}\n"


def _of(addresses: Iterable[Address], version: int) -> list[Address]:
    return [address for address in addresses if address.version == version]


def _set(members: Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, members))} }}"
