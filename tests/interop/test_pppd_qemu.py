"""Links to a peer that nobody here wrote: Debian's pppd on Debian's kernel, over a serial line of a virtual machine."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import pytest

from tests.interop.cable import Cable
from tests.interop.console import UART, VIRTIO, Guest
from tests.support.links import End

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]

LIFE: Final = 1100
HERE, THERE = "10.9.0.1", "10.9.0.2"
ALWAYS: Final = "nodetach debug local nocrtscts lcp-restart 1 ipcp-restart 1 ipv6cp-restart 1 noccp"
SECRETS: Final = 'here * "from here" *\\nthere * "from there" *\\n'
DATA: Final = 10_000_000
LISTEN, SEND = 7001, 7002
PATIENCE: Final = 240.0


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with Guest(tmp_path_factory.mktemp("guest"), LIFE) as made:
        made.run(f"printf '{SECRETS}' >/etc/ppp/chap-secrets; cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets")
        made.run(f"head -c {DATA} /dev/urandom >/tmp/data", PATIENCE)
        made.run(f"(while :; do nc -l -p {LISTEN} -e sha256sum; done) </dev/null >/dev/null 2>&1 &")
        made.run(f"nc -ll -p {SEND} -e cat /tmp/data </dev/null >/dev/null 2>&1 &")
        yield made


class Peer:
    """pppd on a line of the guest, until the end of the test."""

    def __init__(self, guest: Guest, line: str, *options: str) -> None:
        self.guest = guest
        words = " ".join((line, "115200", ALWAYS, *options))
        guest.run(f"setsid pppd {words} </dev/null >/tmp/log 2>&1 & echo $! >/tmp/pid")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def log(self) -> str:
        return self.guest.run("cat /tmp/log")

    def says(self, words: str) -> None:
        self.guest.eventually(f"grep -qF '{words}' /tmp/log")

    def end(self) -> None:
        self.guest.run(
            "kill $(cat /tmp/pid) 2>/dev/null; while kill -0 $(cat /tmp/pid) 2>/dev/null; do sleep 0.1; done"
        )


@pytest.fixture
def end(tmp_path: Path) -> Iterator[End]:
    made = End(f"lkq{os.getpid() % 1_000_000}", "a", tmp_path)
    yield made
    made.remove()


@pytest.fixture(params=[UART, VIRTIO])
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def up(end: End, cable: Cable, *options: str, ipv4: str = f"{HERE}:{THERE}", **more: dict[str, str]) -> End:
    capture = ("--pcap", f"/tmp/{end.name}.pcap")
    return end.start("--over", f"tcp:127.0.0.1:{cable.port}", "--ipv4", ipv4, "--ipv6", *capture, *options, **more)


def pings(end: End, guest: Guest) -> None:
    """Both ways, both families, small and as large as a packet may be."""
    [local6] = [each.local for each in end.status().families if each.local.version == 6]
    [remote6] = [each.remote for each in end.status().families if each.local.version == 6]
    mtu = min(each.mtu for each in end.status().families)
    for size in (8, mtu - 28):
        ping(end, THERE, size)
        guest.run(f"ping -c 3 -s {size} {HERE}")
    for size in (8, mtu - 48):
        ping(end, f"{remote6}%{end.name}", size)
        guest.run(f"ping -6 -c 3 -s {size} {local6}%ppp0")


def ping(end: End, address: str, size: int) -> None:
    done = end.host.run("ping", "-c", "3", "-l", "3", "-i", "10", "-W", "10", "-s", str(size), address, check=False)
    assert " 3 received" in done.stdout, done.stdout + done.stderr


def download(end: End, guest: Guest) -> float:
    """What the guest sends arrives unchanged; Mbit/s."""
    digest, size, began = hashlib.sha256(), 0, time.monotonic()
    with connected(end, SEND) as receiver:
        while piece := receiver.recv(1 << 16):
            digest.update(piece)
            size += len(piece)
    took = time.monotonic() - began
    assert size
    assert digest.hexdigest() in guest.run("sha256sum /tmp/data", PATIENCE)
    return 8e-6 * size / took


def upload(end: End, size: int) -> float:
    data, began = os.urandom(size), time.monotonic()
    with connected(end, LISTEN) as sender:
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        told = sender.recv(64)
    assert told.decode() == hashlib.sha256(data).hexdigest()
    return 8e-6 * size / (time.monotonic() - began)


def connected(end: End, port: int) -> socket.socket:
    made = end.host.inside(socket.socket)
    made.settimeout(PATIENCE)
    made.connect((THERE, port))
    return made


def nothing_malformed(end: End) -> None:
    """In tshark's eyes, of all that passed."""
    shown = "_ws.malformed or _ws.expert.severity == error"
    command = ["tshark", "-n", "-r", f"/tmp/{end.name}.pcap", "-Y", shown]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_everything_is_agreed_and_packets_pass_both_ways(guest: Guest, end: End, line: str) -> None:
    with (
        Cable(end.host, guest.sockets[line]) as cable,
        Peer(guest, line, f"noauth {THERE}:{HERE} +ipv6 lcp-echo-interval 1 lcp-echo-failure 5") as peer,
    ):
        up(end, cable, "--echo-interval", "1").is_up()
        pings(end, guest)
        assert end.end() == 0
        peer.says("LCP terminated by peer")
        peer.end()
        said = peer.log
    for packet in ("LCP ConfAck", "IPCP ConfAck", "IPV6CP ConfAck", "LCP EchoRep", "LCP TermReq"):
        assert f"rcvd [{packet}" in said
    assert not re.search("unknown|malformed|Unsupported|bad", said), said
    nothing_malformed(end)


