"""Every mistake is told at once, with its place, in words."""

# ruff: noqa: E501, one mistake a line, however long its message is

from __future__ import annotations

import pytest

from vipd.config import loads
from vipd.errors import ConfigError

GOOD = """\
interfaces: [eth0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: nat
    servers:
      - 10.0.0.11
      - {address: 10.0.0.12, weight: 2}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text)
    return [str(problem) for problem in caught.value.problems]


def service(listen: str = "192.0.2.10:80/tcp", rest: str = "method: nat, servers: [10.0.0.1]") -> str:
    return f"interfaces: [eth0]\nservices:\n  web: {{listen: {listen}, {rest}}}\n"


def servers(*each: str, method: str = "nat", listen: str = "192.0.2.10:80/tcp") -> str:
    lines = "".join(f"      - {one}\n" for one in each)
    return f"interfaces: [eth0]\nservices:\n  web:\n    listen: {listen}\n    method: {method}\n    servers:\n{lines}"


def test_the_text_that_the_mistakes_are_put_into_is_good() -> None:
    assert loads(GOOD).warnings == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("weight: 2", "weight: -2"), "8:38: services.web.servers[1].weight: -2 is below 0; a weight is 0 (drain) to 65535"),
        (GOOD.replace("weight: 2", "weight: 65536"), "8:38: services.web.servers[1].weight: 65536 is above 65535; a weight is 0 (drain) to 65535"),
        (GOOD.replace("weight: 2", "weight: true"), "8:38: services.web.servers[1].weight: true where a whole number is expected; a weight is 0 (drain) to 65535"),
        (GOOD.replace("weight: 2", "weight: 1.5"), "8:38: services.web.servers[1].weight: 1.5 where a whole number is expected; a weight is 0 (drain) to 65535"),
        (GOOD.replace("weight: 2", "weight: .inf"), "8:38: services.web.servers[1].weight: inf where a whole number is expected; a weight is 0 (drain) to 65535"),
        (GOOD.replace("weight: 2", "wieght: 2"), "8:30: services.web.servers[1].wieght: an unknown key; did you mean 'weight'?; the keys here are address, port, weight, method, tunnel_source"),
        (GOOD.replace("method: nat", "method: net"), "5:13: services.web.method: 'net' is not possible; did you mean 'nat'?; a method is nat, dr or tun"),
        (GOOD.replace("    method: nat\n", ""), "3:3: services.web.method: is missing; a method is nat, dr or tun, for the service or for each server"),
        (GOOD.replace("servers:", "backends:"), "6:5: services.web.backends: an unknown key; a service's machines are called 'servers'"),
        (GOOD + "    scheduler: round-robin\n", "9:16: services.web.scheduler: 'round-robin' is not possible; a scheduler is rr, wrr, lc, wlc, sh or mh"),
        (GOOD + "    maglev_slots: 65536\n", "9:19: services.web.maglev_slots: 65536 is not a prime; the next one is 65537"),
        (GOOD + "    clamp_mss: 'yes'\n", "9:16: services.web.clamp_mss: 'yes' where true or false is expected; clamp_mss is true or false"),
        (GOOD + "connections: 1023\n", "9:14: connections: 1023 is below 1024; connections is how many are remembered at most, 1024 to 67108864"),
        (GOOD + "connections: 67108865\n", "9:14: connections: 67108865 is above 67108864; connections is how many are remembered at most, 1024 to 67108864"),
        (GOOD + "timeouts: {udp: .nan}\n", "9:17: timeouts.udp: nan is not a duration; a duration is 100ms, 30s, 15m, 2h, 1d or a number of seconds"),
        (GOOD + "timeouts: {udp: true}\n", "9:17: timeouts.udp: true is not a duration; a duration is 100ms, 30s, 15m, 2h, 1d or a number of seconds"),
        (GOOD + "timeouts: {udp: 0}\n", "9:17: timeouts.udp: 0 is below 100ms; a timeout is 100ms to 31d"),
        (GOOD + "timeouts: {udp: 32d}\n", "9:17: timeouts.udp: '32d' is above 31d; a timeout is 100ms to 31d"),
        (GOOD + "secret_file: secret\n", "9:14: secret_file: 'secret' is not an absolute path; /etc/vipd/secret"),
        (GOOD + "vips: {192.0.2.10: {interface: eth0/1}}\n", "9:32: vips.192.0.2.10.interface: 'eth0/1' is not an interface; a name has 1 to 15 characters, no space, / or :"),
        (GOOD + "vips: {2001:db8::1: {}, 2001:DB8:0::1: {}}\n", "9:25: vips.2001:DB8:0::1: the same address as 2001:db8::1; once"),
        (GOOD + "tunnel: {source: [10.0.0.0/8, 10.0.0.1]}\n", "9:18: tunnel.source: two sources for IPv4; one for each family"),
        (GOOD + "tunnel: {source: 10.0.0.1/8}\n", "9:18: tunnel.source: '10.0.0.1/8' has bits set behind its prefix; 10.0.0.0/8"),
        (GOOD.replace("[eth0]", "[eth0, eth0]"), "1:20: interfaces[1]: 'eth0' stands here twice; once"),
        (GOOD.replace("[eth0]", "eth0"), "1:13: interfaces: 'eth0' where a list is expected; interfaces is a list of device names, as in [eth0, eth1]"),
        (GOOD.replace("[eth0]", "[]"), "1:13: interfaces: is an empty list; interfaces is a list of device names, as in [eth0, eth1]"),
        (GOOD.replace("interfaces: [eth0]\n", ""), "1:1: interfaces: is missing; interfaces is a list of device names, as in [eth0, eth1]"),
        (GOOD.replace("web:", "we b:"), "3:3: services.we b: 'we b' is no name for a service; 1 to 63 letters, digits, - _ and ., no - _ . first"),
        (GOOD + "connections: 2048\nconnections: 4096\n", "10:1: connections: the key 'connections' stands here twice; once"),
        (GOOD + "---\na: b\n", "9:1: a second document begins here; a configuration is one"),
        (GOOD.replace("[eth0]", "!!set [eth0]"), "1:13: interfaces: a tag (tag:yaml.org,2002:set); values stand without one"),
        (GOOD.replace("[eth0]", "*all"), "1:13: interfaces: *all names nothing that &-marks before it"),
        ("", "1:1: is empty; a configuration begins with 'interfaces:'"),
        ("# nothing\n", "1:1: is empty; a configuration begins with 'interfaces:'"),
        ("just text\n", "1:1: 'just text' where a mapping is expected; a configuration begins with 'interfaces:'"),
        ("- a\n- b\n", "1:1: a list where a mapping is expected; a configuration begins with 'interfaces:'"),
        (GOOD.replace("    servers", "\tservers"), "6:1: services.web: a tab at the beginning of the line; YAML indents with spaces only"),
        ("interfaces: [eth0\n", "2:1: interfaces: a , or ] is expected; a list opened by [ is not closed"),
        ("interfaces: 'eth0\n", "2:1: the text ends within quotes; a quote is not closed"),
    ],
    ids=lambda text: text.splitlines()[-1][:40] if text else "empty",
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(text: str, told: str) -> None:
    assert f"vipd.yaml:{told}" in mistakes(text)


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("192.0.2.10:80", "'192.0.2.10:80' names no transport; 192.0.2.10:80/tcp or 192.0.2.10:80/udp"),
        ("192.0.2.10", "'192.0.2.10' is not VIP:PORT/TRANSPORT; the port is missing: 192.0.2.10:80/tcp"),
        ("192.0.2.10:80/sctp", "'sctp' is not a transport; tcp or udp"),
        ("192.0.2.10:0/tcp", "port 0 in '192.0.2.10:0/tcp' is out of range; ports are 1 to 65535; all ports are written *"),
        ("192.0.2.10:65536/tcp", "port 65536 in '192.0.2.10:65536/tcp' is out of range; ports are 1 to 65535"),
        ("192.0.2.10:90-80/tcp", "the range 90-80 in '192.0.2.10:90-80/tcp' runs backwards; 80-90"),
        ("192.0.2.10:http/tcp", "'http' is not a port in '192.0.2.10:http/tcp'; a port is 1 to 65535, a range 8000-8099"),
        ("224.0.0.1:80/tcp", "224.0.0.1 is a multicast address; a single machine's is expected"),
        ("0.0.0.0:80/tcp", "0.0.0.0 is no machine's address; 0.0.0.0/8 means \"this network\""),
        ("127.0.0.1:80/tcp", "127.0.0.1 is a loopback address; no client can reach it as a VIP"),
        ("'[::]:80/tcp'", ":: is the unspecified address; a single machine's is expected"),
        ("'[ff02::1]:80/tcp'", "ff02::1 is a multicast address; a single machine's is expected"),
        ("'[::ffff:192.0.2.1]:80/tcp'", "::ffff:192.0.2.1 is an IPv4 address in IPv6 form; write 192.0.2.1"),
        ("'2001:db8::10'", "'2001:db8::10' is not VIP:PORT/TRANSPORT; an IPv6 address stands in brackets and the whole in quotes: \"[2001:db8::10]:80/tcp\""),
        ("80", "80 is not VIP:PORT/TRANSPORT; 192.0.2.10:80/tcp, or 8000-8099 or * for the port"),
        ("[]", "is an empty list; listen is VIP:PORT/TRANSPORT or a list of these, as in 192.0.2.10:80/tcp"),
    ],
)  # fmt: skip
def test_where_a_service_cannot_listen(listen: str, told: str) -> None:
    found = mistakes(service(listen))
    assert found == [f"vipd.yaml:3:17: services.web.listen: {told}"]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("224.0.0.1", "224.0.0.1 is a multicast address; a single machine's is expected"),
        ("0.0.0.0", "0.0.0.0 is no machine's address; 0.0.0.0/8 means \"this network\""),
        ("255.255.255.255", "255.255.255.255 is the broadcast address; a single machine's is expected"),
        ("fe80::1%eth0", "'fe80::1%eth0' carries a zone; a link-local address cannot be used here"),
        ("2001:db8::1%eth0", "'2001:db8::1%eth0' carries a zone; write the address without %eth0"),
        ("fe80::1", "fe80::1 is link-local and has no meaning beyond one link; use a global or fd00::/8 one"),
        ("web1.example", "'web1.example' is not an IP address; host names are not looked up, write the address"),
        ("10.0.0.0/24", "'10.0.0.0/24' is not an IP address; a single address is expected, without a prefix length"),
        ("10.0.0.1:0", "port 0 in '10.0.0.1:0' is out of range; ports are 1 to 65535; all ports are written *"),
        ("10.0.0.1:80/tcp", "'10.0.0.1:80/tcp' is not a server; ADDRESS or ADDRESS:PORT, [ADDRESS]:PORT for IPv6"),
        ("10.0.0.300", "'10.0.0.300' is not an IP address; 192.0.2.10 or 2001:db8::10"),
        ("5", "5 where a mapping is expected; a server is ADDRESS, ADDRESS:PORT or a mapping of address, port, weight, method, tunnel_source"),
        ("{address: 10.0.0.1, port: 65536}", "65536 is above 65535; ports are 1 to 65535"),
        ("{address: 10.0.0.1, port: true}", "true is not a port; ports are 1 to 65535"),
        ("{address: 10.0.0.1, port: '80'}", "'80' is not a port; ports are 1 to 65535"),
        ("{address: 10.0.0.1, tunnel_source: 10.0.0.2}", "has no meaning with nat; it is for tun"),
        ("{address: 10.0.0.1, method: tun, tunnel_source: 2001:db8::1}", "2001:db8::1/128 is not of the server's family; an IPv4 address or prefix"),
        ("{address: 10}", "10 is not an IP address; 192.0.2.10 or 2001:db8::10"),
        ("{}", "is missing; address is the real server's IP address"),
        ("", "nothing where a mapping is expected; a server is ADDRESS, ADDRESS:PORT or a mapping of address, port, weight, method, tunnel_source"),
        ("2001:db8::1", "the server 2001:db8::1 is IPv6 and the VIP 192.0.2.10 IPv4; nat needs one family, only tun joins two"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_server(server: str, told: str) -> None:
    (found,) = mistakes(servers(server))
    assert ": services.web.servers[0]" in found
    assert found.endswith(f": {told}")


def test_a_port_cannot_be_mapped_by_dr_or_tun() -> None:
    for method in ("dr", "tun"):
        (found,) = mistakes(servers("10.0.0.1:8080", method=method))
        assert found.endswith(
            f"8080 is not the service's port 80, and {method} leaves ports as they are; leave port out, or use nat"
        )
        assert loads(servers("10.0.0.1:80", method=method)).warnings == ()


@pytest.mark.parametrize("ports", ["80-90", "*"])
def test_many_ports_cannot_be_mapped_to_one(ports: str) -> None:
    (found,) = mistakes(servers("10.0.0.1:8080", listen=f"192.0.2.1:{ports}/tcp"))
    assert found.startswith("vipd.yaml:7:9: services.web.servers[0].port: 8080 cannot take the place of ")
    assert found.endswith("; leave port out")


@pytest.mark.parametrize("vip", ["192.0.2.1:80/tcp", "'[2001:db8::1]:80/tcp'"])
@pytest.mark.parametrize("server", ["10.0.0.1", "2001:db8::2"])
@pytest.mark.parametrize("method", ["nat", "dr", "tun"])
def test_only_a_tunnel_joins_two_families(vip: str, server: str, method: str) -> None:
    text = servers(server, method=method, listen=vip)
    if ("db8" in vip) == (":" in server) or method == "tun":
        assert loads(text).director.services
    else:
        (found,) = mistakes(text)
        assert f"{method} needs one family, only tun joins two" in found


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("192.0.2.1:80/tcp", "192.0.2.1:80/tcp"),
        ("192.0.2.1:80/tcp", "192.0.2.1:70-90/tcp"),
        ("192.0.2.1:70-90/tcp", "192.0.2.1:90-99/tcp"),
        ("192.0.2.1:*/udp", "192.0.2.1:*/udp"),
        ("'[2001:db8::1]:80/tcp'", "'[2001:DB8:0::1]:80/tcp'"),
    ],
)
def test_two_services_on_one_port_are_refused(first: str, second: str) -> None:
    text = f"""\
