"""What lines, broken senders and attackers do to frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.support.oracle.choices import Choices

_ETHERNET: Final = 14
_EXTENSIONS: Final = (0, 43, 44, 60)
"Hop-by-hop options, routing, fragment, destination options."
_LEAST: Final = 14
"Bytes of the shortest frame that the kernel runs a program on."


def mutated(choices: Choices, frame: bytes) -> bytes:
    made = bytearray(frame)
    for _ in range(1 + choices.below(2)):
        choices.of(_MUTATIONS)(choices, made)
    return bytes(made)


def _flip(choices: Choices, frame: bytearray) -> None:
    """One bit, of the headers mostly."""
    at = choices.byte() % min(len(frame), choices.of((96, 54, len(frame))))
    frame[at] ^= 1 << choices.below(8)


def _truncate(choices: Choices, frame: bytearray) -> None:
    del frame[max(_LEAST, len(frame) - 1 - choices.byte()) :]


def _cut(choices: Choices, frame: bytearray) -> None:
    del frame[_LEAST + choices.byte() :]


def _pad(choices: Choices, frame: bytearray) -> None:
    frame += bytes(range(choices.byte() % 64))


def _set(places: tuple[int, ...], values: tuple[int, ...]) -> Callable[[Choices, bytearray], None]:
    def mutate(choices: Choices, frame: bytearray) -> None:
        at, value = _ETHERNET + choices.of(places), choices.of((*values, choices.byte()))
        if at < len(frame):
            frame[at] = value

    return mutate


def _length(choices: Choices, frame: bytearray) -> None:
    """The IP length says a little more or less than there is."""
    at = _ETHERNET + choices.of((2, 4)) + 1
    if at < len(frame):
        frame[at] = (frame[at] + choices.of((255, 1, 248, 8, 236, 20))) % 256


def _headers_beyond(choices: Choices, frame: bytearray) -> None:
    """IPv6 whose length ends within its extension headers; what follows is there, but counts as padding."""
    if len(frame) > _ETHERNET + 48 and frame[_ETHERNET] >> 4 == 6 and frame[_ETHERNET + 6] in _EXTENSIONS:
        frame[_ETHERNET + 4 : _ETHERNET + 6] = choices.of((8, 16, 4, 24, 7, 12, 1, 40)).to_bytes(2, "big")


def _type(choices: Choices, frame: bytearray) -> None:
    frame[12:14] = choices.of((0x0806, 0x8100, 0x88A8, 0x0800, 0x86DD, 0x88CC)).to_bytes(2, "big")


def _mac(choices: Choices, frame: bytearray) -> None:
    frame[choices.below(6)] ^= 1 << choices.below(8)


def _jumbogram(_choices: Choices, frame: bytearray) -> None:
    """RFC 2675: a payload length of 0, and hop-by-hop options."""
    if len(frame) >= _ETHERNET + 8 and frame[_ETHERNET] >> 4 == 6:
        frame[_ETHERNET + 4 : _ETHERNET + 7] = bytes(3)


_MUTATIONS: Final[tuple[Callable[[Choices, bytearray], None], ...]] = (
    _flip,
    _truncate,
    _cut,
    _pad,
    _length,
    _headers_beyond,
    _set((0,), (0x44, 0x46, 0x4F, 0x60, 0x45, 0x65, 0x55, 0x50)),  # version and header length
    _set((6, 7), (0x20, 0x40, 0x60, 0x01, 0, 58, 44, 0)),  # fragments; next header, hop limit
    _set((8, 9), (1, 0, 2, 6, 17, 132)),  # TTL, protocol
    _set((32, 33, 52, 53), (0x02, 0x03, 0x11, 0x40, 0x50, 0xF0)),  # TCP's data offset and flags
    _set((24, 25, 44, 45), (0, 7, 8, 255)),  # UDP's length
    _set((20, 21, 40, 41), (3, 11, 2, 1)),  # ICMP's type and code
    _type,
    _mac,
    _jumbogram,
)
