"""What a configuration means once it is loaded."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipd.config import dump, json_schema, load, loads
from vipd.config.document import plain
from vipd.errors import ConfigError, Problem
from vipd.model.director import (
    Director,
    Endpoint,
    Method,
    OnServerRemoved,
    RealServer,
    Scheduler,
    Timeouts,
    Transport,
    Vip,
    VirtualService,
)

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

WHOLE = """\
interfaces: [eth0, eth1]
services:
  web:
    listen: [192.0.2.10:80/tcp, "[2001:db8::10]:8000-8099/udp", 192.0.2.11:*/tcp]
    method: tun
    scheduler: mh
    on_server_removed: keep
    maglev_slots: 251
    clamp_mss: false
    hash_port: true
    servers:
      - 10.0.0.11
      - {address: 2001:db8::12, weight: 0, tunnel_source: 2001:db8::1}
      - {address: 10.0.0.13, method: tun, tunnel_source: 172.20.0.0/14}
  dns:
    listen: 192.0.2.53:53/udp
    servers:
      - {address: 10.0.0.11, method: nat, port: 5353, weight: 65535}
      - {address: 10.0.0.12, method: dr}
vips:
  192.0.2.10: {interface: eth0}
  192.0.2.53: {routed: true}
connections: 2048
timeouts: {established: 1h, udp: 100ms, close: 2.5}
secret_file: /etc/vipd/secret
tunnel: {source: [10.9.0.0/16, "fd00::/64"]}
"""


def test_every_setting_arrives_in_the_model() -> None:
    director = loads(WHOLE).director
    web, dns = director.services
    assert web == VirtualService(
        "web",
        (
            Endpoint(IPv4Address("192.0.2.10"), 80, 80, Transport.TCP),
            Endpoint(IPv6Address("2001:db8::10"), 8000, 8099, Transport.UDP),
            Endpoint(IPv4Address("192.0.2.11"), 0, 65535, Transport.TCP),
        ),
        (
            RealServer(IPv4Address("10.0.0.11"), None, 1, Method.TUN, IPv4Network("10.9.0.0/16")),
            RealServer(IPv6Address("2001:db8::12"), None, 0, Method.TUN, IPv6Network("2001:db8::1")),
            RealServer(IPv4Address("10.0.0.13"), None, 1, Method.TUN, IPv4Network("172.20.0.0/14")),
        ),
        Scheduler.MH,
        OnServerRemoved.KEEP,
        251,
        clamp_mss=False,
        hash_port=True,
    )
    assert dns.servers == (
        RealServer(IPv4Address("10.0.0.11"), 5353, 65535, Method.NAT),
        RealServer(IPv4Address("10.0.0.12"), None, 1, Method.DR),
    )
    assert (dns.scheduler, dns.on_server_removed, dns.maglev_slots) == (Scheduler.WLC, OnServerRemoved.RESET, 65_537)
    assert director.interfaces == ("eth0", "eth1")
    assert director.connections == 2048
    assert director.timeouts == Timeouts(established=3600, udp=0.1, close=2.5)
    assert director.secret_file == "/etc/vipd/secret"


def test_a_vip_that_is_not_configured_has_the_defaults() -> None:
    vips = loads(WHOLE).director.vips
    assert vips[IPv4Address("192.0.2.10")] == Vip(IPv4Address("192.0.2.10"), "eth0")
    assert vips[IPv4Address("192.0.2.53")] == Vip(IPv4Address("192.0.2.53"), None, routed=True)
    assert vips[IPv6Address("2001:db8::10")] == Vip(IPv6Address("2001:db8::10"))
    assert len(vips) == 4


def test_a_vip_without_a_service_is_held_with_a_warning() -> None:
    loaded = loads("interfaces: [eth0]\nvips:\n  192.0.2.9:\n")
    assert [str(each) for each in loaded.warnings] == [
        "vipd.yaml:3:3: vips.192.0.2.9: no service listens on this VIP; the director holds it all the same"
    ]
    assert set(loaded.director.vips) == {IPv4Address("192.0.2.9")}


def test_few_maglev_slots_for_many_servers_are_warned_of() -> None:
    servers = ", ".join(f"10.0.0.{n}" for n in range(1, 11))
    web = f"listen: 192.0.2.1:80/tcp, method: nat, scheduler: mh, maglev_slots: 251, servers: [{servers}]"
    text = f"interfaces: [eth0]\nservices:\n  web: {{{web}}}\n"
    assert [each.path for each in loads(text).warnings] == ["services.web.maglev_slots"]
    assert loads(text.replace("251", "1009")).warnings == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_good(path: Path) -> None:
    loaded = load(path)
    assert loaded.warnings == ()
    assert loaded.director.services


def test_there_is_an_example_for_every_method() -> None:
    methods = {
        server.method for path in EXAMPLES for service in load(path).director.services for server in service.servers
    }
    assert methods == set(Method)


def test_all_ports_beside_single_ones_is_the_fallback() -> None:
    text = """\
