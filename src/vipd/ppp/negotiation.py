"""Configure-Requests and their answers (RFC 1661 5.1 to 5.4). Knows neither states nor any option; its policy does."""

from __future__ import annotations

from collections.abc import Callable, Container
from math import inf
from typing import Final, Protocol, TypeAlias

from vipd.ppp.settings import Timing
from vipd.wire.ppp import Code, Option, Packet, decode_options, encode_options

Random: TypeAlias = Callable[[int], bytes]
"So many unpredictable octets."


BEHIND: Final = 16
"So many requests a late one may be behind. Who draws identifiers by lot loses one in 16 to that, for a Restart period."


class Policy(Protocol):
    """What is negotiated: one end's wishes, what it grants the other, and what both came to."""

    @property
    def hopeless(self) -> str:
        """Why no agreement can come; empty while one can."""

    def renew(self) -> None:
        """A new negotiation: back to the wishes, nothing is agreed."""

    def wanted(self) -> tuple[Option, ...]:
        """The next Configure-Request; the same until an answer changes it."""

    def judge(self, option: Option) -> Option | None:
        """Of the peer's request: the option itself is acknowledged, another one is asked for, None refuses."""

    def missing(self, kinds: Container[int]) -> tuple[Option, ...]:
        """What the peer should have asked for, beside these, with values that would do."""

    def grant(self, options: tuple[Option, ...]) -> None:
        """The peer's request is acknowledged."""

    def accept(self, options: tuple[Option, ...]) -> None:
        """Our request was acknowledged."""

    def nak(self, option: Option) -> None:
        """The peer would have this instead."""

    def reject(self, option: Option) -> None:
        """The peer does not know, or will not have, this option of ours."""


class Negotiation:
    """Both directions of one control protocol."""

    def __init__(self, policy: Policy, timing: Timing) -> None:
        self._policy = policy
        self._max_failure = timing.max_failure
        self._restart = timing.restart
        self._latest: int | None = None
        "The identifier of the peer's last Configure-Request."
        self._latest_at = -inf
        self._request: Packet | None = None
        "The Configure-Request that waits for its answer."
        self._naks_sent = 0
        "Without an Ack in between (RFC 1661 4.6)."
        self._refusals = 0
        "Naks and Rejects received, without an Ack in between."

    @property
    def hopeless(self) -> str:
        if self._refusals > 3 * self._max_failure:
            return "the peer accepts nothing"
        return self._policy.hopeless

    def renew(self) -> None:
        self._request = None
        self._naks_sent = self._refusals = 0
        self._policy.renew()

    def request(self, next_identifier: Callable[[], int]) -> Packet:
        """What is sent again is the same packet; new options get a new identifier, and so does what follows a reply."""
        data = encode_options(self._policy.wanted())
        if self._request is None or self._request.data != data:
            self._request = Packet(Code.CONFIGURE_REQUEST, next_identifier(), data)
        return self._request

    def late(self, request: Packet, now: float) -> bool:
        """Whether the peer has since sent another: its identifier is a little behind that of one just heard.

        To acknowledge it would leave the ends with different ideas of what was agreed, because the
        peer drops the Ack: it answers no request of its own that is under way. RFC 1661 assumes
        that no line puts packets out of order; but what carries the line may.
        """
        behind = 0 if self._latest is None else (self._latest - request.identifier) % 256
        if 1 <= behind <= BEHIND and now < self._latest_at + self._restart:
            return True
        self._latest, self._latest_at = request.identifier, now
        return False

    def answer(self, request: Packet) -> Packet:
        """Reject, else Nak, else Ack. After Max-Failure Naks, what would be one becomes a Reject."""
        options = decode_options(request.data)
        converging = self._naks_sent < self._max_failure
        rejects: list[Option] = []
        naks: list[Option] = []
        kinds: set[int] = set()
        for option in options:
            # No option that this program knows may stand twice (RFC 1661 section 6).
            wanted = None if option.kind in kinds else self._policy.judge(option)
            kinds.add(option.kind)
            if wanted == option:
                continue
            if wanted is None or not converging:
                rejects.append(option)
            else:
                naks.append(wanted)
        if rejects:
            return Packet(Code.CONFIGURE_REJECT, request.identifier, encode_options(rejects))
        if converging:
            naks += self._policy.missing(kinds)
        if naks:
            self._naks_sent += 1
            return Packet(Code.CONFIGURE_NAK, request.identifier, encode_options(naks))
        self._naks_sent = 0
        self._policy.grant(options)
        return Packet(Code.CONFIGURE_ACK, request.identifier, request.data)

    def hear(self, reply: Packet) -> bool:
        """Takes an Ack, Nak or Reject; False if it is none of the request that is under way."""
        options = decode_options(reply.data)
        request = self._request
        if request is None or reply.identifier != request.identifier:
            return False
        match reply.code:
            case Code.CONFIGURE_ACK if reply.data == request.data:
                self._refusals = 0
                self._policy.accept(options)
            case Code.CONFIGURE_NAK if options:
                self._refused(options, reject=self._refusals >= self._max_failure)
            case Code.CONFIGURE_REJECT if options and set(options) <= set(decode_options(request.data)):
                self._refused(options, reject=True)
            case _:
                return False
        self._request = None
        return True

    def _refused(self, options: tuple[Option, ...], *, reject: bool) -> None:
        """A peer that naks for ever is taken to reject; `hopeless` tells of one that goes on even then."""
        self._refusals += 1
        for option in options:
            if reject:
                self._policy.reject(option)
            else:
                self._policy.nak(option)
