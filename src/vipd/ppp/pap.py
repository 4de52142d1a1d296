"""The Password Authentication Protocol (RFC 1334 section 2), both ends."""

from __future__ import annotations

from vipd.model.secret import Secret
from vipd.ppp.authentication import MESSAGE, REFUSAL, Output, Retry, Verdict
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.negotiation import Random
from vipd.ppp.settings import Demand, Identity, Timing, readable
from vipd.wire.ppp import Packet
from vipd.wire.ppp_auth import Credentials, PapCode, decode_message, encode_message


class PapProver:
    """Says who we are, until it is answered."""

    def __init__(self, identity: Identity, timing: Timing, random: Random, drops: Drops) -> None:
        self.reason = self.peer = ""
        self._drops = drops
        self._retry = Retry(timing.restart, timing.max_configure)
        credentials = Credentials(identity.name.encode(), identity.secret.reveal())
        self._request = Packet(PapCode.AUTHENTICATE_REQUEST, random(1)[0], credentials.encode())

    @property
    def deadline(self) -> float:
        return self._retry.deadline

    def start(self, now: float) -> list[Output]:
        return self._retry.begin(self._request, now)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        del now
        waits = self._retry.waits and packet.identifier == self._request.identifier
        match packet.code:
            case PapCode.AUTHENTICATE_ACK if waits:
                self._retry.end()
                return [Verdict.PASSED]
            case PapCode.AUTHENTICATE_NAK if waits:
                self._retry.end()
                self.reason = f"the peer refuses our name and secret: {readable(decode_message(packet.data))}"
                return [Verdict.REFUSED]
            case _:
                self._drops[Drop.UNEXPECTED] += 1
                return []

    def tick(self, now: float) -> list[Output]:
        sent = self._retry.tick(now)
        if sent is None:
            self.reason = "the peer does not answer to our name and secret"
            return [Verdict.SILENT]
        return sent


class PapVerifier:
    """Waits for the peer to say who it is; the same answer to the same question ever after (RFC 1334 2.2.1)."""

    def __init__(self, demand: Demand, timing: Timing, random: Random, drops: Drops) -> None:
        self.reason = self.peer = ""
        self._demand = demand
        self._drops = drops
        self._nobody = Secret(random(16))
        self._retry = Retry(timing.restart, timing.max_configure)
        self._answer: PapCode | None = None

    @property
    def deadline(self) -> float:
        return self._retry.deadline

    def start(self, now: float) -> list[Output]:
        return self._retry.begin(None, now)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        del now
        if packet.code != PapCode.AUTHENTICATE_REQUEST:
            self._drops[Drop.UNEXPECTED] += 1
            return []
        given = Credentials.decode(packet.data)
        if self._answer is not None:
            return [self._reply(self._answer, packet)]
        self._retry.end()
        name = given.name.decode("utf-8", "replace")
        # An unknown name takes as long as a wrong secret.
        right = self._demand.secrets.get(name, self._nobody).matches(given.password)
        self._answer = PapCode.AUTHENTICATE_ACK if right else PapCode.AUTHENTICATE_NAK
        if right:
            self.peer = name
            return [self._reply(self._answer, packet), Verdict.PASSED]
        self._drops[Drop.BAD_CREDENTIALS] += 1
        self.reason = f"the peer gave a wrong secret, or a name that is not known: {readable(given.name)}"
        return [self._reply(self._answer, packet), Verdict.REFUSED]

    def tick(self, now: float) -> list[Output]:
        sent = self._retry.tick(now)
        if sent is None:
            self.reason = "the peer does not say who it is"
            return [Verdict.SILENT]
        return sent

    def _reply(self, code: PapCode, packet: Packet) -> Packet:
        return Packet(code, packet.identifier, encode_message(MESSAGE if code == PapCode.AUTHENTICATE_ACK else REFUSAL))