interfaces: [eth0]
services:
  a: {{listen: {first}, method: tun, servers: [10.0.0.1]}}
  b: {{listen: {second}, method: tun, servers: [10.0.0.1]}}
"""
    (found,) = mistakes(text)
    assert found.startswith("vipd.yaml:4:15: services.b.listen[0]: ")
    assert "is taken by services.a.listen[0]" in found


@pytest.mark.parametrize("twin", ["10.0.0.1", "10.0.0.1:80", "{address: 10.0.0.1, weight: 5}"])
def test_the_same_server_twice_is_refused(twin: str) -> None:
    (found,) = mistakes(servers("10.0.0.1", "10.0.0.2", twin))
    assert "services.web.servers[2]: " in found
    assert found.endswith("is the same server as services.web.servers[0]; once")
    assert loads(servers("10.0.0.1:81", "10.0.0.1:82")).warnings == ()


def test_more_endpoints_or_servers_than_ids_are_refused() -> None:
    lines = [f"  - 10.{n >> 14}.{n >> 7 & 127}.{n & 127}:80/tcp" for n in range(129, 129 + 16_384)]
    text = "interfaces: [eth0]\nservices:\n web:\n  method: nat\n  servers: []\n  listen:\n" + "\n".join(lines)
    assert any("16384 endpoints to listen on; at most 16383" in each for each in mistakes(text))
    assert loads(text.rsplit("\n", 1)[0]).director.services
    many = "interfaces: [eth0]\nservices:\n web:\n  maglev_slots: 131071\n  method: nat\n  servers:\n" + "".join(
        f"  - 10.{n >> 14}.{n >> 7 & 127}.{n & 127}\n" for n in range(129, 129 + 32_768)
    )
    assert loads(many + "  listen: 192.0.2.1:1/tcp\n").director.services
    found = mistakes(many + "  listen: [192.0.2.1:1/tcp, 192.0.2.1:2/tcp]\n")
    assert any("65536 servers, counted for each endpoint; at most 65535" in each for each in found)


def test_a_forgotten_quote_hides_no_other_mistake() -> None:
    text = """\