def test_ten_megabytes_pass_each_way_unchanged(guest: Guest, end: End) -> None:
    with Cable(end.host, guest.sockets[VIRTIO]) as cable, Peer(guest, VIRTIO, f"noauth {THERE}:{HERE} +ipv6"):
        up(end, cable).is_up()
        rates = download(end, guest), upload(end, DATA)
        assert end.status().faults == {}
    print(f"from pppd {rates[0]:.1f} Mbit/s, to pppd {rates[1]:.1f} Mbit/s")


def test_an_8250_carries_a_megabyte_each_way_unchanged(guest: Guest, end: End) -> None:
    guest.run("mv /tmp/data /tmp/all; head -c 1000000 /tmp/all >/tmp/data")
    with Cable(end.host, guest.sockets[UART]) as cable, Peer(guest, UART, f"noauth {THERE}:{HERE} +ipv6"):
        up(end, cable).is_up()
        rates = download(end, guest), upload(end, 1_000_000)
        assert end.status().faults == {}
    guest.run("mv /tmp/all /tmp/data")
    print(f"from pppd {rates[0]:.2f} Mbit/s, to pppd {rates[1]:.2f} Mbit/s")


BOTH: Final = {"VIPD_LINK_SECRET": "from here", "VIPD_LINK_PEER_SECRET": "from there"}


@pytest.mark.parametrize("method", ["chap", "pap"])
def test_both_ends_prove_who_they_are(guest: Guest, end: End, method: str) -> None:
    demands = f"auth require-{method} user there remotename here name there {THERE}:{HERE} +ipv6"
    with Cable(end.host, guest.sockets[VIRTIO]) as cable, Peer(guest, VIRTIO, demands) as peer:
        proofs = ["--auth", method, "--user", "here", "--peer-user", "there", "--allow-pap"]
        up(end, cable, *proofs, environment=BOTH).is_up()
        pings(end, guest)
        peer.end()
        said = peer.log
    found = {"chap": "CHAP authentication succeeded", "pap": "PAP authentication succeeded"}[method]
    assert found in said
    assert {"chap": "rcvd [CHAP Response", "pap": "rcvd [PAP AuthReq"}[method] in said
    nothing_malformed(end)


def test_without_leave_our_secret_is_not_sent_in_clear(guest: Guest, end: End) -> None:
    with (
        Cable(end.host, guest.sockets[VIRTIO]) as cable,
        Peer(guest, VIRTIO, f"auth require-pap user there remotename here name there {THERE}:{HERE}") as peer,
    ):
        up(end, cable, "--user", "here", environment=BOTH)
        peer.says("peer refused to authenticate")
        peer.end()
        assert "PAP AuthReq" not in peer.log
        assert end.log.count(": up, ") == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("VIPD_LINK_SECRET", "Peer here failed CHAP authentication"), ("VIPD_LINK_PEER_SECRET", "authentication failed")],
)
def test_a_wrong_secret_keeps_packets_out(guest: Guest, end: End, wrong: str, said: str) -> None:
    with (
        Cable(end.host, guest.sockets[VIRTIO]) as cable,
        Peer(guest, VIRTIO, f"auth require-chap user there remotename here name there {THERE}:{HERE}") as peer,
    ):
        proofs = ["--auth", "chap", "--user", "here", "--peer-user", "there"]
        up(end, cable, *proofs, environment={**BOTH, wrong: "guessed"})
        peer.says(said)
        peer.end()
        assert end.log.count(": up, ") == 0
        if wrong == "VIPD_LINK_SECRET":
            assert "the peer refuses" in end.refused()


