"""The Challenge Handshake Authentication Protocol with MD5 (RFC 1994), both ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from math import inf
from typing import Final

from vipd.errors import WireError
from vipd.model.secret import Secret
from vipd.ppp.authentication import MESSAGE, REFUSAL, Output, Retry, Verdict
from vipd.ppp.drops import Drop, Drops
from vipd.ppp.negotiation import Random
from vipd.ppp.settings import Demand, Identity, Timing, readable
from vipd.wire.ppp import Packet
from vipd.wire.ppp_auth import ChapCode, Proof, chap_md5

CHALLENGE_SIZE: Final = 16
"As long as the hash, as RFC 1994 2.3 advises."


class ChapProver:
    """Answers challenges, at any time; repeats the answer until it is told how it was taken."""

    def __init__(self, identity: Identity, timing: Timing, ours: Container[bytes], drops: Drops) -> None:
        self.reason = self.peer = ""
        self._identity = identity
        self._ours = ours
        "The challenge that we sent, in case the peer would have us answer it."
        self._drops = drops
        self._retry = Retry(timing.restart, timing.max_configure)
        self._response: Packet | None = None

    @property
    def deadline(self) -> float:
        return self._retry.deadline

    def start(self, now: float) -> list[Output]:
        return self._retry.begin(None, now)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        match packet.code:
            case ChapCode.CHALLENGE:
                return self._challenged(packet, now)
            case ChapCode.SUCCESS if self._waits_for(packet):
                self._retry.end()
                return [Verdict.PASSED]
            case ChapCode.FAILURE if self._waits_for(packet):
                self._retry.end()
                self.reason = f"the peer refuses our name and secret: {readable(packet.data)}"
                return [Verdict.REFUSED]
            case _:
                self._drops[Drop.UNEXPECTED] += 1
                return []

    def tick(self, now: float) -> list[Output]:
        sent = self._retry.tick(now)
        if sent is None:
            answered = "does not say how it takes our answer" if self._response else "sends no challenge"
            self.reason = f"the peer {answered}"
            return [Verdict.SILENT]
        return sent

    def _challenged(self, packet: Packet, now: float) -> list[Output]:
        challenge = Proof.decode(packet.data)
        if not challenge.value:
            raise WireError("a challenge of no octets")
        if challenge.value in self._ours:
            self._drops[Drop.REFLECTED] += 1
            return []
        value = chap_md5(packet.identifier, self._identity.secret.reveal(), challenge.value)
        proof = Proof(value, self._identity.name.encode())
        self.peer = readable(challenge.name)
        self._response = Packet(ChapCode.RESPONSE, packet.identifier, proof.encode())
        return self._retry.begin(self._response, now)

    def _waits_for(self, packet: Packet) -> bool:
        return self._response is not None and self._retry.waits and packet.identifier == self._response.identifier


class ChapVerifier:
    """Challenges the peer, once the link is up again and again if so wished (RFC 1994 section 2)."""

    def __init__(self, demand: Demand, timing: Timing, challenges: deque[bytes], random: Random, drops: Drops) -> None:
        self.reason = self.peer = ""
        self._challenges = challenges
        self._demand = demand
        self._random = random
        self._drops = drops
        self._nobody = Secret(random(CHALLENGE_SIZE))
        self._retry = Retry(timing.restart, timing.max_configure)
        self._again_at = inf
        self._identifier = random(1)[0]
        self._challenge = b""
        self._answer: ChapCode | None = None
        "To the challenge that is out; whoever repeats a Response gets it again (RFC 1994 4.2)."

    @property
    def deadline(self) -> float:
        return min(self._retry.deadline, self._again_at)

    def start(self, now: float) -> list[Output]:
        self._identifier = (self._identifier + 1) % 256
        self._challenge = self._random(CHALLENGE_SIZE)
        self._challenges.append(self._challenge)
        self._answer = None
        self._again_at = inf
        proof = Proof(self._challenge, self._demand.name.encode())
        return self._retry.begin(Packet(ChapCode.CHALLENGE, self._identifier, proof.encode()), now)

    def receive(self, packet: Packet, now: float) -> list[Output]:
        if packet.code != ChapCode.RESPONSE or packet.identifier != self._identifier:
            self._drops[Drop.UNEXPECTED] += 1
            return []
        response = Proof.decode(packet.data)
        if self._answer is not None:
            return [self._reply(self._answer)]
        self._retry.end()
        name = response.name.decode("utf-8", "replace")
        # An unknown name takes as long as a wrong secret.
        secret = self._demand.secrets.get(name, self._nobody)
        right = Secret(chap_md5(self._identifier, secret.reveal(), self._challenge)).matches(response.value)
        self._answer = ChapCode.SUCCESS if right else ChapCode.FAILURE
        if right:
            self.peer = name
            self._again_at = now + self._demand.again if self._demand.again else inf
            return [self._reply(self._answer), Verdict.PASSED]
        self._drops[Drop.BAD_CREDENTIALS] += 1
        self.reason = f"the peer gave a wrong secret, or a name that is not known: {readable(response.name)}"
        return [self._reply(self._answer), Verdict.REFUSED]

    def tick(self, now: float) -> list[Output]:
        if now >= self._again_at:
            return self.start(now)
        sent = self._retry.tick(now)
        if sent is None:
            self.reason = "the peer does not answer our challenge"
            return [Verdict.SILENT]
        return sent

    def _reply(self, code: ChapCode) -> Packet:
        return Packet(code, self._identifier, MESSAGE if code == ChapCode.SUCCESS else REFUSAL)
