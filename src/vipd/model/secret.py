"""A shared secret that no representation, log or message shows."""

from __future__ import annotations

import hmac
from typing import final


@final
class Secret:
    """Bytes that only who asks for them by name gets."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        return self._value

    def matches(self, other: bytes) -> bool:
        """In a time that does not depend on where the two differ."""
        return hmac.compare_digest(self._value, other)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")
