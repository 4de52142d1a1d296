"""The network phase (RFC 1661 3.6): IPCP and IPV6CP side by side, and which family may pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final, TypeAlias

from vipd.model.link import Down, Up
from vipd.ppp.admission import Outgoing
from vipd.ppp.automaton import Event, State
from vipd.ppp.control import ControlProtocol, Identifiers, Signal
from vipd.ppp.control import Output as ControlOutput
from vipd.ppp.drops import Drops
from vipd.ppp.ipcp import IpcpPolicy
from vipd.ppp.ipv6cp import Ipv6cpPolicy
from vipd.ppp.negotiation import Random
from vipd.ppp.settings import Settings
from vipd.wire.ppp import Packet, Protocol

Item: TypeAlias = Outgoing | Up | Down
_CONTROLS: Final = {4: Protocol.IPCP, 6: Protocol.IPV6CP}
"By IP's version."
_FIRST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 600.0
"Seconds until a family that the peer did not agree on is tried again, while the other one is up."
_CONTROL: Final = 0x8000
"The bit by which a network protocol's control protocol differs from it (RFC 1661 section 2)."
_OVER: Final = (State.INITIAL, State.STARTING, State.CLOSED, State.STOPPED)


class Layer:
    """One family while the network phase lasts."""

    def __init__(self, version: int, policy: IpcpPolicy | Ipv6cpPolicy, mtu: int, make: Callable[[], ControlProtocol]):
        self.number = _CONTROLS[version]
        self.version = version
        self.policy = policy
        self.control = make()
        self.up = False
        self._mtu = mtu
        self._make = make
        self._retry_at = inf
        self._pause = _FIRST_PAUSE

    @property
    def deadline(self) -> float:
        return min(self.control.deadline, self._retry_at)

    def begin(self, now: float) -> list[Item]:
        self.policy.renew()
        self.control = self._make()
        self.control.largest = self._mtu
        self._retry_at = inf
        return self.take(self.control.fire(Event.OPEN, now) + self.control.fire(Event.UP, now), now)

    def tick(self, now: float) -> list[Item]:
        if now < self._retry_at:
            return self.take(self.control.tick(now), now)
        self._retry_at = inf
        return self.begin(now) if self.control.state in (State.CLOSED, State.STOPPED) else []

    def take(self, outputs: list[ControlOutput], now: float) -> list[Item]:
        items: list[Item] = []
        for output in outputs:
            match output:
                case Packet():
                    items.append(Outgoing(self.number, output))
                case Signal.UP:
                    items += self._come_up(now)
                case Signal.DOWN if self.up:
                    self.up = False
                    items.append(Down(self.version, self.control.reason or "the peer negotiates anew"))
                case _:
                    pass
        if self.control.state in (State.CLOSED, State.STOPPED) and not self.control.ended_by_peer:
            self._try_again_later(now)
        return items

    def _try_again_later(self, now: float) -> None:
        """The peer may have got what we did not, and think that the family is up; or be set right one day."""
        if self._retry_at == inf:
            self._retry_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _come_up(self, now: float) -> list[Item]:
        addresses = self.policy.addresses
        if addresses is None:
            return self.take(self.control.close("an end is without an address of its own", now), now)
        self.up = True
        self._pause = _FIRST_PAUSE
        local, remote = addresses
        return [Up(local, remote, self._mtu)]


class Network:
    def __init__(self, settings: Settings, random: Random, drops: Drops) -> None:
        self._settings = settings
        self._drops = drops
        self._policies: dict[int, IpcpPolicy | Ipv6cpPolicy] = {}
        "By IP's version."
        if settings.ipv4:
            self._policies[4] = IpcpPolicy(settings.ipv4)
        if settings.ipv6:
            self._policies[6] = Ipv6cpPolicy(settings.ipv6, random)
        self._identifiers = {version: Identifiers(random(1)[0]) for version in self._policies}
        self._layers: dict[int, Layer] = {}
        "By control protocol; empty outside the network phase."

    @property
    def deadline(self) -> float:
        return min((layer.deadline for layer in self._layers.values()), default=inf)

    @property
    def reason(self) -> str:
        """Why the phase has no purpose any more; empty while a family is or may come up."""
        if not self._layers or not all(layer.control.state in _OVER for layer in self._layers.values()):
            return ""
        reasons = (f"IPv{layer.version}: {layer.control.reason or 'closed'}" for layer in self._layers.values())
        return "; ".join(reasons)

    @property
    def agreed(self) -> dict[str, str]:
        found = {}
        for layer in self._layers.values():
            addresses = layer.policy.addresses
            if layer.up and addresses:
                found[f"ipv{layer.version}"] = f"{addresses[0]} to {addresses[1]}"
            elif layer.control.reason:
                found[f"ipv{layer.version}"] = f"down: {layer.control.reason}"
        return found

    def knows(self, protocol: int) -> bool:
        """Whether it is a data protocol that may come up."""
        return protocol < _CONTROL and protocol | _CONTROL in self._layers

    def speaks(self, protocol: int) -> bool:
        return protocol in self._layers

    def start(self, mtu: int, now: float) -> list[Item]:
        items: list[Item] = []
        for version, policy in self._policies.items():
            make = partial(ControlProtocol, policy, self._settings.timing, self._identifiers[version], self._drops)
            layer = Layer(version, policy, mtu, make)
            self._layers[layer.number] = layer
            items += layer.begin(now)
        return items

    def stop(self, reason: str) -> list[Item]:
        """What is below is gone; nothing is sent any more."""
        items: list[Item] = [Down(layer.version, reason) for layer in self._layers.values() if layer.up]
        self._layers = {}
        return items

    def receive(self, protocol: int, packet: Packet, now: float) -> list[Item]:
        """Of a protocol that `speaks` has known; WireError for what is no packet of it."""
        layer = self._layers[protocol]
        return layer.take(layer.control.receive(packet, now), now)

    def rejected(self, protocol: int, now: float) -> list[Item]:
        """The peer does not know it: nothing of it may be sent any more (RFC 1661 5.7)."""
        layer = self._layers.get(protocol | _CONTROL)
        if layer is None or layer.control.state in _OVER:
            return []
        if protocol != layer.number:
            return layer.take(layer.control.close(f"the peer takes no IPv{layer.version} packets", now), now)
        layer.control.reason = "the peer does not know it"
        return layer.take(layer.control.fire(Event.DOWN, now), now)

    def tick(self, now: float) -> list[Item]:
        items: list[Item] = []
        for layer in self._layers.values():
            items += layer.tick(now)
        return items
