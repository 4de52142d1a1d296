"""`--live -c FILE`: the BPF program in the network that a file makes up, beside the specification. Nothing stays."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw
from typer.testing import CliRunner, Result

from tests.support.frame_cli import capture_file
from tests.support.lan import eventually
from tests.support.mutants.building import Workshop
from tests.support.scenes import SERVICES
from vipd.cli.app import app
from vipd.config import loads
from vipd.dataplane.libbpf import lib
from vipd.dataplane.tables import server_rows
from vipd.errors import ConfigError, DataplaneError, EnvironmentProblem
from vipd.explain.imagined import ImaginedNetwork
from vipd.model.director import Address
from vipd.rehearsal.asking import kernel_routes
from vipd.rehearsal.configured import configured
from vipd.rehearsal.network import built, stood_up
from vipd.wire.pcap import LinkType

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
FAR = Ether(src="02:00:00:00:99:01", dst="02:00:00:00:99:02")
"Another machine's frame."
WAYS: tuple[tuple[str, ...], ...] = (
    ("--to", "shop", "--flags", "SYN", "--flags", "reply:SYN+ACK", "--flags", "ACK", "--flags", "FIN+ACK"),
    ("--to", "shop6", "--flags", "SYN", "--flags", "reply:SYN+ACK", "--flags", "ACK"),
    ("--to", "dns", "--payload", "60000"),
    ("--to", "shop", "--drained", "shop 10.0.0.11:8080"),
    ("--to", "idle"),
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "vipd.yaml").write_text(f"connections: 10000{SERVICES}")
    return str(tmp_path / "vipd.yaml")


@pytest.fixture
def capture(tmp_path: Path) -> str:
    return capture_file(tmp_path / "in.pcap", LinkType.ETHERNET, [bytes(each) for each in conversation()])


@pytest.fixture(scope="module")
def defect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with two things wrong: it holds packets for too old that are not, and counts each of them twice."""
    wrong = (ROOT / "bpf" / "forward.h").read_text()
    for right, other in (("ttl_of(pkt) <= 1", "ttl_of(pkt) <= 99"), ("t->packets_in++", "t->packets_in += 2")):
        assert right in wrong
        wrong = wrong.replace(right, other, 1)
    return Workshop(tmp_path_factory.mktemp("defect")).build("forward.h", wrong)


def conversation() -> Iterator[Packet]:
    """Every method, both families and directions, and frames that are nobody's, or no packet."""
    for port in range(2000, 2020):
        for flags in ("S", "A", "FA"):
            for vip in ("192.0.2.10", "192.0.2.11"):
                yield FAR / IP(src="203.0.113.7", dst=vip) / TCP(sport=port, dport=80, flags=flags)
            yield FAR / IPv6(src="2001:db8:9::7", dst="2001:db8::11") / TCP(sport=port, dport=80, flags=flags)
        for number in (11, 12):
            yield FAR / IP(src=f"10.0.0.{number}", dst="203.0.113.7") / TCP(sport=8080, dport=port, flags="SA")
        yield FAR / IPv6(src="2001:db8:1::11", dst="2001:db8:9::7") / TCP(sport=8080, dport=port, flags="SA")
        yield FAR / IP(src="203.0.113.7", dst="192.0.2.53") / UDP(sport=port, dport=53) / Raw(bytes(1480))
    datagram = IP(src="203.0.113.8", dst="192.0.2.53", id=7) / UDP(sport=9, dport=53) / Raw(bytes(2000))
    yield from (FAR / part for part in fragment(datagram, 1400))
    yield FAR / IP(src="203.0.113.7", dst="192.0.2.10") / ICMP()
    yield FAR / IP(src="203.0.113.7", dst="203.0.113.99") / TCP(sport=7, dport=80)
    yield FAR / IPv6(src="fe80::1", dst="2001:db8::11") / TCP(sport=7, dport=80)
    yield FAR / Dot1Q(vlan=7) / IP(src="203.0.113.7", dst="192.0.2.10") / TCP(sport=7, dport=80)
    yield FAR / ARP(pdst="192.0.2.10")
    whole = bytes(FAR / IP(src="203.0.113.7", dst="192.0.2.11") / TCP(sport=7, dport=80))
    yield from (Raw(whole[:size]) for size in (3, 13, 14, 20, 34, 50))


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1", "COLUMNS": "200"})


