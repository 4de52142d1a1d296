"""Numbers as people write them on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vipd.cli.frame.choices import Modulo
from vipd.cli.frame.source import mistake
from vipd.wire import hdlc

MODULI: Final[dict[Modulo, hdlc.Modulo]] = {Modulo.EIGHT: 8, Modulo.MANY: 128}


def number_from(option: str, text: str, names: Mapping[str, int], most: int = 0xFFFF) -> int:
    """A name, or hex digits."""
    named = names.get(text.lower())
    if named is not None:
        return named
    try:
        number = int(text, 16)
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        known = f", and none of {', '.join(names)}" if names else ""
        raise mistake(option, f"{text!r} is no number from 0 to {most:x} in hex digits{known}")
    return number
