"""Whatever comes in, on Ethernet or a line: all that is told of it can be read, and stands there once."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from copy import deepcopy
from typing import Final

import pytest
from rich.console import Console

from tests.support.oracle import Alone, Runner, Session
from tests.support.oracle.choices import Choices
from tests.support.oracle.network import PORTS, has_ethernet
from tests.support.oracle.worlds import LOCAL
from vipd.cli.explain_json import as_json
from vipd.cli.explain_view import Shown, show
from vipd.explain.question import Packet
from vipd.explain.scene import Names, Scene
from vipd.explain.telling import told
from vipd.explain.verdict import Answers
from vipd.explain.walk import Walk, walk
from vipd.spec import Decision, Ingress

NAMES: Final = Names({port.ifindex: name for name, port in PORTS.items()}, {})
STEPS: Final = 60


class Explained(Alone):
    """Each packet is explained before it is sent."""

    explained = 0

    def send(self, port: str, frame: bytes) -> Decision:
        scene = Scene(self.configuration, deepcopy(self.state), self.routes, self.now, NAMES, {})
        done = walk(scene, Packet(frame, Ingress(PORTS[port].ifindex, has_ethernet(port))))
        require_readable(done, scene)
        self.explained += 1
        return super().send(port, frame)


def require_readable(done: Walk, scene: Scene) -> None:
    lines = Counter(line for part in told(done, scene, scene.now) for line in part.lines)
    assert [line for line, times in lines.items() if times > 1] == []
    # A frame that leaves is read where its packet begins.
    assert not done.left or done.left[0] >> 4 in (4, 6), done.decision.outcome
    answers = Answers(scene, [done])
    assert json.loads(json.dumps(as_json(answers, "test")))["packets"][0]["outcome"] == done.decision.outcome
    screen = io.StringIO()
    show(Console(file=screen, width=100), answers, Shown(rules=False, octets=True, brief=False, as_json=False))
    assert done.decision.outcome in screen.getvalue()


@pytest.mark.parametrize(("seed", "buckets"), [(1, 16), (2, 1), (3, 16), (4, 2)])
def test_all_of_it_is_told_and_nothing_twice(seed: int, buckets: int) -> None:
    director, chance = Explained(buckets, frozenset(LOCAL.values())), random.Random(seed)
    session = Session(Runner(director), Choices(chance.randbytes(64)))
    for _ in range(STEPS):
        session.step(Choices(chance.randbytes(24)))
    assert director.explained > 20