def here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def held() -> int:
    """How many programs, maps and namespaces are open, or laid into memory."""
    gc.collect()
    links = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    mapped = Path("/proc/self/maps").read_text().count("bpf-map")
    return sum("bpf" in each or each.startswith("net:") for each in links) + mapped


@pytest.mark.parametrize("question", WAYS, ids=" ".join)
def test_the_program_does_what_the_specification_says_of_a_file(file: str, question: tuple[str, ...]) -> None:
    before = here(), held()
    result = asked("explain", "-c", file, "--live", "--json", *question)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [each["program"]["agrees"] for each in told["packets"]] == [True] * max(1, question.count("--flags"))
    assert [each["program"]["outcome"] for each in told["packets"]] == [each["outcome"] for each in told["packets"]]
    alone = json.loads(asked("explain", "-c", file, "--json", *question).stdout)
    assert told["assumed"] == alone["assumed"]
    assert [each["sent"] for each in told["packets"]] == [each["sent"] for each in alone["packets"]]
    assert (here(), held()) == before


def test_the_program_lives_through_a_capture_too(file: str, capture: str, tmp_path: Path) -> None:
    result = asked("replay", capture, "-c", file, "--live", "--out", str(tmp_path / "live.pcap"))
    assert result.exit_code == 0, result.output
    asked_about = len(list(conversation())) - 2
    assert f"the BPF program does the same with all {asked_about}\n" in result.stdout
    assert "2 frames of fewer than 14 bytes not asked about" in result.stdout
    for outcome in ("forward_dr", "forward_nat", "forward_nat_reply", "forward_tun", "reply_too_big", "pass_vlan"):
        assert f"  {outcome}\n" in result.stdout
    asked("replay", capture, "-c", file, "--out", str(tmp_path / "alone.pcap"))
    assert (tmp_path / "live.pcap").read_bytes() == (tmp_path / "alone.pcap").read_bytes()


