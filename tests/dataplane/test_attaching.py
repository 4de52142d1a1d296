"""The program on interfaces: native or generic, beside nobody else's, there again after a loss."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.planes import bpf_file_system, in_network_namespace, opened
from vipd.dataplane.links import Attachment, links
from vipd.dataplane.xdp import XdpDataplane
from vipd.errors import DataplaneError, EnvironmentProblem

pytestmark = pytest.mark.root

LOOPBACK = 1


def ip(command: str) -> str:
    return subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True).stdout


def index_of(name: str) -> int:
    return int(ip(f"-o link show dev {name}").split(":")[0])


def veth() -> int:
    ip("link add left0 type veth peer name right0")
    ip("link set left0 up")
    ip("link set right0 up")
    return index_of("left0")


def attempt(body: Callable[[XdpDataplane], None]) -> None:
    """The body, with a data plane, in a network namespace of its own."""

    def run() -> None:
        with bpf_file_system() as root:
            plane = opened(root)
            try:
                body(plane)
            finally:
                plane.down()

    in_network_namespace(run)


def test_a_driver_with_xdp_runs_it_natively() -> None:
    def body(plane: XdpDataplane) -> None:
        number = veth()
        assert plane.interfaces.attach(number, "left0") == Attachment(number, "native")
        assert plane.interfaces.attached() == (Attachment(number, "native"),)
        assert "xdp" in ip("link show dev left0")
        plane.interfaces.detach(number)
        assert plane.interfaces.attached() == ()
        assert "xdp" not in ip("link show dev left0")

    attempt(body)


def test_a_driver_without_xdp_gets_it_generic_and_the_reason_is_told() -> None:
    def body(plane: XdpDataplane) -> None:
        attachment = plane.interfaces.attach(LOOPBACK, "lo")
        assert attachment.mode == "generic"
        assert attachment.reason == "Operation not supported"

    attempt(body)


def test_attaching_twice_does_nothing() -> None:
    def body(plane: XdpDataplane) -> None:
        number = veth()
        plane.interfaces.attach(number, "left0")
        before = list(links(plane.pins.directory))
        assert plane.interfaces.attach(number, "left0").mode == "native"
        assert list(links(plane.pins.directory)) == before

    attempt(body)


def test_somebody_elses_program_is_left_alone() -> None:
    other = Path(__file__).parents[2] / "src" / "vipd" / "bpf" / "pass.bpf.o"

    def body(plane: XdpDataplane) -> None:
        number = veth()
        ip(f"link set dev left0 xdp obj {other} sec xdp.frags")
        with pytest.raises(DataplaneError, match=r"left0 has an XDP program of somebody else's \(.*program \d+\)"):
            plane.interfaces.attach(number, "left0")
        assert plane.interfaces.attached() == ()
        assert "xdp" in ip("link show dev left0")
        ip("link set dev left0 xdp off")
        assert plane.interfaces.attach(number, "left0").mode == "native"

    attempt(body)


def test_an_interface_that_is_not_there_is_named() -> None:
    def body(plane: XdpDataplane) -> None:
        with pytest.raises(EnvironmentProblem, match="nowhere0: there is no such interface"):
            plane.interfaces.attach(99, "nowhere0")

    attempt(body)


def test_an_interface_that_went_and_came_is_attached_to_again() -> None:
    def body(plane: XdpDataplane) -> None:
        number = veth()
        plane.interfaces.attach(number, "left0")
        ip("link del left0")
        assert plane.interfaces.attached() == ()
        ip(f"link add left0 index {number} type veth peer name right0")
        assert plane.interfaces.attach(number, "left0").mode == "native"
        assert plane.interfaces.attached() == (Attachment(number, "native"),)

    attempt(body)


def test_the_program_stays_when_the_director_goes() -> None:
    def body(plane: XdpDataplane) -> None:
        number = veth()
        plane.interfaces.attach(number, "left0")
        directory = plane.pins.directory
        plane.close()
        assert [link.ifindex for link in links(directory)] == [number]
        again = opened(directory.parent)
        assert again.interfaces.attached() == (Attachment(number, "native"),)
        again.close()

    def run() -> None:
        with bpf_file_system() as root:
            body(opened(root))
            opened(root).down()

    in_network_namespace(run)