interfaces: [eth0]
services:
  web:
    listen: [2001:db8::10]:80/tcp
    method: nat
    servers:
      - [2001:db8::11]:80
      - {address: 2001:db8::12, weight: -1}
  list:
    listen: [2001:db8::10]
    method: nat
    servers: []
"""
    assert mistakes(text) == [
        'vipd.yaml:4:13: YAML reads an unquoted [ as a list; put the IPv6 address in quotes: "[2001:db8::10]:80/tcp"',
        'vipd.yaml:7:9: YAML reads an unquoted [ as a list; put the IPv6 address in quotes: "[2001:db8::11]:80"',
        "vipd.yaml:8:41: services.web.servers[1].weight: -1 is below 0; a weight is 0 (drain) to 65535",
        'vipd.yaml:10:13: YAML reads an unquoted [ as a list; put the IPv6 address in quotes: "[2001:db8::10]"',
        "vipd.yaml:10:13: services.list.listen: '[2001:db8::10]' is not VIP:PORT/TRANSPORT; an IPv6 address stands in brackets and the whole in quotes: \"[2001:db8::10]:80/tcp\"",
    ]


def test_an_address_that_became_a_list_is_told_by_its_quotes() -> None:
    (found,) = mistakes(service("[2001:db8::10]"))
    assert "an IPv6 address stands in brackets and the whole in quotes" in found


def test_every_mistake_is_told_at_once() -> None:
    text = """\
