"""A control protocol, as far as LCP, IPCP and IPV6CP are the same: automaton, packets, identifiers."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from vipd.errors import WireError
from vipd.ppp.automaton import Action, Automaton, Event, State
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.negotiation import Negotiation, Policy
from vipd.ppp.settings import DEFAULT_MRU, Timing, readable
from vipd.wire.ppp import HEADER_SIZE, Code, Packet, decode_options

COMMON_CODES: Final = frozenset(range(Code.CONFIGURE_REQUEST, Code.CODE_REJECT + 1))
"What every control protocol must understand (RFC 1661 section 5)."
_ANSWERING: Final = frozenset({State.STOPPED, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT, State.OPENED})
"Where a Configure-Request gets an answer; elsewhere good and bad ones are the same."


class Signal(StrEnum):
    """What a layer tells those above and below (RFC 1661 4.4)."""

    UP = "up"
    DOWN = "down"
    FINISHED = "finished"


Output: TypeAlias = Packet | Signal


class Identifiers:
    """One after the other, also from one negotiation to the next, so that what is late can be told from what is new."""

    def __init__(self, first: int) -> None:
        self._last = first

    def next(self) -> int:
        self._last = (self._last + 1) % 256
        return self._last


class ControlProtocol:
    def __init__(
        self, policy: Policy, timing: Timing, identifiers: Identifiers, drops: Drops, *, passive: bool = False
    ) -> None:
        self.reason = ""
        "Why the layer ends or ended, for people."
        self.ended_by_peer = False
        "It said so, or does not know what we speak."
        self.largest = DEFAULT_MRU
        "The largest packet that the peer takes."
        self._negotiation = Negotiation(policy, timing)
        self._automaton = Automaton(timing, passive=passive)
        self._drops = drops
        self.next_identifier = identifiers.next
        self._terminate = Packet(Code.TERMINATE_REQUEST, 0)

    @property
    def state(self) -> State:
        return self._automaton.state

    @property
    def deadline(self) -> float:
        return self._automaton.deadline

    def fire(
        self, event: Event, now: float, packet: Packet | None = None, answer: Packet | None = None
    ) -> list[Output]:
        """An event, with the packet that brought it and its answer if that is a Configure-Request."""
        actions = self._automaton.fire(event, now)
        return [output for action in actions if (output := self._output(action, actions, packet, answer))]

    def close(self, reason: str, now: float) -> list[Output]:
        self.reason = self.reason or reason
        return self.fire(Event.CLOSE, now)

    def tick(self, now: float) -> list[Output]:
        event = self._automaton.expired(now)
        if event is None:
            return []
        outputs = self.fire(event, now)
        if Signal.FINISHED in outputs:
            self.reason = self.reason or "the peer does not answer, or does not agree"
        return outputs

    def receive(self, packet: Packet, now: float) -> list[Output]:
        """WireError where the data is not what the code promises; nothing has changed then."""
        if self.state < State.CLOSED:
            return self._drop(Drop.UNEXPECTED)
        match packet.code:
            case Code.CONFIGURE_REQUEST:
                return self._requested(packet, now)
            case Code.CONFIGURE_ACK | Code.CONFIGURE_NAK | Code.CONFIGURE_REJECT:
                return self._answered(packet, now)
            case Code.TERMINATE_REQUEST:
                if self.state is State.OPENED:
                    self.ended_by_peer = True
                    self.reason = self.reason or _ended(packet.data)
                return self.fire(Event.TERMINATE_REQUEST, now, packet)
            case Code.TERMINATE_ACK:
                if self.state is State.OPENED:
                    self._negotiation.renew()
                return self.fire(Event.TERMINATE_ACK, now)
            case Code.CODE_REJECT:
                if not packet.data:
                    raise WireError("a Code-Reject of nothing")
                return self.rejected(f"code {packet.data[0]}", now, fatal=packet.data[0] in COMMON_CODES)
            case _:
                self._drops[Drop.UNKNOWN_CODE] += 1
                return self.fire(Event.UNKNOWN_CODE, now, packet)

    def rejected(self, what: str, now: float, *, fatal: bool) -> list[Output]:
        """The peer knows no such code or protocol; `fatal` if we cannot do without (RFC 1661 4.3, RXJ)."""
        if fatal:
            self.ended_by_peer = True
            self.reason = self.reason or f"the peer rejects {what}"
        return self.fire(Event.FATAL_REJECT if fatal else Event.BEARABLE_REJECT, now)

    def _requested(self, packet: Packet, now: float) -> list[Output]:
        decode_options(packet.data)  # for its WireError, before anything changes
        if self.state not in _ANSWERING:
            return self.fire(Event.GOOD_REQUEST, now, packet)
        if self._negotiation.late(packet, now):
            return self._drop(Drop.LATE_REQUEST)
        if self.state in (State.STOPPED, State.OPENED):
            self.reason = ""
            self._negotiation.renew()
        answer = self._negotiation.answer(packet)
        if self._negotiation.hopeless:
            return self.close(self._negotiation.hopeless, now)
        good = answer.code == Code.CONFIGURE_ACK
        return self.fire(Event.GOOD_REQUEST if good else Event.BAD_REQUEST, now, packet, answer)

    def _answered(self, packet: Packet, now: float) -> list[Output]:
        if not self._negotiation.hear(packet):
            return self._drop(Drop.STALE_REPLY)
        if self._negotiation.hopeless:
            return self.close(self._negotiation.hopeless, now)
        acked = packet.code == Code.CONFIGURE_ACK
        return self.fire(Event.CONFIGURE_ACK if acked else Event.CONFIGURE_NAK_OR_REJECT, now, packet)

    def _output(
        self, action: Action, actions: tuple[Action, ...], packet: Packet | None, answer: Packet | None
    ) -> Output | None:
        match action:
            case Action.THIS_LAYER_UP:
                self.reason, self.ended_by_peer = "", False
                return Signal.UP
            case Action.THIS_LAYER_DOWN:
                return Signal.DOWN
            case Action.THIS_LAYER_FINISHED:
                return Signal.FINISHED
            case Action.SEND_CONFIGURE_REQUEST:
                return self._negotiation.request(self.next_identifier)
            case Action.SEND_CONFIGURE_ACK | Action.SEND_CONFIGURE_NAK:
                return answer
            case Action.SEND_TERMINATE_REQUEST:
                if Action.INITIALIZE_RESTART_COUNT in actions:
                    text = self.reason.encode("ascii", "replace")
                    self._terminate = Packet(Code.TERMINATE_REQUEST, self.next_identifier(), text)
                return self._terminate
            case Action.SEND_TERMINATE_ACK if packet:
                return Packet(Code.TERMINATE_ACK, packet.identifier)
            case Action.SEND_CODE_REJECT if packet:
                rejected = packet.encode()[: self.largest - HEADER_SIZE]
                return Packet(Code.CODE_REJECT, self.next_identifier(), rejected)
            case _:
                return None

    def _drop(self, why: Drop) -> list[Output]:
        self._drops[why] += 1
        return []


def _ended(data: bytes) -> str:
    text = readable(data)
    return f"the peer ended it: {text}" if text else "the peer ended it"
