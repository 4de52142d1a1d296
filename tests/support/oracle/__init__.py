"""One packet through both: the BPF program and the specification, compared in all that they do.

with pairs(Wires(), buckets=16) as pair:
    pair.configure(services)
    decision = pair.send("out", frame)  # raises Disagreement where the two differ

`Runner` carries out steps of scripts, `Session` makes them up, `Alone` is the specification without the program.
"""

from tests.support.oracle.alone import Alone
from tests.support.oracle.pair import Disagreement, Pair, pairs
from tests.support.oracle.runner import Cell, Runner, replay
from tests.support.oracle.script import Script
from tests.support.oracle.session import Session

__all__ = ["Alone", "Cell", "Disagreement", "Pair", "Runner", "Script", "Session", "pairs", "replay"]
