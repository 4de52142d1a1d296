"""The names of outcomes and events, against the data plane's own."""

from __future__ import annotations

import re

from vipd.dataplane import _abi
from vipd.model.outcome import EVENTS, OUTCOMES, REMEDIES, Action, action, remedy


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


def test_every_outcome_and_event_of_the_data_plane_says_what_to_do() -> None:
    names = {each.name.lower() for kind in (_abi.Outcome, _abi.Event) for each in kind}
    assert names - {"continue", "outcome_count", "count"} == REMEDIES.keys()
    for name, text in REMEDIES.items():
        assert text[0].isupper(), name
        assert text.endswith("."), name
        assert "|" not in text, f"{name}: would break the table in outcomes.md"


def test_what_to_do_refers_to_what_exists() -> None:
    for text in REMEDIES.values():
        for name in re.findall(r"(?:As|as) for (\w+)", text):
            assert not REMEDIES[name].startswith("As for"), f"{text!r} refers on"


def test_nothing_is_to_be_done_where_all_is_well() -> None:
    assert remedy("forward_dr") == remedy("connection_new") == ""
    assert remedy("drop_no_server") == REMEDIES["drop_no_server"]
    assert {name for name in OUTCOMES if name.startswith("drop") and not remedy(name)} == set()
