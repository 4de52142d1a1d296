"""The names of outcomes and events, against the data plane's own."""

from __future__ import annotations

from vipd.dataplane import _abi
from vipd.model.outcome import EVENTS, OUTCOMES, Action, action


def test_outcomes_are_those_of_the_data_plane_in_its_order() -> None:
    names = [outcome.name.lower() for outcome in _abi.Outcome]
    assert names == ["continue", *OUTCOMES, "outcome_count"]


def test_events_are_those_of_the_data_plane_in_its_order() -> None:
    assert [event.name.lower() for event in _abi.Event] == [*EVENTS, "count"]


def test_the_first_word_of_an_outcome_is_its_action() -> None:
    assert {action(name) for name in OUTCOMES} == set(Action)
    assert action("forward_dr") is Action.FORWARD
    assert action("drop_martian") is Action.DROP


def test_each_meaning_is_one_sentence() -> None:
    for name, text in {**OUTCOMES, **EVENTS}.items():
        assert text[0].isupper(), name
        assert text.endswith("."), name
        assert text.count(". ") == 0, name
    assert len({*OUTCOMES.values(), *EVENTS.values()}) == len(OUTCOMES) + len(EVENTS)
