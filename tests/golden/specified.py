"""The goldens' stimuli through the specification: the same rules as the data plane's, and no program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from tests.golden.data import INNER, OUT, Frame
from tests.golden.play import told
from tests.golden.services import SERVICES, Service, configuration
from tests.golden.site import Site
from tests.support.oracle import Alone
from tests.support.oracle.network import PORTS
from tests.support.planes import SECRET
from tests.support.wires import CLIENT
from vipd.config import loads
from vipd.model.director import Transport
from vipd.model.keys import hash_keys
from vipd.model.outcome import Action
from vipd.spec.configuration import TICK, Keys
from vipd.spec.state import Entry, Flow, Load

_BUCKETS: Final = 1024
_SLOTS: Final = 1 << 20
_PORT: Final = {OUT: "out", INNER: "in"}
_WIRE: Final = {PORTS[port].ifindex: wire for wire, port in _PORT.items()}


class Specified:
    """The site is asked for what the kernel makes of packets that it is left."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.outcomes: list[str] = []
        "Of every frame, in their order."
        own = frozenset(ip_address(each.address) for name in ("local4", "local6") for each in SERVICES[name].servers)
        low, high = hash_keys(SECRET)[0]
        keys = Keys((low, high), tuple(hash_keys(SECRET)[1]))
        self._alone = Alone(_BUCKETS, own, _SLOTS, keys)
        self.restore()

    def close(self) -> None:
        """Nothing is left."""

    def _configure(self, services: Mapping[str, Service]) -> None:
        self._alone.configure(loads(configuration(services.values())).director.services)

    def act(self, words: list[str]) -> None:
        verb, name, *_ = words
        if verb != "set":
            self._configure({**SERVICES, name: SERVICES[name].after(verb)})

    def restore(self) -> None:
        self._configure(SERVICES)

    def exchange(self, frame: Frame) -> tuple[Frame, ...]:
        decision = self._alone.send(_PORT[frame.wire], frame.raw)
        self.outcomes.append(decision.outcome)
        if decision.action is Action.DROP:
            return ()
        if decision.egress is None:
            return self._site.exchange(Frame(frame.wire, decision.frame))
        return (Frame(_WIRE[decision.egress], decision.frame),)

    def connection(self, port: int) -> str:
        found = [
            told(entry.state, self._left(entry), entry.reply.source_port if entry.reply else flow.destination_port)
            for flow, entry in self._clients()
            if flow.source_port == port and str(flow.source) in CLIENT.values()
        ]
        return ", ".join(sorted(found))

    def _clients(self) -> Iterator[tuple[Flow, Entry]]:
        for flow, entry in self._alone.state.connections.items():
            if isinstance(entry, Entry):
                yield flow, entry

    def _left(self, entry: Entry) -> float:
        return (entry.expires - self._alone.now // TICK) * TICK / 1e9

    def counts(self, service: Service) -> str:
        told_of = self._alone.configuration
        loads_of = self._alone.state.loads
        found = [
            loads_of.get(number) or Load()
            for number, server in told_of.servers.items()
            if (at := told_of.services[server.service].endpoint).first_port == service.port
            and at.transport is Transport.TCP
            and at.vip.version == service.family
        ]
        return ", ".join(f"{each.active}/{each.inactive}" for each in found)
