"""Cisco HDLC against Linux's own, which nobody here wrote, in a virtual machine with Debian's kernel.

That kernel knows the protocol (hdlc_cisco) and has no hardware for it: a driver of a few lines
gives its frames to a file, and `Hardware` makes a line of bits, or of octets, of them.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.interop import hdlcline
from tests.interop.console import PORT, Guest
from tests.interop.frames import Hardware
from tests.interop.image import kernel_for
from tests.support.lan import eventually
from tests.support.links import End
from vipd.link.codec import AsyncCodec, BitCodec, Codec
from vipd.wire.fcs import FCS16, FCS32

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

LIFE: Final = 800
HERE, THERE = "10.9.0.1", "10.9.0.2"
HERE6, THERE6 = "2001:db8:9::1", "2001:db8:9::2"
LISTEN: Final = 7001
SIZE: Final = 2_000_000
PATIENCE: Final = 120.0


def octets() -> Codec:
    made = AsyncCodec(FCS16, 1500)
    made.reframe(0, 0)  # nothing of this line eats control characters, and nobody negotiates that
    return made


CODECS: Final[dict[tuple[str, int], Callable[[], Codec]]] = {
    ("bit", 16): lambda: BitCodec(FCS16, 1500),
    ("bit", 32): lambda: BitCodec(FCS32, 1500),
    ("async", 16): octets,
}


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("guest")
    module, sethdlc = hdlcline.build(tmp_path_factory.mktemp("module"), kernel_for({}))
    with Guest(folder, LIFE, (module, sethdlc)) as made:
        made.run(f"modprobe hdlc_cisco && insmod {module} && {sethdlc} hdlc0 1 4")
        # Whoever opens the port first has it alone. It ends for who reads as long as nobody is at its other end.
        made.run(
            f"exec 3<>{PORT}; (while :; do cat <&3 >/dev/hdlcline; sleep 0.1; done) & cat </dev/hdlcline >&3 & true"
        )
        made.run(f"ip link set hdlc0 up; ip addr add {THERE}/30 dev hdlc0; ip addr add {THERE6}/64 dev hdlc0")
        made.run(f"(while :; do nc -l -p {LISTEN} -e sha256sum; done) </dev/null >/dev/null 2>&1 &")
        yield made


@pytest.fixture
def end(tmp_path: Path) -> Iterator[End]:
    made = End(f"lkh{os.getpid() % 1_000_000}", "a", tmp_path)
    yield made
    made.remove()


def up(end: End, port: int, *options: str, ipv4: str = f"{HERE}:{THERE}") -> End:
    over = ["--over", f"tcp:127.0.0.1:{port}", "--encapsulation", "cisco-hdlc", "--echo-interval", "1"]
    return end.start(*over, "--ipv4", ipv4, "--ipv6", "--address", f"{HERE6}/64", *options)


@pytest.mark.parametrize(("framing", "fcs"), CODECS)
def test_linux_and_we_hear_each_other(guest: Guest, end: End, framing: str, fcs: int) -> None:
    with Hardware(end.host, guest.sockets[PORT], CODECS[framing, fcs]) as hardware:
        up(end, hardware.port, "--framing", framing, "--fcs", str(fcs)).is_up()
        guest.eventually("grep -q up /sys/class/net/hdlc0/operstate")
        for address in (THERE, THERE6):
            ping = ("ping", "-c", "3", "-l", "3", "-i", "10", "-W", "10", "-s", "1400", address)
            assert " 3 received" in end.host.run(*ping, check=False).stdout
        guest.run(f"ping -c 3 -s 1400 {HERE} && ping -6 -c 3 -s 1400 {HERE6}")
        send(end)
        assert end.status().faults == {}
        end.end()
        # No goodbye in this protocol: silence is the end.
        guest.eventually("grep -q dormant /sys/class/net/hdlc0/operstate")


def send(end: End) -> None:
    data = os.urandom(SIZE)
    with end.host.inside(socket.socket) as sender:
        sender.settimeout(PATIENCE)
        sender.connect((THERE, LISTEN))
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(64).decode() == hashlib.sha256(data).hexdigest()


def test_linux_tells_us_the_address_that_is_left(guest: Guest, end: End) -> None:
    with Hardware(end.host, guest.sockets[PORT], CODECS["bit", 16]) as hardware:
        up(end, hardware.port, "--framing", "bit", ipv4=":").is_up()
        assert (end.address(4), str(end.status().families[0].remote)) == (HERE, THERE)


def test_when_linux_falls_silent_no_packet_passes_and_when_it_speaks_again_they_do(guest: Guest, end: End) -> None:
    with Hardware(end.host, guest.sockets[PORT], CODECS["bit", 16]) as hardware:
        up(end, hardware.port, "--framing", "bit").is_up()
        guest.run("ip link set hdlc0 down")
        end.says("IPv4 down")
        eventually(lambda: end.status().families == [])
        guest.run(f"ip link set hdlc0 up; ip addr add {THERE6}/64 dev hdlc0; true")
        end.says(": up, ", 4)
        end.is_up()
        guest.run(f"ping -c 3 {HERE}")
