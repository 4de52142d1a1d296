"""What is told of a packet: service, server and why, bytes, outcome. Against scapy where bytes count."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from tests.support.scenes import CLIENT, SERVICES, ask, scene_of, words
from vipd.anatomy.compare import Kind
from vipd.cli.explain_json import changes_of
from vipd.errors import ConfigError
from vipd.explain.conversation import Conversation, ends_of
from vipd.explain.question import brought
from vipd.explain.scene import Scene
from vipd.explain.telling import headline
from vipd.explain.walk import Walk, candidates, framed, server_of, walk
from vipd.spec import Interface, State
from vipd.spec.nexthop import NO_MAC
from vipd.spec.state import BUCKET, Entry

SCENE = scene_of()


def server(scene: Scene, done: Walk) -> str:
    found = server_of(done, scene)
    return str(found.address) if found else "nobody"


def test_the_numbers_that_wlc_goes_by_are_told_of_every_server() -> None:
    [done] = ask(SCENE, "web")
    assert [(each.server, each.weight, each.overhead, each.chosen) for each in candidates(done, SCENE)] == [
        ("10.0.0.11", 1, 0, True),
        ("10.0.0.12", 2, 0, False),
        ("10.0.0.13", 0, None, False),
    ]
    assert "wlc: 10.0.0.11 has the least for its weight, and stands first of those" in words(done, SCENE)["server"]


def test_lc_is_told_without_the_weights_that_it_does_not_know() -> None:
    scene = scene_of(SERVICES.replace("wlc", "lc"))
    [done] = ask(scene, "web")
    assert [(each.weight, each.overhead, each.for_its_weight) for each in candidates(done, scene)] == [
        (1, 0, None),
        (2, 0, None),
        (0, None, None),
    ]
    assert "lc: 10.0.0.11 has the least overhead, and stands first of those" in words(done, scene)["server"]


def test_who_was_chosen_is_told_also_where_a_full_table_sends_the_packet_elsewhere() -> None:
    full = replace(SCENE, configuration=replace(SCENE.configuration, buckets=1), tables=State(taken={0: BUCKET}))
    walks = [ask(full, "web", source=f"203.0.113.7:{port}")[0] for port in range(4711, 4731)]
    assert {server(full, done) for done in walks} == {"10.0.0.11", "10.0.0.12"}
    for done in walks:
        assert "table_full" in done.decision.events
        assert [each.server for each in candidates(done, full) if each.chosen] == ["10.0.0.11"]


def test_of_a_known_connection_it_is_told_whose_it_is() -> None:
    _, answer, ack = ask(SCENE, "shop", "SYN", "reply:SYN+ACK", "ACK")
    assert "of the service shop, 192.0.2.11:80/tcp" in words(answer, SCENE)["connection"]
    assert "of the service shop, 192.0.2.11:80/tcp" in words(ack, SCENE)["connection"]


def test_each_packet_finds_what_the_ones_before_it_left() -> None:
    syn, answer, ack = ask(SCENE, "shop", "SYN", "reply:SYN+ACK", "ACK")
    assert [each.is_known for each in (syn, answer, ack)] == [False, True, True]
    assert [each.decision.outcome for each in (syn, answer, ack)] == ["forward_nat", "forward_nat_reply", "forward_nat"]
    assert words(syn, SCENE)["remembered"][0].endswith("in state syn_recv")
    assert isinstance(ack.after, Entry)
    assert ack.after.state == "established"
    [before] = [line for line in words(ack, SCENE)["connection"] if line.startswith("before this packet")]
    assert before.startswith("before this packet: syn_recv (active), last heard of 0.0 s ago")


def test_what_nat_sends_is_right_in_every_byte() -> None:
    syn, answer = ask(SCENE, "shop", "SYN", "reply:SYN+ACK")
    went, back = Ether(syn.sent), Ether(answer.sent)
    assert (went[IP].dst, went[TCP].dport) == ("10.0.0.11", 8080)
    assert (back[IP].src, back[TCP].sport, back[IP].dst) == ("192.0.2.11", 80, "203.0.113.7")
    for packet in (went, back):
        fresh = packet.copy()
        del fresh[IP].chksum, fresh[TCP].chksum
        assert bytes(fresh) == bytes(packet)


def test_ipv6_is_told_of_in_the_same_words() -> None:
    [done] = ask(SCENE, "shop6", source="[2001:db8:7::7]:4711")
    assert Ether(done.sent)[IPv6].dst == "2001:db8:1::11"
    assert words(done, SCENE)["packet"][0] == "TCP SYN from [2001:db8:7::7]:4711 to [2001:db8::11]:80"
    assert headline(done, SCENE) == (
        "TCP SYN [2001:db8:7::7]:4711 > [2001:db8::11]:80: forward_nat, to [2001:db8:1::11]:8080 by nat, out of eth1"
    )


def test_round_robin_tells_whose_turn_is_next() -> None:
    talk = Conversation(SCENE)
    first, second = (talk.ask(ends_of(f"203.0.113.7:{port}", "shop", SCENE).wanted) for port in (4711, 4712))
    assert server(SCENE, first) == "10.0.0.11"
    assert "the next connection gets 10.0.0.12:8080" in words(first, SCENE)["server"]
    assert server(SCENE, second) == "10.0.0.12"


def test_under_direct_routing_nobody_replies_past_the_director() -> None:
    with pytest.raises(ConfigError, match=r"under dr replies go from 10\.0\.0\.11 to the client, past the director"):
        ask(SCENE, "web", "SYN", "reply:SYN+ACK")


def test_a_hash_without_the_secret_is_told_to_point_elsewhere() -> None:
    known, unknown = SCENE, scene_of(secret=None)
    said = "the director's secret is not at hand: with it, the hash points elsewhere"
    assert said not in words(ask(known, "dns")[0], known)["server"]
    assert said in words(ask(unknown, "dns")[0], unknown)["server"]
    clients = [f"203.0.113.{last}" for last in range(64)]
    chosen = [[server(scene, ask(scene, "dns", source=each)[0]) for each in clients] for scene in (known, unknown)]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize(("payload", "outcome"), [(1452, "forward_tun"), (1453, "reply_too_big")])
def test_the_mtu_is_judged_with_the_outer_header(payload: int, outcome: str) -> None:
    [done] = ask(SCENE, "dns", payload=payload)
    assert done.decision.outcome == outcome
    verdict = "1480 bytes and 20 of an outer header, 1500 bytes fit into 1500"
    assert (verdict in words(done, SCENE).get("way", [])) == (outcome == "forward_tun")


@pytest.mark.parametrize(
    ("to", "outcome", "said"),
    [
        ("192.0.2.10:81/tcp", "pass_no_service", "on 192.0.2.10 listen 192.0.2.10:80/tcp (web), 192.0.2.10:443/tcp"),
        ("192.0.2.53:53/tcp", "pass_no_service", "port 53 is served by udp alone, and this is tcp"),
        ("192.0.2.99:53/udp", "pass_not_ours", "port 53 is served on 192.0.2.53:53/udp (dns)"),
        ("192.0.2.99:53/udp", "pass_not_ours", "192.0.2.99 is no VIP; VIPs are 192.0.2.10"),
        ("idle", "reply_reset_no_server", "10.0.0.11: weight 0: drained, or configured so"),
        ("web", "forward_dr", "if no answer comes: vipd real-server status, there"),
    ],
)
def test_whoever_is_not_served_is_told_what_is(to: str, outcome: str, said: str) -> None:
    [done] = ask(SCENE, to)
    assert done.decision.outcome == outcome
    assert any(said in line for line in words(done, SCENE)["what next"]), words(done, SCENE)["what next"]


def test_where_nothing_is_known_of_the_case_one_reads_what_the_outcomes_page_says() -> None:
    [scan] = ask(SCENE, "web", "SYN+FIN")
    assert words(scan, SCENE)["what next"] == ["A scan; nothing, or a filter before the director."]
    [reply] = ask(SCENE, "shop", "SYN", "reply:SYN+ACK")[1:]
    assert "what next" not in words(reply, SCENE)


@pytest.mark.parametrize(("mtu", "helps"), [(1319, False), (1320, True)])
def test_what_ipv6_cannot_go_below_is_told(mtu: int, helps: bool) -> None:
    far = 'far: {listen: "[2001:db8::12]:80/tcp", method: tun, servers: ["2001:db8:1::12"]}'
    scene = scene_of(SERVICES.replace("  dns:", f"  {far}\n  dns:", 1), mtu=mtu)
    [done] = ask(scene, "far", source="[2001:db8:7::7]:4711", payload=1300)
    assert done.decision.outcome == "reply_too_big"
    [told] = words(done, scene)["what next"]
    assert ("the way to the server must take 1 bytes more" in told) == (not helps)


def test_of_two_services_the_one_that_did_not_get_the_packet_is_named_with_the_reason() -> None:
    scene = scene_of(
        SERVICES.replace("  dns:", "  all: {listen: 192.0.2.10:*/tcp, method: dr, servers: [10.0.0.12]}\n  dns:", 1)
    )
    [done] = ask(scene, "192.0.2.10:80/tcp")
    assert "all listens on 192.0.2.10:*/tcp too; the narrower goes first" in words(done, scene)["service"]


def test_a_frame_for_another_mac_is_taken_as_the_directors_unless_one_wants_it_kept() -> None:
    frame = ask(SCENE, "web")[0].packet.frame
    elsewhere = bytes.fromhex("02aabbccddee") + frame[6:]
    as_ours, kept = (walk(SCENE, brought(elsewhere, SCENE, keep_macs=keep)) for keep in (False, True))
    assert as_ours.decision.outcome == "forward_dr"
    assert any("it said 02:aa:bb:cc:dd:ee" in note for note in as_ours.packet.notes)
    assert kept.decision.outcome == "pass_other_mac"


def test_every_truncation_of_a_packet_is_told_of() -> None:
    frame = ask(SCENE, "shop", payload=20)[0].packet.frame
    outcomes = set()
    for size in range(len(frame)):
        for octets in (frame[:size], frame[14:][:size]):
            done = walk(SCENE, brought(octets, SCENE))
            assert headline(done, SCENE)
            assert words(done, SCENE)["outcome"]
            outcomes.add(done.decision.outcome)
    assert {"pass_not_ip", "drop_malformed"} <= outcomes


def test_nobody_said_who_asks_and_what_was_taken_instead_is_told() -> None:
    assert ends_of(None, "web", SCENE).notes == (
        "web means 192.0.2.10:80/tcp here, of 192.0.2.10:80/tcp, 192.0.2.10:443/tcp",
        "nobody said who asks: 198.51.100.7 port 40000",
    )
    assert ends_of(CLIENT, "shop", SCENE).notes == ()


def test_on_a_link_without_ethernet_packets_begin_with_their_ip_header() -> None:
    line, inside = SCENE.configuration.interfaces
    interfaces = {**SCENE.configuration.interfaces, line: Interface(NO_MAC, redirect=False)}
    scene = replace(SCENE, configuration=replace(SCENE.configuration, interfaces=interfaces))
    syn, answer = ask(scene, "shop", "SYN", "reply:SYN+ACK")
    assert (syn.came_bare, syn.sent_bare, syn.decision.egress) == (True, False, inside)
    assert IP(syn.packet.frame)[TCP].dport == 80
    assert Ether(syn.sent)[TCP].dport == 8080
    assert (answer.came_bare, answer.decision.outcome) == (False, "route_nat_reply")
    assert headline(syn, scene).startswith("TCP SYN 203.0.113.7:4711 > 192.0.2.11:80: forward_nat")
    [refused] = ask(scene, "idle")
    assert (refused.sent_bare, IP(refused.left)[TCP].flags) == (True, "RA")
    back = Ether(framed(refused))
    assert (back.dst, back[IP].src, back[TCP].flags) == ("00:00:00:00:00:00", "192.0.2.12", "RA")
    assert framed(syn) == syn.sent
    assert "44 bytes, time to live 64" in words(syn, scene)["packet"]
    assert [pair.kind for pair in changes_of(syn).pairs if pair.field.name == "destination port"] == [Kind.CHANGED]
    whole = walk(scene, brought(ask(SCENE, "shop")[0].packet.frame, scene, line))
    assert whole.packet.frame == syn.packet.frame
