"""From what is asked and what the kernel shows to the steps, in an order in which no step leaks the VIP. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2s
from ipaddress import IPv6Network, collapse_addresses
from typing import Final

from vipd.errors import ConfigError, EnvironmentProblem, Problem
from vipd.model.director import Address, Method, Network
from vipd.realserver.options import Decapsulation, Facts, Link, Options, Via
from vipd.realserver.ruleset import tables
from vipd.realserver.steps import AddAddress, AddLink, Decapsulate, SetSysctl, Step

LOOPBACK: Final = "lo"
ANY: Final[Network] = IPv6Network("::/0")
_OWN_LINKS: Final = frozenset({"dummy", "ipip", "sit", "ip6tnl"})
_MISSING_KIND: Final = "this kernel makes no {} interfaces (neither built in nor as a module)"


@dataclass(frozen=True, slots=True)
class Plan:
    options: Options
    "With everything decided that was left open."
    steps: tuple[Step, ...]


def kinds_in_question(options: Options, facts: Facts) -> frozenset[str]:
    """The kinds of link whose existence decides something here."""
    kinds = {"dummy"} if options.via in (None, Via.DUMMY) else set()
    if options.method is Method.TUN and options.decapsulation is not Decapsulation.BPF:
        kinds |= set(_tunnel_kinds(options, _addresses(options, _interfaces(options, facts))))
    return frozenset(kinds)


def plan(options: Options, facts: Facts, program: str) -> Plan:
    """`facts.kinds` must answer for `kinds_in_question`; `program` is the compiled decapsulation."""
    interfaces = _interfaces(options, facts)
    options = replace(options, via=_via(options, facts), interfaces=tuple(link.name for link in interfaces))
    if options.method is Method.TUN:
        addresses = _addresses(options, interfaces)
        decapsulation = _decapsulation(options, facts, addresses)
        options = replace(options, addresses=addresses, decapsulation=decapsulation)
    _refuse_what_cannot_work(options, facts, interfaces)
    tunnels = _tunnels(options)
    steps: list[Step] = [*_arp_settings(options, interfaces), *_holders(options), *tunnels]
    steps += _reverse_path_settings(options, facts, tunnels)
    steps += _addresses_of_tunnels(options, interfaces, tunnels)
    steps += tables(options, interfaces, tunnels)
    if options.decapsulation is Decapsulation.BPF:
        steps.append(_decapsulate(options, interfaces, program))
    steps += _addresses_of_vips(options)
    return Plan(options, tuple(steps))


def link_name(role: str, instance: str) -> str:
    """At most 15 bytes; a long instance's name becomes a number of its own."""
    return f"{role}-{instance if len(instance) <= 8 else blake2s(instance.encode(), digest_size=4).hexdigest()}"


def _interfaces(options: Options, facts: Facts) -> tuple[Link, ...]:
    able = tuple(link for link in facts.links if _takes(options.method, link))
    if options.interfaces:
        by_name = {link.name: link for link in able}
        names = ", ".join(sorted(by_name)) or "none"
        problems = [
            Problem(
                "--interface", f"{name} is no interface that {options.method} packets come in by; such are: {names}"
            )
            for name in options.interfaces
            if name not in by_name
        ]
        if problems:
            raise ConfigError(problems)
        return tuple(by_name[name] for name in options.interfaces)
    found = tuple(link for link in able if set(link.addresses) - set(options.vips))
    if not found:
        raise EnvironmentProblem(
            f"no interface that {options.method} packets come in by has an address of its own; say which: --interface"
        )
    return found


def _takes(method: Method, link: Link) -> bool:
    """Direct routing addresses a server by its MAC; a tunnel comes by any link."""
    if link.point_to_point:
        return method is Method.TUN
    return link.ethernet and link.kind not in _OWN_LINKS


def _via(options: Options, facts: Facts) -> Via:
    if options.via is None:
        return Via.DUMMY if "dummy" in facts.kinds else Via.LOOPBACK
    if options.via is Via.DUMMY and "dummy" not in facts.kinds:
        reason = _MISSING_KIND.format("dummy")
        raise EnvironmentProblem(f"--via dummy: {reason}; --via loopback and --via redirect would work")
    return options.via


def _addresses(options: Options, interfaces: tuple[Link, ...]) -> tuple[Address, ...]:
    own = tuple(address for link in interfaces for address in link.addresses if address not in options.vips)
    problems = [
        Problem("--address", f"{address} is not on {', '.join(link.name for link in interfaces)}; its addresses: "
                f"{', '.join(map(str, own)) or 'none'}")
        for address in options.addresses
        if address not in own
    ]  # fmt: skip
    if problems:
        raise ConfigError(problems)
    if not own:
        raise EnvironmentProblem("no address that a director could send tunnelled packets to")
    return options.addresses or own


def _tunnel_kinds(options: Options, addresses: tuple[Address, ...]) -> tuple[str, ...]:
    outer, inner = ({address.version for address in group} for group in (addresses, options.vips))
    wanted = {"ipip": 4 in outer and 4 in inner, "sit": 4 in outer and 6 in inner, "ip6tnl": 6 in outer}
    return tuple(kind for kind, needed in wanted.items() if needed)


