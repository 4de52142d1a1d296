"""Every golden stimulus through vipd: what comes out is what IPVS sent, but for the differences that are told.

Through the BPF program and through the specification: the goldens are none of ours, so that both can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import pytest

from tests.golden import data
from tests.golden.cases import cases
from tests.golden.expected import differences, expected
from tests.golden.ours import Vipd
from tests.golden.play import play
from tests.golden.site import Site
from tests.golden.specified import Specified
from tests.support.planes import bpf_file_system

GOLDENS: Final = data.load()
Ours: TypeAlias = Vipd | Specified
each_golden = pytest.mark.parametrize("recorded", GOLDENS.cases, ids=lambda recorded: recorded.case.name)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["program", "specification"])
def vipd(site: Site, request: pytest.FixtureRequest) -> Iterator[Ours]:
    with bpf_file_system() as root, site.wires.entered():
        made = Vipd(site, root) if request.param == "program" else Specified(site)
        yield made
        made.close()


@pytest.mark.root
@each_golden
def test_what_comes_out_is_what_ipvs_sends_but_for_what_is_told(vipd: Ours, recorded: data.Recorded) -> None:
    wanted, _ = expected(recorded)
    before = len(vipd.outcomes)
    for step, want, ours in zip(recorded.case.steps, wanted, play(vipd, recorded.case), strict=True):
        assert ours.lines() == want.lines(), f"{recorded.case.name}#{step.label}, outcomes: {vipd.outcomes[before:]}"


def test_every_difference_that_is_told_is_shown() -> None:
    shown = {each for recorded in GOLDENS.cases for each in expected(recorded)[1]}
    told = {(difference.what, pattern) for difference in differences() for pattern in difference.where}
    assert told - shown == set()


def test_the_goldens_are_of_the_stimuli_that_are_made_now() -> None:
    """Where this fails: make goldens."""
    assert {recorded.case.name: recorded.case for recorded in GOLDENS.cases} == {case.name: case for case in cases()}


def test_the_file_is_written_as_it_is_read() -> None:
    assert data.dump(GOLDENS) == data.FILE.read_text()
