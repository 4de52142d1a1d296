"""PPP's frames, control packets, options and proofs: read or refused; what is read is written alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.fuzz.supply import Supply
from tests.support.specimens import PPP
from vipd.errors import WireError
from vipd.wire.ppp import Echo, Frame, Option, Packet, ProtocolReject, decode_options, encode_options
from vipd.wire.ppp_auth import Credentials, Proof, decode_message, encode_message


def _options(data: bytes) -> None:
    options = decode_options(data)
    assert encode_options(options) == data
    for option in options:
        assert decode_options(Option(option.kind, option.data).encode()) == (option,)


def _message(data: bytes) -> None:
    assert encode_message(decode_message(data))[1:] in data


def _value(kind: Any) -> Callable[[bytes], None]:
    def check_value(data: bytes) -> None:
        made = kind.decode(data)
        again = made.encode()
        assert kind.decode(again) == made
        # Only padding, or an unneeded octet of a protocol's number, may be lost.
        assert again == data[: len(again)] or kind is Frame

    return check_value


_READERS: Final = (*map(_value, (Frame, Packet, Echo, ProtocolReject, Credentials, Proof)), _options, _message)
_HEADERS: Final = (0, 4, 8, 8, 8, 8, 8, 8)
"Octets of a frame before what each of the readers reads."
SEEDS: Final = [bytes((choice,)) + frame[start:] for choice, start in enumerate(_HEADERS) for frame in PPP.values()]


def check(data: bytes) -> None:
    supply = Supply(data)
    read = supply.one_of(_READERS)
    try:
        read(supply.rest())
    except WireError:
        return
