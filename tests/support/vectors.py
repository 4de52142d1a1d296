"""Frames and check values that others published, or that their rules make; in tests/wire/vectors with their sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from vipd.wire.deframer import FrameError

_FOLDER: Final = Path(__file__).parents[1] / "wire" / "vectors"

Vector = dict[str, Any]


def load(name: str) -> dict[str, list[Vector]]:
    loaded: dict[str, list[Vector]] = json.loads((_FOLDER / f"{name}.json").read_text())
    return loaded


def name_of(vector: Vector) -> str:
    return str(vector["name"])


def octets(written: str | list[str | Vector]) -> bytes:
    """Octets as hex, or as parts, of which some repeat."""
    if isinstance(written, str):
        return bytes.fromhex(written)
    return b"".join(
        bytes.fromhex(part) if isinstance(part, str) else bytes.fromhex(part["hex"]) * part["times"] for part in written
    )


def written(found: list[bytes | FrameError]) -> list[str]:
    """Frames as hex, faults by their name behind an exclamation mark."""
    return [one.hex() if isinstance(one, bytes) else f"!{one.fault}" for one in found]