def test_a_program_that_does_otherwise_is_reported_as_a_bug(
    file: str, capture: str, defect: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vipd.rehearsal.configured.configured", partial(configured, program=defect))
    before = here()
    reported = asked("explain", "-c", file, "--live", "--to", "shop")
    assert reported.exit_code == 1
    assert "outcome: the program reply_time_exceeded, the specification forward_nat\n" in reported.stdout
    assert "which is a bug of vipd's: please report it" in reported.stdout
    [packet] = json.loads(asked("explain", "-c", file, "--live", "--to", "shop", "--json").stdout)["packets"]
    assert packet["program"]["agrees"] is False
    miscounted = asked("explain", "-c", file, "--live", "--to", "web", "--brief")
    assert miscounted.exit_code == 1
    [wrong] = [line for line in miscounted.stdout.splitlines() if ": the program " in line]
    seen = (
        r"traffic\[\d\]: the program .*packets_in=2, bytes_in=44, .*, the specification .*packets_in=1, bytes_in=44, "
    )
    assert re.search(seen, wrong)
    replayed = asked("replay", capture, "-c", file, "--live")
    assert replayed.exit_code == 1
    assert re.search(r"the BPF program and the specification DISAGREE on \d{3} of \d{3}\n", replayed.stdout)
    assert "  frame 2, forward_nat\n    outcome: the program reply_time_exceeded, the spec" in replayed.stdout
    assert here() == before


def test_a_control_plane_that_writes_something_else_is_reported_as_a_bug(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*given: Any) -> Any:
        rows = server_rows(*given)
        rows["weight"] += 1
        return rows

    monkeypatch.setattr("vipd.dataplane.book.server_rows", wrong)
    before = here()
    error = asked("explain", "-c", file, "--live", "--to", "shop").exception
    assert isinstance(error, DataplaneError)
    assert "filled real_servers otherwise than the specification reads the configuration: that is a bug" in str(error)
    assert here() == before


def test_the_kernel_finds_the_ways_that_a_file_makes_up() -> None:
    """All kinds of addresses, from each interface; also where the kernel has taken the first numbers for itself."""
    director = loads(SERVICES).director
    kinds = "0.0.0.0 8.8.8.8 10.0.0.255 127.0.0.1 127.9.9.9 169.254.1.1 224.0.0.1 240.1.1.1 255.255.255.255"
    kinds += " :: ::1 64:ff9b::1 2001:db8::1 2002::1 fd00::1 fe80::1 fe80::ff:fe01:2 ff02::1 ff05::7"
    for later in (0, 5):
        with stood_up() as first:
            network = ImaginedNetwork.of(director, 1400, first + later)
            addresses: list[Address] = [*network.servers, *map(ip_address, kinds.split())]
            with built(network), kernel_routes() as routes:
                for number in network.interfaces:
                    for address in addresses:
                        assert routes.ask(number, address) == network.ask(number, address), address
    assert network.mac(network.outside) == ImaginedNetwork.of(director, 1400).mac(2)


def test_without_root_one_sentence_says_what_is_needed(file: str, capture: str) -> None:
    dropped = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    for command in (("explain", "--to", "web"), ("replay", capture)):
        words = *dropped, sys.executable, "-m", "vipd.cli.main", *command, "-c", file, "--live"
        plain = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (plain.returncode, plain.stdout) == (2, "")
        assert plain.stderr.count("\n") == 1
        assert "--live needs CAP_BPF CAP_NET_ADMIN CAP_PERFMON CAP_SYS_ADMIN" in plain.stderr
        assert "run it as root; without --live the specification alone is asked, by anybody" in plain.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--to", "web", "--mtu", "65535"),
            "--mtu: 65535 is more than the kernel sends; with --live 65520 is",
        ),
        (("--to", "web", "--interface", "eth9"), "'eth9' is no interface of this director"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stays(file: str, arguments: tuple[str, ...], said: str) -> None:
    before = here()
    error = asked("explain", "-c", file, "--live", *arguments).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)
    assert here() == before


def test_a_machine_that_allows_no_network_is_named(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vipd.rehearsal.network._interface", refuse)
    before = here()
    error = asked("explain", "-c", file, "--live", "--to", "web").exception
    assert isinstance(error, EnvironmentProblem)
    assert "the network that the file makes up cannot be built here: [Errno 13] Permission denied" in str(error)
    assert here() == before


def maps_of(pid: int) -> set[int]:
    """Numbers of the BPF maps that a process holds, once it holds all of a director's."""
    found: set[int] = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            found |= {int(number) for number in re.findall(r"^map_id:\s*(\d+)$", info.read_text(), re.MULTILINE)}
        except OSError:
            continue  # it was closed meanwhile
    return found if len(found) > 10 else set()


def is_gone(number: int) -> bool:
    descriptor: int = lib().bpf_map_get_fd_by_id(number)
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor < 0


@pytest.mark.parametrize(
    ("signals", "codes"),
    [
        ((signal.SIGINT,), {130}),
        ((signal.SIGINT, signal.SIGINT), {130, -signal.SIGINT}),
        ((signal.SIGTERM,), {-signal.SIGTERM}),
    ],
    ids=("Ctrl-C", "Ctrl-C twice", "SIGTERM"),
)
def test_nothing_is_left_whatever_ends_it(
    file: str, capture: str, signals: tuple[signal.Signals, ...], codes: set[int]
) -> None:
    """It reads a capture that does not end, in a namespace of its own and with maps of its own."""
    command = sys.executable, "-m", "vipd.cli.main", "replay", "-", "-c", file, "--live"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(Path(capture).read_bytes())
        process.stdin.flush()
        maps = eventually(partial(maps_of, process.pid), within=120)
        assert Path(f"/proc/{process.pid}/ns/net").stat().st_ino != here()
        for number in signals:
            process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode in codes
    assert b"Traceback" not in errors or len(signals) > 1
    for each in maps:
        eventually(partial(is_gone, each))
