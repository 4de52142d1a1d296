"""`vipd simulate` from end to end, against a reckoning that goes connection by connection and knows no arrays."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from tests.support.fleets import asked
from vipd.cli.app import app
from vipd.model.director import Scheduler
from vipd.model.keys import hash_keys
from vipd.spec.configuration import TICK, Keys, in_ticks
from vipd.spec.hashes import client_hash, share
from vipd.spec.slots import Candidate, region

SLOTS: Final = 251
SERVERS: Final = [Candidate(ip_address(f"10.0.0.{11 + n}"), 0, weight) for n, weight in enumerate((1, 1, 3, 1, 2))]
GONE: Final = SERVERS[1]
MOMENT: Final = 300_000
"Of its removal, in ms."
FIN_WAIT: Final = in_ticks(120)
"Under DR the director hears of a connection's end from its client alone."
TEXT: Final = f"""
interfaces: [eth0]
services:
  web:
    listen: 192.0.2.10:80/tcp
    method: dr
    scheduler: SCHEDULER
    maglev_slots: {SLOTS}
    servers: [{", ".join(f"{{address: {each.address}, weight: {each.weight}}}" for each in SERVERS)}]
"""


@dataclass(frozen=True)
class Talk:
    client: str
    port: int
    start: int
    "In ms, an even number, and no other's; the end is odd."
    end: int


@dataclass
class Plain:
    """A director of one service that does one thing after the other."""

    scheduler: Scheduler
    secret: bytes
    turn: int = 0
    table: list[Candidate] = field(default_factory=list)
    had: list[tuple[Talk, Candidate]] = field(default_factory=list)

    def serves_by(self, present: list[Candidate]) -> None:
        self.table = [present[place] for place in region(self.scheduler, present, SLOTS, self.secret)]
        self.had = [(talk, at) for talk, at in self.had if at in present]

    def chooses(self, talk: Talk) -> Candidate:
        table = self.table
        match self.scheduler:
            case Scheduler.RR | Scheduler.WRR:
                self.turn += 1
                return table[(self.turn - 1) % len(table)]
            case Scheduler.LC | Scheduler.WLC:
                return min(table, key=lambda each: self._load(each, talk.start))
            case _:
                low, high = hash_keys(self.secret)[0]
                return table[share(client_hash(Keys((low, high)), ip_address(talk.client), 0), len(table))]

    def _load(self, server: Candidate, now: int) -> Fraction:
        mine = [talk for talk, at in self.had if at == server]
        active = sum(talk.end > now for talk in mine)
        closing = sum(talk.end < now and _tick(now) <= _tick(talk.end) + FIN_WAIT for talk in mine)
        return Fraction(256 * active + closing, server.weight if self.scheduler is Scheduler.WLC else 1)

    def takes(self, talk: Talk) -> None:
        self.had.append((talk, self.chooses(talk)))


def _tick(ms: int) -> int:
    return ms * 1_000_000 // TICK


def talks() -> list[Talk]:
    chance = random.Random(7)
    starts = [0, *sorted(chance.sample(range(2, 600_000, 2), 700))]
    return [
        Talk(f"198.51.100.{chance.randrange(1, 120)}", 10_000 + n, start, start + 1 + 2 * chance.randrange(60_000))
        for n, start in enumerate(starts)
        if start != MOMENT
    ]


@pytest.mark.parametrize("scheduler", Scheduler)
def test_every_figure_is_that_of_a_plain_reckoning(scheduler: Scheduler, tmp_path: Path) -> None:
    every = talks()
    config, flows = tmp_path / "vipd.yaml", tmp_path / "flows.csv"
    config.write_text(TEXT.replace("SCHEDULER", scheduler))
    flows.write_text(
        "".join(f"{each.client},{each.port},{each.start / 1000},{(each.end - each.start) / 1000}\n" for each in every)
    )
    words = ["simulate", "-c", str(config), "--flows", str(flows), "--scheduler", scheduler, "--json"]
    result = CliRunner().invoke(app, [*words, "--change", f"@300s remove web {GONE.address}"])
    assert result.exit_code == 0, result.output
    [before, after] = json.loads(result.stdout)["configured"]["endpoints"][0]["acts"]

    plain = Plain(scheduler, asked(text=config.read_text()).secret_of(1))
    plain.serves_by(SERVERS)
    early = [each for each in every if each.start < MOMENT]
    late = [each for each in every if each.start > MOMENT]
    for each in early:
        plain.takes(each)
    told(before, plain.had, MOMENT)
    open_then = [(talk, at) for talk, at in plain.had if talk.end > MOMENT]
    reset = [talk for talk, at in open_then if at == GONE]
    elsewhere = [plain.chooses(each) for each in late] if scheduler in (Scheduler.SH, Scheduler.MH) else []
    plain.serves_by([each for each in SERVERS if each != GONE])
    kept = len(plain.had)
    for each in late:
        plain.takes(each)
    told(after, plain.had[kept:], every[-1].start, plain.had)

    effect = after["effect"]
    tally = effect["connections"]
    assert (tally["open"], tally["undisturbed"], tally["reset"]) == (
        len(open_then),
        len(open_then) - len(reset),
        len(reset),
    )
    assert effect["least"] == len(reset) > 0
    if elsewhere:
        moved = sum(former != at for former, (_, at) in zip(elsewhere, plain.had[kept:], strict=True))
        assert effect["elsewhere"] == moved / len(late) > 0
    else:
        assert effect["elsewhere"] is None


def told(act: dict[str, Any], new: list[tuple[Talk, Candidate]], until: int, had: Any = None) -> None:
    """Of each server: new connections, and those that are open at the end."""
    servers = {each["server"]: each for each in act["servers"]}
    for server in SERVERS:
        found = servers[str(server.address)]
        assert found["connections"] == sum(at == server for _, at in new), server
        assert found["open"] == sum(talk.end > until for talk, at in had or new if at == server), server
    weights = {server: server.weight for server in SERVERS if servers[str(server.address)]["present"]}
    most = max(Fraction(sum(at == server for _, at in new), weight) for server, weight in weights.items())
    assert act["imbalance"]["connections"] == pytest.approx(most / Fraction(len(new), sum(weights.values())))
