"""The kernel's own answer to which way an address is: bpf_fib_lookup's, as the director gets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from struct import Struct
from typing import Final

from vipd.dataplane.program import Object, Program
from vipd.model.director import Address
from vipd.spec.routes import Answer, Way

REHEARSAL: Final = Path(__file__).parents[1] / "bpf" / "rehearsal.bpf.o"
_FIB: Final = Struct("=BBHHHII16s16sI6s6s")
"struct bpf_fib_lookup: family, protocol, ports, mtu_result, ifindex, …, source, destination, VLAN, MACs."
_RESIZABLE: Final = {1, 2, 5, 6, 9, 10, 11}
"Arrays, hashes and tries, of each processor or of all."
_FAMILIES: Final = {4: 2, 6: 10}
_ANSWERS: Final = {0: Answer.NEIGHBOUR, 6: Answer.ENCAPSULATED, 7: Answer.NO_NEIGHBOUR}
"BPF_FIB_LKUP_RET_SUCCESS, _UNSUPP_LWT, _NO_NEIGH."


def way_to(program: Program, ingress: int, destination: Address) -> Way:
    """`program`: ask_route. `ingress`: an interface of the caller's network namespace."""
    to = destination.packed.ljust(16, b"\0")
    question = _FIB.pack(_FAMILIES[destination.version], 0, 0, 0, 0, ingress, 0, bytes(16), to, 0, b"", b"")
    run = program.run(question, ifindex=ingress)
    family, _, _, _, mtu, ifindex, _, _, found, _, source, mac = _FIB.unpack(run.frame)
    answer = _ANSWERS.get(run.action, Answer.NO_ROUTE)
    if answer is not Answer.NEIGHBOUR:
        return Way(answer, ifindex, mtu)
    size = 4 if isinstance(destination, IPv4Address) else 16
    direct = family == _FAMILIES[destination.version] and found[:size] == destination.packed
    return Way(answer, ifindex, mtu, mac, source, not direct)


class KernelRoutes:
    """As `spec.routes.Routes`. Each way is asked for once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._known: dict[tuple[int, Address], Way] = {}

    def ask(self, ingress: int, destination: Address) -> Way:
        key = ingress, destination
        if key not in self._known:
            self._known[key] = way_to(self._program, ingress, destination)
        return self._known[key]

    def forget(self) -> None:
        self._known.clear()


@contextmanager
def kernel_routes() -> Iterator[KernelRoutes]:
    """Of this network namespace."""
    with Object(REHEARSAL) as built:
        # Maps are made with the object, and asking needs none of them.
        for name in built.map_names:
            if built.shape(name).type in _RESIZABLE:
                built.resize(name, 1)
        built.leave_out("sweep_all")
        built.load()
    try:
        yield KernelRoutes(built.programs["ask_route"])
    finally:
        built.discard()