interfaces: [eth0, eth0]
servces: {}
services:
  a:
    listen: 192.0.2.1:80/tcp
    methd: nat
    method: natt
    servers: [10.0.0.1, 10.0.0.1, {address: 10.0.0.3, weight: x}, {weight: 3}]
  b:
    listen: 192.0.2.1:80/tcp
    method: dr
    servers: ["10.0.0.1:81", 2001:db8::1, 224.0.0.1]
  b: {}
connections: 5
"""
    expected = [
        "1:20: interfaces[1]: ", "2:1: servces: ", "6:5: services.a.methd: ", "7:13: services.a.method: ",
        "8:25: services.a.servers[1]: ", "8:63: services.a.servers[2].weight: ", "8:67: services.a.servers[3].address: ",
        "13:3: services.b: ", "13:3: services.b.listen: ", "13:3: services.b.servers: ", "14:14: connections: ",
    ]  # fmt: skip
    found = mistakes(text)
    assert [line.removeprefix("vipd.yaml:") for line in found] == [
        next(line for line in (each.removeprefix("vipd.yaml:") for each in found) if line.startswith(start))
        for start in expected
    ]
    once = mistakes(text.replace("  b: {}\n", ""))
    assert any("services.b.listen[0]: " in each or "services.b.listen: " in each for each in once)
    assert any("services.b.servers[0].port: " in each for each in once)
    assert any("services.b.servers[1]: " in each for each in once)
    assert any("services.b.servers[2]: 224.0.0.1 is a multicast" in each for each in once)
