"""Flows from a list and from a capture: which connections they are, and what is told of a mistake."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest

from tests.support.fleets import asked, capture
from vipd.cli.simulation import reading
from vipd.errors import ConfigError
from vipd.simulation import staging
from vipd.simulation.flows import Flows
from vipd.simulation.generate import Duration, Law
from vipd.wire.transport import ACK, FIN, RST, SYN

WEB, DNS = "192.0.2.10", "192.0.2.53"


def flows_of(path: Path) -> tuple[list[Flows], tuple[int, int, int]]:
    scene, out = staging.read(asked(), reading.read(path, asked()).gathering, 10.0, Duration(5.0, Law.FIXED))
    return list(scene.flows), (out.repeated, out.own, out.unserved)


def rows(flows: Flows) -> list[tuple[str, int, int, int]]:
    """Client, port, start and end in ms."""
    clients = [str(ip_address(flows.addresses[each].tobytes())) for each in flows.client]
    return list(zip(clients, flows.port.tolist(), flows.start.tolist(), flows.end.tolist(), strict=True))


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "flows.csv"
    path.write_text(text)
    return path


def test_a_list_is_read_line_by_line(tmp_path: Path) -> None:
    text = "198.51.100.1,4000,0,2.5,web\n198.51.100.2,4001,1.5,1,dns\n\n# two are enough\n"
    (web, dns), out = flows_of(listed(tmp_path, text))
    assert rows(web) == [("198.51.100.1", 4000, 0, 2500)]
    assert rows(dns) == [("198.51.100.2", 4001, 1500, 2500)]
    assert out == (0, 0, 0)


def test_the_first_line_may_say_which_columns_there_are(tmp_path: Path) -> None:
    text = "start,client,service\n10,198.51.100.1,192.0.2.10:80/tcp\n12,198.51.100.1,web\n"
    (web, _), _ = flows_of(listed(tmp_path, text))
    assert rows(web) == [("198.51.100.1", 1024, 0, 5000), ("198.51.100.1", 1025, 2000, 7000)]


def test_clients_alone_are_enough(tmp_path: Path) -> None:
    (web, dns), _ = flows_of(listed(tmp_path, "".join(f"198.51.100.{n}\n" for n in range(1, 201))))
    assert web.count + dns.count == 200
    assert min(web.count, dns.count) > 60
    starts = np.sort(np.concatenate([web.start, dns.start]))
    assert 15_000 < starts[-1] < 20_000  # 200 at 10 a second


def test_flows_that_begin_no_connection_are_counted(tmp_path: Path) -> None:
    text = (
        "198.51.100.1,4000,0,10,web\n198.51.100.1,4000,5,1,web\n10.0.0.11,1,0,1,web\n"
        "127.0.0.1,1,0,1,web\n2001:db8::1,1,0,1,web\n"
    )
    (web, _), out = flows_of(listed(tmp_path, text))
    assert (web.count, out) == (1, (1, 2, 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no flow in it"),
        ("client,port\n", "there is no flow in it"),
        ("198.51.100.1\n198.51.100.257\n", ":2:1: client: '198.51.100.257' is not an IP address"),
        ("client,prot\n", ":1:1: 'prot' is not a column; did you mean 'port'?"),
        ("client,client\n", ":1:1: the column client stands here twice"),
        ("198.51.100.1,http\n", ":1:1: port: 'http' is not a port"),
        ("198.51.100.1,1,-1\n", ":1:1: start: '-1' is not a time"),
        ("198.51.100.1,1,nan\n", ":1:1: start: 'nan' is not a time"),
        ("198.51.100.1,1,1,1,wep\n", ":1:1: service: there is no service 'wep'; did you mean 'web'?"),
        ("198.51.100.1,1,1,1,web,more\n", ":1:1: 6 values; at most 5"),
    ],
)
def test_a_wrong_list_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = listed(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        reading.read(path, asked())
    assert told in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_what_is_no_list_is_not_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "elf").write_bytes(b"\x7fELF\0\0\0\0")
    (tmp_path / "latin").write_bytes(b"198.51.100.1,\xe4\n")
    for name, told in (("elf", "neither a capture (pcap, pcapng) nor text"), ("latin", "byte 0xe4 is not UTF-8")):
        with pytest.raises(ConfigError, match=name) as caught:
            reading.read(tmp_path / name, asked())
        assert told in str(caught.value)
    with pytest.raises(ConfigError, match="No such file"):
        reading.read(tmp_path / "nowhere", asked())


def test_a_capture_tells_who_talked_when(tmp_path: Path) -> None:
    path = capture(
        tmp_path,
        (0.0, "198.51.100.1", 4000, WEB, 80, SYN),
        (1.0, "198.51.100.1", 4000, WEB, 80, ACK),
        (1.5, "198.51.100.2", 53, DNS, 53, None),
        (2.0, WEB, 80, "198.51.100.1", 4000, ACK),
        (3.0, "198.51.100.1", 4000, WEB, 80, FIN | ACK),
        (3.5, "198.51.100.1", 4000, WEB, 81, SYN),
        (9.0, "198.51.100.1", 4000, WEB, 80, SYN),
        (9.5, "198.51.100.1", 4000, WEB, 80, RST),
    )
    told = reading.read(path, asked())
    assert told.note.endswith("8 frames, 6 of them to the VIPs")
    (web, dns), _ = flows_of(path)
    assert rows(web) == [("198.51.100.1", 4000, 0, 3000), ("198.51.100.1", 4000, 9000, 9500)]
    assert rows(dns) == [("198.51.100.2", 53, 1500, 1500)]


def test_datagrams_after_a_silence_are_another_flow(tmp_path: Path) -> None:
    silence = asked().director.timeouts.udp
    times = (0.0, silence - 1, 3 * silence)
    (_, dns), _ = flows_of(capture(tmp_path, *((time, "198.51.100.2", 53, DNS, 53, None) for time in times)))
    assert [(start, end) for _, _, start, end in rows(dns)] == [
        (0, int(1000 * (silence - 1))),
        (int(3000 * silence), int(3000 * silence)),
    ]


def test_a_capture_of_other_traffic_is_refused_and_so_is_a_damaged_one(tmp_path: Path) -> None:
    path = capture(tmp_path, (0.0, "198.51.100.1", 4000, "198.51.100.9", 80, SYN))
    with pytest.raises(ConfigError, match="no packet in it goes to a service"):
        reading.read(path, asked())
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ConfigError, match="ends too early"):
        reading.read(path, asked())


@pytest.mark.parametrize(
    ("link_type", "header"),
    [
        (1, bytes(12) + b"\x08\x00"),
        (1, bytes(12) + b"\x81\x00\0\7\x08\x00"),
        (113, b"\0\0\0\1\0\6" + bytes(8) + b"\x08\x00"),
        (276, b"\x08\x00" + bytes(18)),
    ],
    ids=["Ethernet", "VLAN", "cooked", "cooked, version 2"],
)
def test_captures_of_every_kind_of_interface_are_read(tmp_path: Path, link_type: int, header: bytes) -> None:
    path = capture(tmp_path, (0.0, "198.51.100.1", 4000, WEB, 80, SYN), link_type=link_type, header=header)
    (web, _), _ = flows_of(path)
    assert rows(web) == [("198.51.100.1", 4000, 0, 1)]


def test_frames_that_are_not_read_are_told(tmp_path: Path) -> None:
    path = capture(tmp_path, (0.0, "198.51.100.1", 4000, WEB, 80, SYN), link_type=127)
    with pytest.raises(ConfigError, match=r"no packet in it goes .*; frames of link type 127 are not read"):
        reading.read(path, asked())
