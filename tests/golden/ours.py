"""The goldens' stimuli through vipd: configured by its own control plane, each frame by the BPF program itself.

What XDP passes on is put on the wire as it then is, for the kernel to route, answer or drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.golden.data import INNER, OUT, Frame
from tests.golden.play import told
from tests.golden.services import SERVICES, Service, configuration
from tests.golden.site import Site
from tests.support.bpf import XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX
from tests.support.planes import SECRET, opened
from tests.support.wires import CLIENT, INNER_MAC, OUT_MAC
from vipd.config import loads
from vipd.control import desired, plan, policies
from vipd.dataplane.pins import Sizes
from vipd.dataplane.port import Port
from vipd.drivers.network import Network
from vipd.model.director import Transport

_CONNECTIONS: Final = 4096


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


_WIRE_OF: Final = {_mac(OUT_MAC): OUT, _mac(INNER_MAC): INNER}


class Vipd:
    """Lives in the site's namespace, which the caller has entered."""

    def __init__(self, site: Site, root: Path) -> None:
        self._site = site
        self.outcomes: list[str] = []
        "Of every frame, in their order."
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
        wanted = desired(director, lambda address: ways[address].egress, SECRET)
        self._plane.set_timeouts(director.timeouts)
        self._plane.apply(plan(wanted, self._plane.held(), policies(director)))

    def act(self, words: list[str]) -> None:
        verb, name, *_ = words
        if verb != "set":
            self.configure({**SERVICES, name: SERVICES[name].after(verb)})

    def restore(self) -> None:
        self.configure(SERVICES)

    def exchange(self, frame: Frame) -> tuple[Frame, ...]:
        before = self._plane.totals().outcomes
        run = self._plane.pins.director.run(frame.raw, ifindex=self._ifindex[frame.wire])
        [outcome] = [name for name, count in self._plane.totals().outcomes.items() if count != before[name]]
        self.outcomes.append(outcome)
        if run.action == XDP_DROP:
            return ()
        if run.action == XDP_PASS:
            return self._site.exchange(Frame(frame.wire, run.frame))
        assert run.action in (XDP_TX, XDP_REDIRECT), f"XDP action {run.action} of {outcome}"
        # The test run does not tell where to, but the frame has its sender's MAC.
        return (Frame(frame.wire if run.action == XDP_TX else _WIRE_OF[run.frame[6:12]], run.frame),)

    def connection(self, port: int) -> str:
        known = self._plane.connections()
        found = [each for each in known if each.client_port == port and str(each.client) in CLIENT.values()]
        return ", ".join(sorted(told(each.state, each.expires, each.server_port) for each in found))

    def counts(self, service: Service) -> str:
        counters = self._plane.counters()
        found = [
            f"{each.active}/{each.inactive}"
            for key, each in counters.items()
            if key.endpoint.first_port == service.port
            and key.endpoint.transport is Transport.TCP
            and key.endpoint.vip.version == service.family
        ]
        return ", ".join(found)
