"""From options and facts to steps, with no kernel: order, defaults, refusals, and what counts as in force."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from vipd.errors import ConfigError, EnvironmentProblem
from vipd.model.director import Method
from vipd.realserver.options import Attached, Decapsulation, Facts, Link, Options, Via
from vipd.realserver.plan import kinds_in_question, link_name, plan
from vipd.realserver.steps import AddAddress, AddLink, AddTable, Decapsulate, SetSysctl, Step

VIP4, VIP6 = ip_address("192.0.2.10"), ip_address("2001:db8::10")
OWN4, OWN6 = ip_address("10.0.0.11"), ip_address("2001:db8:1::11")
LO = Link("lo", 1, ethernet=False, addresses=(ip_address("127.0.0.1"), ip_address("::1")))
ETH = Link("eth0", 2, addresses=(OWN4, OWN6))
UNADDRESSED = Link("eth1", 3)
OWN_LINE = ip_address("10.1.1.2")
LINE = Link("ppp0", 4, ethernet=False, point_to_point=True, addresses=(OWN_LINE,))
EVERYTHING = frozenset({"dummy", "ipip", "sit", "ip6tnl"})
SYSCTLS = {
    f"net/ipv4/conf/{name}/{key}": 0
    for name in ("all", "lo", "eth0", "eth1")
    for key in ("arp_ignore", "arp_announce", "rp_filter")
}
FACTS = Facts((LO, ETH, UNADDRESSED), SYSCTLS, kinds=EVERYTHING)
BARE = replace(FACTS, kinds=frozenset())
PROGRAM = "realserver.bpf.o"


def options(**fields: Any) -> Options:
    return Options(**{"vips": (VIP4, VIP6), "method": Method.DR, **fields})


def keys(wanted: Options, facts: Facts = FACTS) -> list[str]:
    return [step.key for step in plan(wanted, facts, PROGRAM).steps]


def of(kind: type[Step], wanted: Options, facts: Facts = FACTS) -> list[Any]:
    return [step for step in plan(wanted, facts, PROGRAM).steps if isinstance(step, kind)]


def test_direct_routing_by_a_dummy_is_silenced_before_it_has_the_vip() -> None:
    assert keys(options()) == [
        "sysctl net/ipv4/conf/all/arp_ignore",
        "sysctl net/ipv4/conf/all/arp_announce",
        "sysctl net/ipv4/conf/eth0/arp_ignore",
        "sysctl net/ipv4/conf/eth0/arp_announce",
        "link vip-default",
        "address 192.0.2.10 on vip-default",
        "address 2001:db8::10 on vip-default",
    ]


def test_a_kernel_without_dummy_uses_the_loopback() -> None:
    made = plan(options(), BARE, PROGRAM)
    assert made.options.via is Via.LOOPBACK
    assert [step.link for step in made.steps if isinstance(step, AddAddress)] == ["lo", "lo"]


def test_a_dummy_that_the_kernel_lacks_is_refused_with_what_would_work() -> None:
    with pytest.raises(EnvironmentProblem, match=r"--via loopback and --via redirect would work"):
        plan(options(via=Via.DUMMY), BARE, PROGRAM)


def test_ipv6_alone_needs_no_arp_setting() -> None:
    assert keys(options(vips=(VIP6,), via=Via.LOOPBACK)) == ["address 2001:db8::10 on lo"]


def test_a_redirect_needs_no_address_and_no_arp_setting() -> None:
    assert keys(options(via=Via.REDIRECT)) == ["table inet vipd_default", "table arp vipd_default"]
    assert keys(options(via=Via.REDIRECT, vips=(VIP6,))) == ["table inet vipd_default"]


def test_a_redirect_by_port_names_both_transports_and_families() -> None:
    [table, _] = of(AddTable, options(via=Via.REDIRECT, ports=(443, 80)))
    for family, vip in (("ip", VIP4), ("ip6", VIP6)):
        for transport in ("tcp", "udp"):
            assert f"{family} daddr {{ {vip} }} {transport} dport {{ 80, 443 }} redirect\n" in table.text


def test_the_kernel_unpacks_where_it_can() -> None:
    made = plan(options(method=Method.TUN), FACTS, PROGRAM)
    assert made.options.decapsulation is Decapsulation.KERNEL
    assert [(s.name, s.kind, s.local) for s in made.steps if isinstance(s, AddLink)] == [
        ("vip-default", "dummy", None),
        ("ipip0-default", "ipip", OWN4),
        ("sit0-default", "sit", OWN4),
        ("ip6t1-default", "ip6tnl", OWN6),
    ]
    loose = {s.path for s in made.steps if isinstance(s, SetSysctl) and s.path.endswith("rp_filter")}
    assert loose == {f"net/ipv4/conf/{name}/rp_filter" for name in ("ipip0-default", "ip6t1-default")}


def test_a_tunnel_for_ipv4_has_an_address() -> None:
    """Linux drops what comes out of one that has none, even under loose reverse path checking."""
    steps = of(AddAddress, options(method=Method.TUN, via=Via.REDIRECT))
    assert [(step.address, step.link) for step in steps] == [(OWN4, "ipip0-default"), (OWN4, "ip6t1-default")]
    only6 = replace(FACTS, links=(LO, replace(ETH, addresses=(OWN6,))))
    steps = of(AddAddress, options(method=Method.TUN), only6)
    assert (VIP4, "ip6t0-default") in [(step.address, step.link) for step in steps]
    assert of(AddAddress, options(method=Method.TUN, vips=(VIP6,), via=Via.REDIRECT)) == []


def test_only_the_vips_come_out_of_a_kernel_tunnel() -> None:
    [table] = of(AddTable, options(method=Method.TUN, vips=(VIP4,)))
    assert 'iifname "ipip0-default" ip daddr != { 192.0.2.10 } drop' in table.text
    assert 'iifname "ip6t1-default" meta nfproto ipv6 drop' in table.text


def test_directors_that_are_allowed_bound_a_kernel_tunnel() -> None:
    [table] = of(
        AddTable, options(method=Method.TUN, directors=(ip_network("10.0.0.0/25"), ip_network("10.0.0.128/25")))
    )
    assert "ip daddr { 10.0.0.11 } ip saddr != { 10.0.0.0/24 } drop" in table.text
    assert "meta l4proto { 4, 41 } ip6 daddr { 2001:db8:1::11 } drop" in table.text


def test_one_missing_kind_of_tunnel_leaves_the_unpacking_to_bpf() -> None:
    made = plan(options(method=Method.TUN), replace(FACTS, kinds=EVERYTHING - {"sit"}), PROGRAM)
    assert made.options.decapsulation is Decapsulation.BPF
    [step] = [step for step in made.steps if isinstance(step, Decapsulate)]
    assert (step.interfaces, step.addresses, step.vips) == (("eth0",), (OWN4, OWN6), (VIP4, VIP6))
    assert step.directors == (ip_network("::/0"),)


def test_a_tunnel_that_the_kernel_lacks_is_refused_with_what_would_work() -> None:
    wanted = options(method=Method.TUN, decapsulation=Decapsulation.KERNEL, addresses=(OWN4,))
    with pytest.raises(EnvironmentProblem, match=r"no ipip and no sit.*--decapsulation bpf would work"):
        plan(wanted, BARE, PROGRAM)


@pytest.mark.parametrize(
    ("everywhere", "own", "changed"), [(0, 0, False), (1, 0, True), (0, 1, True), (1, 2, False), (2, 1, False)]
)
def test_strict_reverse_path_checking_is_loosened_where_it_is_in_force(
    everywhere: int, own: int, changed: bool
) -> None:  # fmt: skip
    sysctls = {**SYSCTLS, "net/ipv4/conf/all/rp_filter": everywhere, "net/ipv4/conf/eth0/rp_filter": own}
    wanted = options(method=Method.TUN, decapsulation=Decapsulation.BPF)
    path = "sysctl net/ipv4/conf/eth0/rp_filter"
    assert (path in keys(wanted, replace(FACTS, sysctls=sysctls))) is changed


def test_a_redirect_out_of_a_kernel_tunnel_goes_to_the_servers_own_address() -> None:
    [table, _] = of(AddTable, options(method=Method.TUN, via=Via.REDIRECT))
    assert "ip daddr { 192.0.2.10 } dnat ip to 10.0.0.11\n" in table.text
    assert "ip6 daddr { 2001:db8::10 } dnat ip6 to 2001:db8:1::11\n" in table.text


def test_only_kinds_that_decide_something_are_tried() -> None:
    assert kinds_in_question(options(via=Via.LOOPBACK), FACTS) == frozenset()
    assert kinds_in_question(options(), FACTS) == {"dummy"}
    only4 = options(method=Method.TUN, via=Via.REDIRECT, vips=(VIP4,), addresses=(OWN4,))
    assert kinds_in_question(only4, FACTS) == {"ipip"}
    assert kinds_in_question(replace(only4, decapsulation=Decapsulation.BPF), FACTS) == frozenset()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vips": ()}, "--vip: missing"),
        ({"vips": (ip_address("224.0.0.1"),)}, "--vip: 224.0.0.1 cannot be a VIP"),
        ({"vips": (ip_address("fe80::1"),)}, "--vip: fe80::1 cannot be a VIP"),
        ({"vips": (ip_address("2001:db8::1%eth0;reboot"),)}, "is no VIP"),
        ({"vips": (ip_address("::ffff:192.0.2.1"),)}, "is no VIP"),
        ({"instance": "a b"}, "'a b' cannot name an instance"),
        ({"instance": "$(reboot)"}, "cannot name an instance"),
        ({"instance": "../../etc"}, "cannot name an instance"),
        ({"instance": "x\n"}, "cannot name an instance"),
        ({"instance": "x" * 10_000}, "cannot name an instance"),
        ({"method": Method.NAT}, "--method: nat needs nothing"),
        ({"ports": (80,)}, "only --via redirect chooses by port"),
        ({"ports": (0,), "via": Via.REDIRECT}, "--port: 0 is no port"),
        ({"directors": (ip_network("10.0.0.0/8"),)}, "have a meaning with tun only"),
    ],
)
def test_options_that_mean_nothing_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("$", r"\$").replace("(", r"\(").replace(")", r"\)")):
        options(**fields)


@pytest.mark.parametrize("name", ["eth9", "eth0;touch x", "lo", "$(id)"])
def test_an_interface_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no interface that dr packets come in by; such are: eth0, eth1"):
        plan(options(interfaces=(name,)), FACTS, PROGRAM)


def test_tunnels_come_by_lines_without_ethernet_too_and_need_no_silence_there() -> None:
    facts = replace(FACTS, links=(LO, ETH, LINE), kinds=frozenset())
    [step] = of(Decapsulate, options(method=Method.TUN), facts)
    assert (step.interfaces, step.point_to_point) == (("eth0", "ppp0"), ("ppp0",))
    assert {step.path for step in of(SetSysctl, options(method=Method.TUN), facts) if "ppp0" in step.path} == set()
    printed = "\n".join(step.commands())
    assert "prog_decapsulator dev eth0" in printed
    assert "prog_decapsulator_point_to_point dev ppp0" in printed
    alone = plan(options(method=Method.TUN, interfaces=("ppp0",)), replace(facts, kinds=EVERYTHING), PROGRAM)
    assert {s.local for s in alone.steps if isinstance(s, AddLink) and s.local} == {OWN_LINE}


def test_direct_routing_does_not_come_by_a_line_without_ethernet() -> None:
    facts = replace(FACTS, links=(LO, ETH, LINE))
    assert plan(options(), facts, PROGRAM).options.interfaces == ("eth0",)
    with pytest.raises(ConfigError, match=r"ppp0 is no interface that dr packets come in by; such are: eth0"):
        plan(options(interfaces=("ppp0",)), facts, PROGRAM)
    with pytest.raises(EnvironmentProblem, match="no interface that dr packets come in by"):
        plan(options(), replace(FACTS, links=(LO, LINE)), PROGRAM)


def test_nobody_asks_for_a_vip_on_a_line() -> None:
    facts = replace(FACTS, links=(LO, replace(LINE, addresses=(OWN_LINE, VIP4, VIP6))))
    assert plan(options(method=Method.TUN), facts, PROGRAM).steps


def test_a_vip_on_the_lan_is_refused() -> None:
    facts = replace(FACTS, links=(LO, replace(ETH, addresses=(OWN4, OWN6, VIP4))))
    with pytest.raises(ConfigError, match=r"192.0.2.10 is on eth0, which answers ARP for it"):
        plan(options(), facts, PROGRAM)


def test_a_redirect_without_an_address_of_the_family_is_refused() -> None:
    facts = replace(FACTS, links=(LO, replace(ETH, addresses=(OWN4,))))
    with pytest.raises(ConfigError, match=r"redirect has no IPv6 address to send 2001:db8::10 to"):
        plan(options(via=Via.REDIRECT), facts, PROGRAM)


def test_ipv6_that_is_switched_off_is_refused() -> None:
    facts = replace(FACTS, sysctls={**SYSCTLS, "net/ipv6/conf/lo/disable_ipv6": 1})
    with pytest.raises(ConfigError, match=r"set net/ipv6/conf/lo/disable_ipv6 to 0"):
        plan(options(via=Via.LOOPBACK), facts, PROGRAM)
    assert plan(options(via=Via.REDIRECT), facts, PROGRAM).steps


def test_a_host_without_an_address_is_told_so() -> None:
    with pytest.raises(EnvironmentProblem, match="no interface that dr packets come in by has an address of its own"):
        plan(options(), replace(FACTS, links=(LO, UNADDRESSED)), PROGRAM)


@pytest.mark.parametrize(("present", "held"), [(0, False), (1, True), (2, True), (3, True), (8, True), (4, False)])
def test_a_stricter_arp_setting_is_left_as_it_is(present: int, held: bool) -> None:
    step = of(SetSysctl, options())[0]
    facts = replace(FACTS, sysctls={**SYSCTLS, "net/ipv4/conf/all/arp_ignore": present})
    assert (not step.lack(facts)) is held


def test_what_others_changed_is_told_apart_from_what_is_missing() -> None:
    link = AddLink("vip-default", "dummy")
    assert link.lack(FACTS) == "missing"
    assert link.lack(replace(FACTS, links=(Link("vip-default", 9, "dummy", up=False),))) == "is down"
    assert link.lack(replace(FACTS, links=(Link("vip-default", 9, "bridge"),))) == "is of kind bridge, not dummy"
    table = AddTable("inet", "vipd_default", "")
    assert table.lack(FACTS, "as listed") == "missing"
    assert "changed" in table.lack(replace(FACTS, tables={"inet vipd_default": "other"}), "as listed")
    [step] = of(Decapsulate, options(method=Method.TUN, decapsulation=Decapsulation.BPF))
    assert step.lack(FACTS) == "missing"
    whole = Attached(frozenset({"eth0"}), frozenset(step.addresses), frozenset(step.vips), frozenset(step.directors))
    assert not step.lack(replace(FACTS, attached=whole))
    assert step.lack(replace(FACTS, attached=replace(whole, interfaces=frozenset()))) == "is not on eth0"
    assert "changed" in step.lack(replace(FACTS, attached=replace(whole, vips=frozenset())))


@pytest.mark.parametrize("instance", ["default", "a", "x" * 64, "lab-dr-server-1"])
@pytest.mark.parametrize("role", ["vip", "ipip0", "ip6t9"])
def test_the_name_of_an_interface_fits_the_kernel(role: str, instance: str) -> None:
    assert len(link_name(role, instance)) <= 15


def test_instances_with_long_names_have_interfaces_of_their_own() -> None:
    assert link_name("vip", "lab-dr-server-1") != link_name("vip", "lab-dr-server-2")


def test_a_plan_of_what_was_decided_is_the_same_plan() -> None:
    for method in (Method.DR, Method.TUN):
        for via in Via:
            once = plan(options(method=method, via=via), FACTS, PROGRAM)
            assert plan(once.options, FACTS, PROGRAM) == once