def test_a_noisy_line_loses_frames_and_delivers_no_bad_one(guest: Guest, end: End) -> None:
    with (
        Cable(end.host, guest.sockets[VIRTIO]) as cable,
        Peer(guest, VIRTIO, f"noauth {THERE}:{HERE} +ipv6 mru 1280"),
    ):
        up(end, cable, "--mru", "1280").is_up()
        cable.set_noise(1e-5)
        guest.run("mv /tmp/data /tmp/all; head -c 2000000 /tmp/all >/tmp/data")
        download(end, guest)
        upload(end, 2_000_000)
        guest.run("mv /tmp/all /tmp/data")
        cable.set_noise(0.0)
        found = end.status()
        assert found.faults["bad_fcs"] > 50
        errors = [line for line in guest.run("cat /proc/net/snmp; cat /proc/net/dev").splitlines() if "ppp0" in line]
        assert int(errors[0].split()[3]) > 50  # of what the guest received
        for table in (guest.run("cat /proc/net/snmp"), end.host.run("cat", "/proc/net/snmp").stdout):
            assert kernel_faults(table) == {"Ip InHdrErrors": 0, "Tcp InErrs": 0, "Tcp InCsumErrors": 0}
    print(f"{cable.turned} bits turned: faults {found.faults}, at pppd {errors[0].split()[3]}")


def kernel_faults(table: str) -> dict[str, int]:
    """Of /proc/net/snmp: packets that a kernel was given and that were wrong."""
    lines = [line.split() for line in table.splitlines() if line.startswith(("Ip:", "Tcp:"))]
    return {
        f"{names[0][:-1]} {name}": int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        for name, value in zip(names, values, strict=True)
        if name in ("InHdrErrors", "InErrs", "InCsumErrors")
    }


def test_a_line_that_is_cut_and_restored_carries_again(guest: Guest, end: End) -> None:
    keep_alive = "lcp-echo-interval 1 lcp-echo-failure 3 persist holdoff 1 maxfail 0"
    with (
        Cable(end.host, guest.sockets[VIRTIO]) as cable,
        Peer(guest, VIRTIO, f"noauth {THERE}:{HERE} +ipv6 {keep_alive}"),
    ):
        up(end, cable, "--echo-interval", "1").is_up()
        for number in (2, 3):
            cable.pull()
            end.says(": up, ", 2 * number)
            end.is_up()
            pings(end, guest)
        assert end.status().opened == 3


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("asyncmap ffffffff", []),
        ("asyncmap 0 noaccomp nopcomp nomagic", ["--accm", "000a0000"]),
        ("asyncmap a0000 escape 91,93 mru 1300", ["--no-compress", "--accm", "ffffffff", "--mru", "1400"]),
        ("default-asyncmap default-mru", ["--mru", "2000"]),
    ],
)
def test_whatever_options_an_end_has_they_agree(guest: Guest, end: End, theirs: str, ours: list[str]) -> None:
    with (
        Cable(end.host, guest.sockets[VIRTIO]) as cable,
        Peer(guest, VIRTIO, f"noauth {THERE}:{HERE} +ipv6 {theirs}"),
    ):
        up(end, cable, *ours).is_up()
        pings(end, guest)
        upload(end, 200_000)
        assert end.status().faults == {}
    nothing_malformed(end)


def test_each_end_can_tell_the_other_its_address(guest: Guest, end: End) -> None:
    with Cable(end.host, guest.sockets[VIRTIO]) as cable:
        with Peer(guest, VIRTIO, f"noauth {THERE}:{HERE} +ipv6"):
            up(end, cable, ipv4=":").is_up()
            pings(end, guest)
            end.end()
        with Peer(guest, VIRTIO, "noauth noipdefault +ipv6"):
            up(end, cable).is_up()
            pings(end, guest)