interfaces: [eth0]
services:
  web: {listen: 192.0.2.1:80/tcp, method: nat, servers: [10.0.0.1]}
  rest: {listen: 192.0.2.1:*/tcp, method: nat, servers: [10.0.0.2]}
  same-port-but-udp: {listen: 192.0.2.1:80/udp, method: nat, servers: [10.0.0.2]}
"""
    assert len(loads(text).director.services) == 3


def test_aliases_stand_for_what_they_name() -> None:
    text = """\
interfaces: [eth0]
services:
  a: {listen: 192.0.2.1:80/tcp, method: nat, servers: &servers [10.0.0.1, 10.0.0.2]}
  b: {listen: 192.0.2.1:81/tcp, method: nat, servers: *servers}
"""
    a, b = loads(text).director.services
    assert a.servers == b.servers


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", (1, 1)),
        ("interfaces[1]", (1, 20)),
        ("services.web.servers[1]", (13, 9)),
        ("services.web.servers[1].weight", (13, 41)),
        ("services.dns.servers[1].method", (19, 38)),
        ("vips.192.0.2.53.routed", (22, 24)),
        ("services.dns.servers[9].port", (18, 7)),
        ("services.nobody", (3, 3)),
    ],
)
def test_a_place_is_found_by_its_path_or_by_what_is_around_it(path: str, place: tuple[int, int]) -> None:
    assert loads(WHOLE).locate(path) == place


def test_problems_found_later_get_their_place() -> None:
    loaded = loads(WHOLE, "here.yaml")
    placed = loaded.placed([Problem("services.dns.servers[1]", "is behind a router; nat")])
    assert str(placed[0]) == "here.yaml:19:9: services.dns.servers[1]: is behind a router; nat"


def test_what_is_dumped_loads_as_the_same(tmp_path: Path) -> None:
    import json

    director = loads(WHOLE).director
    file = tmp_path / "vipd.yaml"
    file.write_text(json.dumps(dump(director)))
    assert load(file).director == director


def test_an_empty_list_of_services_is_possible() -> None:
    assert loads("interfaces: [eth0]\nservices:\n").director == Director(("eth0",), ())


def test_the_schema_knows_every_key() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {
        "interfaces", "services", "vips", "connections", "timeouts", "secret_file", "tunnel",
    }  # fmt: skip
    assert schema["additionalProperties"] is False
    server = schema["$defs"]["Server"]["anyOf"]
    assert server[0]["type"] == "string"
    assert set(server[1]["properties"]) == {"address", "port", "weight", "method", "tunnel_source"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("yes", "yes"), ("on", "on"),
        ("7", 7), ("-7", -7), ("0x10", 16), ("0o17", 15), ("017", 17), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0),
        ("10:30", "10:30"), ("192.0.2.1", "192.0.2.1"), ("1_000", "1_000"), ("5m", "5m"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_unquoted_text_is_read_as_yaml_1_2_says(text: str, value: object) -> None:
    found = plain(text)
    assert found == value
    assert type(found) is type(value)


WORDS = st.sampled_from(["web", "a.b", "x_1", "dns-2"])
V4 = st.integers(0x0A000001, 0x0A0000FE).map(IPv4Address)
V6 = st.integers(0x20010DB8 << 96, (0x20010DB8 << 96) + 200).map(IPv6Address)


@st.composite
def directors(draw: st.DrawFn) -> Director:
    """Valid ones, both families mixed."""
    services = []
    for number, name in enumerate(draw(st.lists(WORDS, unique=True, max_size=3))):
        method = draw(st.sampled_from(Method))
        vip = draw(V4 | V6)
        family = V4 | V6 if method is Method.TUN else (V4 if vip.version == 4 else V6)
        port = draw(st.integers(1, 65535))
        addresses = draw(st.lists(family, unique=True, max_size=5))
        mapped = st.none() | st.integers(1, 65535) if method is Method.NAT else st.none()
        servers = tuple(RealServer(each, draw(mapped), draw(st.integers(0, 65535)), method) for each in addresses)
        listen = Endpoint(type(vip)(int(vip) + 512 * (number + 1)), port, port, draw(st.sampled_from(Transport)))
        services.append(VirtualService(name, (listen,), servers, draw(st.sampled_from(Scheduler))))
    vips = {endpoint.vip: Vip(endpoint.vip) for service in services for endpoint in service.listen}
    return Director(("eth0",), tuple(services), vips, draw(st.integers(1024, 1 << 26)))


@given(directors())
@settings(deadline=None)
def test_any_director_survives_being_dumped_and_loaded(director: Director) -> None:
    import yaml

    assert loads(yaml.safe_dump(dump(director), sort_keys=False)).director == director


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file or directory"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)
