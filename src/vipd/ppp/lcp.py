"""What LCP negotiates (RFC 1661 section 6, RFC 1662 section 7). Knows no state and sends nothing."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from vipd.ppp.negotiation import Random
from vipd.ppp.settings import DEFAULT_ACCM, DEFAULT_MRU, AuthMethod, Settings, smallest_mru
from vipd.wire import ppp_options as wire
from vipd.wire.ppp import Option, Protocol
from vipd.wire.ppp_options import Lcp

_METHODS: Final = {AuthMethod.CHAP: wire.CHAP_WITH_MD5, AuthMethod.PAP: wire.PAP}
_COMPRESSION: Final = (Lcp.PROTOCOL_COMPRESSION, Lcp.ADDRESS_COMPRESSION)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an acknowledged request of one end means; the defaults are those of options that are not in it."""

    mru: int = DEFAULT_MRU
    "The largest packet that this end takes."
    accm: int = DEFAULT_ACCM
    "What this end wants escaped."
    auth: AuthMethod | None = None
    "How this end wants the other to prove who it is."
    magic: int = 0
    protocol_compression: bool = False
    "This end understands it."
    address_compression: bool = False

    @classmethod
    def of(cls, options: tuple[Option, ...]) -> Terms:
        found = {option.kind: option for option in options}
        return cls(
            mru=found[Lcp.MRU].number if Lcp.MRU in found else DEFAULT_MRU,
            accm=found[Lcp.ACCM].number if Lcp.ACCM in found else DEFAULT_ACCM,
            auth=_method(found[Lcp.AUTHENTICATION]) if Lcp.AUTHENTICATION in found else None,
            magic=found[Lcp.MAGIC].number if Lcp.MAGIC in found else 0,
            protocol_compression=Lcp.PROTOCOL_COMPRESSION in found,
            address_compression=Lcp.ADDRESS_COMPRESSION in found,
        )


class LcpPolicy:
    def __init__(self, settings: Settings, random: Random) -> None:
        self.own = self.peer = Terms()
        "As they were acknowledged."
        self.fatal = False
        "It is hopeless with these settings, however often it is tried."
        self.hint = ""
        "What may be wrong if the peer gives up."
        self._settings = settings
        self._random = random
        self._smallest_mru = smallest_mru(settings)
        self._magic = _new_magic(self._random)
        self._loops = 0
        self._untried: list[AuthMethod] = []
        self.renew()

    def renew(self) -> None:
        """The magic number stays: it names this end for the life of the link."""
        self.hopeless = ""
        self._mru = self._settings.mru
        self._accm = self._settings.accm
        self._untried = list(self._settings.demand.methods) if self._settings.demand else []
        self._refused: set[int] = set()

    def wanted(self) -> tuple[Option, ...]:
        options = []
        if self._mru != DEFAULT_MRU:
            options.append(wire.mru(self._mru))
        if self._accm is not None and self._accm != DEFAULT_ACCM:
            options.append(wire.accm(self._accm))
        if self._untried:
            options.append(_option(self._untried[0]))
        options.append(wire.magic(self._magic))
        if self._settings.compress:
            options += [Option(kind) for kind in _COMPRESSION]
        return tuple(option for option in options if option.kind not in self._refused)

    def judge(self, option: Option) -> Option | None:
        if not wire.right_size(Protocol.LCP, option):
            return _instead(option.kind, self._settings, self._random)
        match option.kind:
            case Lcp.MRU:
                return option if option.number >= self._smallest_mru else wire.mru(self._smallest_mru)
            case Lcp.ACCM:
                # Also on lines that escape nothing: there may be a converter on the way (RFC 1662 section 6).
                return option
            case Lcp.AUTHENTICATION:
                return self._judge_method(option)
            case Lcp.MAGIC:
                return self._judge_magic(option)
            case Lcp.PROTOCOL_COMPRESSION | Lcp.ADDRESS_COMPRESSION:
                return option if self._settings.compress else None
            case _:
                return None

    def missing(self, kinds: Container[int]) -> tuple[Option, ...]:
        """Nothing: the peer may go without every option of LCP."""
        del kinds
        return ()

    def grant(self, options: tuple[Option, ...]) -> None:
        self.peer = Terms.of(options)
        if self.peer.auth:
            self.hint = ""

    def accept(self, options: tuple[Option, ...]) -> None:
        self.own = Terms.of(options)

    def nak(self, option: Option) -> None:
        if not wire.right_size(Protocol.LCP, option):
            return
        match option.kind:
            case Lcp.MRU if self._smallest_mru <= option.number < self._mru:
                self._mru = option.number
            case Lcp.ACCM if self._accm is not None:
                self._accm |= option.number
            case Lcp.MAGIC:
                self._magic = _new_magic(self._random)
            case Lcp.AUTHENTICATION:
                self._try_other_method(_method(option))
            case Lcp.PROTOCOL_COMPRESSION | Lcp.ADDRESS_COMPRESSION:
                self._refused.add(option.kind)
            case _:
                pass

    def reject(self, option: Option) -> None:
        if option.kind == Lcp.AUTHENTICATION:
            self._try_other_method(None)
        else:
            self._refused.add(option.kind)

    def _judge_method(self, option: Option) -> Option | None:
        identity = self._settings.identity
        if not identity:
            self.hint = "the peer asks who we are, and no name and secret is set"
            return None
        if _method(option) in identity.methods:
            return option
        self.hint = "the peer asks for a proof that is not allowed here, such as our secret in clear"
        return _option(identity.methods[0])

    def _judge_magic(self, option: Option) -> Option:
        """RFC 1661 6.4."""
        if option.number not in (0, self._magic):
            self._loops = 0
            return option
        if option.number == self._magic:
            self._loops += 1
            # Before the Naks would turn into Rejects: without a magic number nobody can tell.
            if self._loops >= self._settings.timing.max_failure:
                self.hopeless = "the line is looped back to us"
        return wire.magic(_new_magic(self._random))

    def _try_other_method(self, suggested: AuthMethod | None) -> None:
        """The peer will not prove itself in the way that we asked for first."""
        if not self._untried:
            return
        untried = self._untried[1:]
        self._untried = sorted(untried, key=lambda method: method is not suggested)
        if not untried:
            self.fatal = True
            self.hopeless = "the peer will not prove who it is in a way that we take"


def _instead(kind: int, settings: Settings, random: Random) -> Option | None:
    """What would be right where the size was not (RFC 1661 section 6)."""
    match kind:
        case Lcp.MRU:
            return wire.mru(DEFAULT_MRU)
        case Lcp.ACCM:
            return wire.accm(0)
        case Lcp.MAGIC:
            return wire.magic(_new_magic(random))
        case _:
            return Option(kind) if settings.compress else None


def _new_magic(random: Random) -> int:
    """Never 0, which stands for none."""
    return int.from_bytes(random(4), "big") or 1


def _option(method: AuthMethod) -> Option:
    return Option(Lcp.AUTHENTICATION, _METHODS[method])


def _method(option: Option) -> AuthMethod | None:
    return next((method for method, data in _METHODS.items() if data == option.data), None)
