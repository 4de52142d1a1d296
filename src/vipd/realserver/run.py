"""Up, down and status of a real server: compares the plan with the kernel, carries out the rest, remembers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vipd.errors import DirectorError, EnvironmentProblem
from vipd.realserver import journal
from vipd.realserver.carry import do, undo
from vipd.realserver.decapsulator import OBJECT, outcomes
from vipd.realserver.journal import Journal, Record
from vipd.realserver.observe import listing, makeable, observe
from vipd.realserver.options import Facts, Options
from vipd.realserver.plan import Plan, kinds_in_question, plan
from vipd.realserver.steps import HELD, AddLink, AddTable, SetSysctl, Step


@dataclass(frozen=True, slots=True)
class Item:
    """One step and what is wrong with it, if anything."""

    step: Step
    lack: str
    ours: bool
    "Done by `up`, so that `down` takes it back."


@dataclass(frozen=True, slots=True)
class Report:
    options: Options
    items: tuple[Item, ...]
    outcomes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def complete(self) -> bool:
        return all(item.lack == HELD for item in self.items)


def commands(options: Options) -> tuple[str, ...]:
    """What a shell would do instead of `up`. Changes nothing."""
    # The journal is root's; without it the commands are those for a machine that `up` never saw.
    known = None if os.geteuid() else _known(options.instance)
    made, facts = _plan(options, known)
    lacking = [command for step in made.steps if _lack(step, facts, known) for command in step.commands()]
    stale = known.done if known else ()
    return (*lacking, *_undoing(stale, keep=frozenset(step.key for step in made.steps)))


def up(options: Options) -> Report:
    """Either all steps are in force afterwards, or those of this call are taken back."""
    _require_root()
    with journal.locked():
        known = _known(options.instance)
        made, facts = _plan(options, known)
        held = known or Journal(journal.namespace(), made.options)
        held = replace(held, options=made.options, wanted=made.steps)
        first = held
        try:
            for step in made.steps:
                held = _take(step, facts, held)
        except (DirectorError, KeyboardInterrupt):
            # What is stored knows of the step that failed midway, too.
            stored = journal.load(options.instance)
            if stored:
                _take_back(stored, keep=frozenset(record.step.key for record in first.done))
            if known:
                journal.store(known)
            raise
        journal.store(held)
        _take_back(held, keep=frozenset(step.key for step in made.steps))
        return _report(_known(options.instance) or held)


def down(instance: str) -> tuple[str, ...]:
    """Undo what `up` did, newest first; what was left alone because others changed it since."""
    _require_root()
    with journal.locked():
        known = _known(instance)
        if known is None:
            journal.forget(instance)
            return ()
        return _take_back(known, keep=frozenset())


def status(instance: str) -> Report | None:
    """None where nothing was set up."""
    known = _known(instance)
    return _report(known) if known else None


def undoing(instance: str) -> tuple[str, ...]:
    """The commands that do what `down` would do."""
    known = _known(instance)
    return _undoing(known.done if known else (), keep=frozenset())


def _undoing(records: tuple[Record, ...], keep: frozenset[str]) -> tuple[str, ...]:
    found: list[str] = []
    for record in reversed(records):
        step = record.step
        if step.key not in keep:
            found += step.undoing(record.before) if isinstance(step, SetSysctl) else step.undoing()
    return tuple(found)


def _plan(options: Options, known: Journal | None) -> tuple[Plan, Facts]:
    facts = observe(options.instance)
    facts = replace(facts, kinds=makeable(kinds_in_question(options, facts)))
    return plan(options, _without_ours(facts, known), str(OBJECT)), facts


def _without_ours(facts: Facts, known: Journal | None) -> Facts:
    """As if `up` had not been: a second plan must not depend on the first one's effects."""
    if known is None:
        return facts
    before = {r.step.path: r.before for r in known.done if isinstance(r.step, SetSysctl)}
    return replace(facts, sysctls={**facts.sysctls, **before})


def _known(instance: str) -> Journal | None:
    known = journal.load(instance)
    if known and known.namespace != journal.namespace():
        raise EnvironmentProblem(
            f"instance {instance} was set up in another network namespace (or before a restart of it); "
            f"run this there, or remove {journal.DIRECTORY / instance} if that namespace is gone"
        )
    return known


def _lack(step: Step, facts: Facts, known: Journal | None) -> str:
    record = known.record(step.key) if known else None
    if record and isinstance(step, AddTable):
        return step.lack(facts, record.listing) if record.step == step else "is another one"
    return step.lack(facts)


def _take(step: Step, facts: Facts, held: Journal) -> Journal:
    """The step's intent is stored before it is taken, so that a crash leaves nothing unknown."""
    record = held.record(step.key)
    if not _lack(step, facts, held):
        if record is None and isinstance(step, AddTable):
            raise EnvironmentProblem(f"{step.key} is there and not ours; remove it, or choose another --instance")
        return held
    if record is None:
        if isinstance(step, AddLink) and facts.link(step.name):
            raise EnvironmentProblem(f"{step.key} is there and not ours: {step.lack(facts)}; remove it")
        record = Record(step, facts.sysctls.get(step.path, 0) if isinstance(step, SetSysctl) else 0)
    held = _with(held, replace(record, step=step))
    journal.store(held)
    do(step)
    if isinstance(step, AddTable):
        held = _with(held, replace(record, step=step, listing=listing(step.family, step.name)))
        journal.store(held)
    return held


def _with(held: Journal, record: Record) -> Journal:
    if held.record(record.step.key):
        return replace(held, done=tuple(record if old.step.key == record.step.key else old for old in held.done))
    return replace(held, done=(*held.done, record))


def _take_back(held: Journal, keep: frozenset[str]) -> tuple[str, ...]:
    """Newest first; each is forgotten once it is undone, so that a crash here can be gone on from."""
    left = []
    for record in reversed(held.done):
        if record.step.key in keep:
            continue
        if not _handed_over(record, held.options.instance):
            left += _undo(record, held.options.instance)
        held = replace(held, done=tuple(other for other in held.done if other is not record))
        if keep or held.done:
            journal.store(held)
    if not keep:
        journal.forget(held.options.instance)
    return tuple(left)


def _undo(record: Record, instance: str) -> list[str]:
    """What others have changed since is theirs."""
    step, facts = record.step, observe(instance)
    if isinstance(step, SetSysctl):
        present = facts.sysctls.get(step.path)
        if present not in (None, step.value, record.before):
            return [f"{step.key}: is {present}, neither ours ({step.value}) nor as it was ({record.before}); left so"]
    link = facts.link(step.name) if isinstance(step, AddLink) else None
    if isinstance(step, AddLink) and link and link.kind != step.kind:
        return [f"{step.key}: is of kind {link.kind or 'none'} now, not ours; left so"]
    undo(step, record.before)
    return []


def _handed_over(record: Record, instance: str) -> bool:
    """Another instance here needs the same step: from now on it is that one's to undo."""
    for other in journal.others(instance):
        if any(step == record.step for step in other.wanted) and not other.record(record.step.key):
            journal.store(replace(other, done=(record, *other.done)))
            return True
    return False


def _report(known: Journal) -> Report:
    facts = observe(known.options.instance)
    items = tuple(Item(step, _lack(step, facts, known), known.record(step.key) is not None) for step in known.wanted)
    return Report(known.options, items, outcomes(known.options.instance))


def _require_root() -> None:
    if os.geteuid():
        raise EnvironmentProblem("root is needed; --print shows the commands without running them")
