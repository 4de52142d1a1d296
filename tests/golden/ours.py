"""The goldens' stimuli through vipd: configured by its own control plane, each frame by the BPF program itself.

What XDP passes on is put on the wire as it then is, for the kernel to route, answer or drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.golden.data import INNER, OUT, Action, Case, Frame, Seen, Step
from tests.golden.services import SERVICES, Service, configuration
from tests.golden.site import Site
from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.planes import opened
from tests.support.wires import CLIENT, INNER_MAC, OUT_MAC
from vipd.config import loads
from vipd.control import desired, plan, policies
from vipd.dataplane.pins import Sizes
from vipd.dataplane.port import Port
from vipd.drivers.network import Network
from vipd.model.director import Transport

_STEP: Final = 5
_CONNECTIONS: Final = 4096


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


_WIRE_OF: Final = {_mac(OUT_MAC): OUT, _mac(INNER_MAC): INNER}


@dataclass(frozen=True, slots=True)
class Ours:
    seen: Seen
    outcome: str
    "Empty for an action."


class Vipd:
    """Lives in the site's namespace, which the caller has entered."""

    def __init__(self, site: Site, root: Path) -> None:
        self._site = site
        self._ifindex = {OUT: site.wires.out.ifindex, INNER: site.wires.inner.ifindex}
        self._network = Network()
        self._plane = opened(root, sizes=Sizes(_CONNECTIONS))
        self._plane.set_ports(
            [Port(name, self._ifindex[name], mac, redirect=True) for mac, name in _WIRE_OF.items()],
        )
        self.configure(SERVICES)

    def close(self) -> None:
        self._plane.down()
        self._network.close()

    def configure(self, services: Mapping[str, Service]) -> None:
        director = loads(configuration(services.values())).director
        ways = self._network.paths({server.address for each in director.services for server in each.servers})
        wanted = desired(director, lambda address: ways[address].egress, bytes(range(16)))
        self._plane.set_timeouts(director.timeouts)
        self._plane.apply(plan(wanted, self._plane.held(), policies(director)))

    def play(self, case: Case) -> tuple[Ours, ...]:
        try:
            return tuple(self._step(case, step) for step in case.steps)
        finally:
            if any(isinstance(step.does, Action) for step in case.steps):
                self.configure(SERVICES)

    def _step(self, case: Case, step: Step) -> Ours:
        frames: tuple[Frame, ...] = ()
        outcome = ""
        if isinstance(step.does, Frame):
            frames, outcome = self._exchange(step.does)
        else:
            verb, name, *_ = step.does.what.split()
            if verb != "set":
                self.configure({**SERVICES, name: SERVICES[name].after(verb)})
        counts = self._counts(SERVICES[case.service]) if case.alone else ""
        return Ours(Seen(frames, self._connection(case.port), counts), outcome)

    def _exchange(self, frame: Frame) -> tuple[tuple[Frame, ...], str]:
        before = self._plane.totals().outcomes
        run = self._plane.pins.director.run(frame.raw, ifindex=self._ifindex[frame.wire])
        [outcome] = [name for name, count in self._plane.totals().outcomes.items() if count != before[name]]
        match run.action:
            case a if a == XDP_DROP:
                return (), outcome
            case a if a == XDP_PASS:
                return self._site.exchange(Frame(frame.wire, run.frame)), outcome
            case a if a == XDP_TX:
                return (Frame(frame.wire, run.frame),), outcome
            case a if a == XDP_REDIRECT:
                return (Frame(_WIRE_OF[run.frame[6:12]], run.frame),), outcome
        raise AssertionError(f"XDP action {run.action} of {outcome}")

    def _connection(self, port: int) -> str:
        known = self._plane.connections()
        found = [each for each in known if each.client_port == port and str(each.client) in CLIENT.values()]
        told = [f"{each.state.upper()} {round(each.expires / _STEP) * _STEP} to {each.server_port}" for each in found]
        return ", ".join(sorted(told))

    def _counts(self, service: Service) -> str:
        counters = self._plane.counters()
        found = [
            f"{each.active}/{each.inactive}"
            for key, each in counters.items()
            if key.endpoint.first_port == service.port
            and key.endpoint.transport is Transport.TCP
            and key.endpoint.vip.version == service.family
        ]
        return ", ".join(found)
