"""All cases, in their order, which gives each its client's port."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from tests.golden import stimuli_changes, stimuli_icmp, stimuli_ip, stimuli_sizes, stimuli_tcp, stimuli_udp
from tests.golden.data import Case
from tests.golden.talk import numbered

_KINDS: Final = (stimuli_tcp, stimuli_udp, stimuli_ip, stimuli_sizes, stimuli_icmp, stimuli_changes)


def cases() -> Iterator[Case]:
    return numbered(chain.from_iterable(kind.plays() for kind in _KINDS))
