"""Under NAT, services that share a server's address and port: a reply must show whose it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vipd.model.director import Address, Method
from vipd.simulation.course import Course
from vipd.simulation.standing import NOBODY

_NAME: Final = 23
"Bytes: client, port, server, director."


def collisions(courses: Sequence[Course]) -> int:
    """Connections that would end as drop_collision: the other one of that client, port and server is still open."""
    shared = _shared(courses)
    names: list[NDArray[np.uint8]] = []
    begins, ends = [], []
    for number, course in enumerate(courses):
        mine = shared[number]
        if not mine.any():
            continue
        flows, server = course.flows, course.standing.server
        rows = np.flatnonzero(np.append(mine, np.zeros(NOBODY + 1 - len(mine), np.int64))[server] > 0)
        name = np.zeros((len(rows), _NAME), np.uint8)
        name[:, : flows.addresses.shape[1]] = flows.sources(rows)
        name[:, 16:18] = flows.port[rows].astype(">u2").view(np.uint8).reshape(-1, 2)
        name[:, 18:22] = mine[server[rows]].astype(">u4").view(np.uint8).reshape(-1, 4)
        name[:, 22] = course.standing.home[rows]
        names.append(name)
        begins.append(flows.start[rows])
        ends.append(flows.end[rows] if flows.is_tcp else course.standing.gone[rows])
    if not names:
        return 0
    _, group = np.unique(np.concatenate(names).view(f"V{_NAME}").reshape(-1), return_inverse=True)
    begin, end = np.concatenate(begins), np.concatenate(ends)
    order = np.lexsort((begin, group))
    group, begin, end = group[order], begin[order], end[order]
    return int(((group[1:] == group[:-1]) & (begin[1:] < end[:-1])).sum())


def _shared(courses: Sequence[Course]) -> list[NDArray[np.int64]]:
    """Of each course's members, the number of an address and port that another service has too; 0 for others."""
    found: dict[tuple[Address, int, int], set[int]] = {}
    for number, course in enumerate(courses):
        for member in course.cast.members:
            if member.method is Method.NAT and (member.port or course.cast.endpoint.single_port):
                key = member.address, course.flows.protocol, member.port or course.cast.endpoint.first_port
                found.setdefault(key, set()).add(number)
    numbers = {key: n for n, (key, of) in enumerate(found.items(), start=1) if len(of) > 1}
    return [
        np.array(
            [
                numbers.get((member.address, course.flows.protocol, member.port or course.cast.endpoint.first_port), 0)
                if member.method is Method.NAT
                else 0
                for member in course.cast.members
            ],
            np.int64,
        )
        for course in courses
    ]
