"""Bits and hex digits as people write them, files as they are: read, or refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from tests.fuzz.supply import Supply
from vipd.cli.frame.source import Bits, Octets, given
from vipd.errors import ConfigError

_WRITTEN: Final = (
    "0100_1111 1100 0111 1100 111",
    "0b0111_1110 0b11",
    "# a line\n7e ff:03|c0,21.01-02\n\n7e 0x7d5e # its end\n",
    "00000000: 7eff 7d23 c021 7d21  ~.}#.!}!\n00000008: 7d20 7d20  } }",
    "\t0x0000:  0200 0000 0b02 0000  ........\n",
    r"\x7e\xff",
    "00000000  7e ff 7d 23 c0 21 7d 21  7d 21 7d 20 7d 28 7d 21  |~.}#.!}!}!} }(}!|\n00000010  7e  |~|\n00000011\n",
    "0000   7e ff 03   ~..\n\n0000   00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f   ..........\n0010   7e   ~\n",
    "0x7e, 0xff",
)
SEEDS: Final = [bytes((way,)) + text.encode() for way in range(2) for text in _WRITTEN]


def check(data: bytes) -> None:
    supply = Supply(data)
    way = supply.number(1)
    text = supply.rest().decode("latin-1")
    bits, digits = (text, None) if way == 0 else (None, text)
    with suppress(ConfigError), given(None, bits, digits, None) as source:
        if isinstance(source, Bits):
            assert set(source.bits) <= {0, 1}
            assert len(source.bits) <= sum(text.count(digit) for digit in "01")
        else:
            assert isinstance(source, Octets)
            assert 0 < 2 * len(source.whole) <= len(text)
