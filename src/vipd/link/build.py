"""From options to what they mean: the protocol's machine, with its secrets, and the line's framing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from vipd.errors import ConfigError
from vipd.link.codec import AsyncCodec, BitCodec, Codec
from vipd.link.options import Auth, Options
from vipd.link.secrets import OURS, THEIRS, ours, read_secrets, taken, theirs
from vipd.model.link import Encapsulation, Framing, LinkMachine
from vipd.model.secret import Secret
from vipd.ppp.session import Session
from vipd.ppp.settings import AuthMethod, Demand, Echo, Identity, Ipv4, Ipv6, Settings
from vipd.slarp import settings as slarp
from vipd.slarp.machine import CiscoHdlc
from vipd.wire.fcs import FCS16, FCS32

_CHECKS: Final = {16: FCS16, 32: FCS32}
_OPTIONS: Final = {
    "local": "ipv4",
    "remote": "ipv4",
    "mtu": "mru",
    "interval": "echo-interval",
    "failures": "echo-failures",
    "misses": "echo-failures",
}
"Where a protocol's setting has another name than the option that gives it."
_CODECS: Final[Mapping[Framing, Callable[..., Codec]]] = {Framing.ASYNC: AsyncCodec, Framing.BIT: BitCodec}


def codec(options: Options) -> Codec:
    made = _CODECS[options.framing](_CHECKS[options.fcs], options.mru)
    if options.encapsulation is Encapsulation.CISCO_HDLC:
        made.reframe(options.accm, options.accm)  # nobody will negotiate it
    return made


def machine(options: Options, environment: MutableMapping[str, str]) -> LinkMachine:
    """Takes the secrets out of the environment; `ConfigError` where one is missing, or a protocol allows less."""
    with _named(_OPTIONS):
        return _cisco_hdlc(options) if options.encapsulation is Encapsulation.CISCO_HDLC else _ppp(options, environment)


def _ppp(options: Options, environment: MutableMapping[str, str]) -> LinkMachine:
    ipv4 = options.ipv4
    identity, demand = _proofs(options, environment)
    settings = Settings(
        mru=options.mru,
        accm=options.accm if options.framing is Framing.ASYNC else None,
        compress=options.compress,
        identity=identity,
        demand=demand,
        ipv4=None if ipv4 is None else Ipv4(ipv4.local, ipv4.remote),
        ipv6=Ipv6() if options.ipv6 else None,
        echo=Echo(options.keepalive.interval, options.keepalive.failures),
    )
    return Session(settings, os.urandom)


def _cisco_hdlc(options: Options) -> LinkMachine:
    ipv4 = options.ipv4
    settings = slarp.Settings(
        ipv4=None if ipv4 is None else slarp.Ipv4(ipv4.local, ipv4.remote),
        ipv6=slarp.Ipv6() if options.ipv6 else None,
        mtu=options.mru,
        interval=options.keepalive.interval,
        misses=options.keepalive.failures,
    )
    return CiscoHdlc(settings, os.urandom)


def _proofs(options: Options, environment: MutableMapping[str, str]) -> tuple[Identity | None, Demand | None]:
    given, peers = taken(environment, OURS), taken(environment, THEIRS)
    proof = options.proof
    secrets: dict[str, Secret] = read_secrets(proof.secrets) if proof.secrets else {}
    identity = demand = None
    if proof.user is not None:
        methods = (AuthMethod.CHAP, AuthMethod.PAP) if proof.allow_pap else (AuthMethod.CHAP,)
        with _named({"name": "user", "secret": OURS}):
            identity = Identity(proof.user, ours(proof.user, secrets, given, proof.secrets), methods)
    if proof.auth is not Auth.NONE:
        known = theirs(proof.user, proof.peer_user, options.peer.name, secrets, peers)
        with _named({"name": "peer-user", "secret": THEIRS}):
            demand = Demand(known, (AuthMethod(proof.auth),), proof.user or "vipd", proof.again)
    return identity, demand


@contextmanager
def _named(options: Mapping[str, str]) -> Iterator[None]:
    """Mistakes are told by the names that the user knows."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(replace(each, path=options.get(each.path, each.path)) for each in error.problems) from None
