"""Why a frame was dropped or came to nothing; the values are the names of counters."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TypeAlias


class Drop(StrEnum):
    MALFORMED = "malformed"
    "No frame or packet of the protocol that it claims to be."
    LINK_CLOSED = "link_closed"
    "Not LCP's, while LCP is not opened (RFC 1661 3.4)."
    UNAUTHENTICATED = "unauthenticated"
    "For the network, from a peer or to a peer that has not yet been told who is there (RFC 1661 3.5)."
    NETWORK_CLOSED = "network_closed"
    "Of a family that is not, or not yet, up (RFC 1661 3.6)."
    WRONG_VERSION = "wrong_version"
    "An IP packet that is of another version than its frame says."
    TOO_BIG = "too_big"
    "A packet to the peer that is larger than the peer takes."
    UNKNOWN_PROTOCOL = "unknown_protocol"
    "Answered with a Protocol-Reject (RFC 1661 5.7)."
    UNKNOWN_CODE = "unknown_code"
    "Answered with a Code-Reject (RFC 1661 5.6)."
    STALE_REPLY = "stale_reply"
    "An answer to no request that is under way (RFC 1661 4.3, 5.2)."
    LATE_REQUEST = "late_request"
    "A Configure-Request that the peer has already replaced by another."
    UNEXPECTED = "unexpected"
    "A packet that means nothing in this state."
    OWN_MAGIC = "own_magic"
    "Our own echo came back: the line is looped (RFC 1661 6.4)."
    REFLECTED = "reflected"
    "The peer's challenge is our own: an attempt to have us answer it."
    BAD_CREDENTIALS = "bad_credentials"
    "The peer could not prove who it is."


Drops: TypeAlias = Counter[str]