def _decapsulation(options: Options, facts: Facts, addresses: tuple[Address, ...]) -> Decapsulation:
    lacking = [kind for kind in _tunnel_kinds(options, addresses) if kind not in facts.kinds]
    if options.decapsulation is None:
        return Decapsulation.BPF if lacking else Decapsulation.KERNEL
    if options.decapsulation is Decapsulation.KERNEL and lacking:
        reason = _MISSING_KIND.format(" and no ".join(lacking))
        raise EnvironmentProblem(f"--decapsulation kernel: {reason}; --decapsulation bpf would work")
    return options.decapsulation


def _refuse_what_cannot_work(options: Options, facts: Facts, interfaces: tuple[Link, ...]) -> None:
    problems = []
    for vip in options.vips:
        owner = next((link for link in facts.links if vip in link.addresses and _answers_for_it(link)), None)
        if owner:
            problems.append(
                Problem(
                    "--vip", f"{vip} is on {owner.name}, which answers ARP for it; take it off that interface first"
                )
            )
        family = "IPv4" if vip.version == 4 else "IPv6"
        has_own = any(a.version == vip.version and a not in options.vips for link in interfaces for a in link.addresses)
        if options.via is Via.REDIRECT and not has_own:
            problems.append(
                Problem("--via", f"redirect has no {family} address to send {vip} to; dummy or loopback would work")
            )
    six = any(vip.version == 6 for vip in options.vips)
    problems += [
        Problem("--vip", f"IPv6 is switched off on {name}: set net/ipv6/conf/{name}/disable_ipv6 to 0")
        for name in (*((LOOPBACK,) if options.via is Via.LOOPBACK else ()), *options.interfaces)
        if six and facts.sysctls.get(f"net/ipv6/conf/{name}/disable_ipv6")
    ]
    if problems:
        raise ConfigError(problems)


def _answers_for_it(link: Link) -> bool:
    return link.name != LOOPBACK and not link.point_to_point and link.kind not in _OWN_LINKS


def _arp_settings(options: Options, interfaces: tuple[Link, ...]) -> list[SetSysctl]:
    """Before any address. NDP needs none: the kernel answers for addresses of the asked interface only."""
    if options.via is Via.REDIRECT or all(vip.version == 6 for vip in options.vips):
        return []
    steps = []
    for name in ("all", *(link.name for link in interfaces if not link.point_to_point)):
        # 2 and 8 keep silent about more; 3 about scope host, which is how the VIP is added.
        steps.append(SetSysctl(f"net/ipv4/conf/{name}/arp_ignore", 1, (2, 3, 8)))
        steps.append(SetSysctl(f"net/ipv4/conf/{name}/arp_announce", 2))
    return steps


def _holders(options: Options) -> list[AddLink]:
    return [AddLink(link_name("vip", options.instance), "dummy")] if options.via is Via.DUMMY else []


def _tunnels(options: Options) -> tuple[AddLink, ...]:
    if options.decapsulation is not Decapsulation.KERNEL:
        return ()
    kinds = _tunnel_kinds(options, options.addresses)
    return tuple(
        AddLink(link_name(f"{_short(kind)}{number}", options.instance), kind, address)
        for kind in kinds
        for number, address in enumerate(options.addresses)
        if (address.version == 6) == (kind == "ip6tnl")
    )


def _short(kind: str) -> str:
    return {"ip6tnl": "ip6t"}.get(kind, kind)


def _reverse_path_settings(options: Options, facts: Facts, tunnels: tuple[AddLink, ...]) -> list[SetSysctl]:
    """A client's packet comes out of a tunnel, its answer leaves elsewhere: strict checking would drop it."""
    if all(vip.version == 6 for vip in options.vips):
        return []
    names = [tunnel.name for tunnel in tunnels if tunnel.kind != "sit"]
    if options.decapsulation is Decapsulation.BPF:
        strict = 1
        everywhere = facts.sysctls.get("net/ipv4/conf/all/rp_filter", 0)
        for name in options.interfaces:
            own = facts.sysctls.get(f"net/ipv4/conf/{name}/rp_filter", 0)
            # The kernel goes by the greater of the two.
            if max(own, everywhere) == strict:
                names.append(name)
    return [SetSysctl(f"net/ipv4/conf/{name}/rp_filter", 2) for name in names]


def _addresses_of_tunnels(
    options: Options, interfaces: tuple[Link, ...], tunnels: tuple[AddLink, ...]
) -> list[AddAddress]:
    """The kernel's loose reverse path check refuses everything on an interface without an IPv4 address."""
    vips = [vip for vip in options.vips if vip.version == 4]
    if not vips:
        return []
    own = [a for link in interfaces for a in link.addresses if a.version == 4 and a not in vips]
    return [AddAddress((own or vips)[0], tunnel.name) for tunnel in tunnels if tunnel.kind != "sit"]


def _decapsulate(options: Options, interfaces: tuple[Link, ...], program: str) -> Decapsulate:
    directors = tuple(
        network
        for version in (4, 6)
        for network in collapse_addresses(n for n in options.directors if n.version == version)  # type: ignore[type-var]
    )
    return Decapsulate(
        instance=options.instance,
        interfaces=options.interfaces,
        addresses=options.addresses,
        vips=options.vips,
        directors=directors or (ANY,),
        program=program,
        point_to_point=tuple(link.name for link in interfaces if link.point_to_point),
    )


def _addresses_of_vips(options: Options) -> list[AddAddress]:
    match options.via:
        case Via.DUMMY:
            holder = link_name("vip", options.instance)
        case Via.LOOPBACK:
            holder = LOOPBACK
        case _:
            return []
    return [AddAddress(vip, holder) for vip in options.vips]
