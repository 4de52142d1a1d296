"""What the options of `vipd frame` may be; nothing else, so that help is quick."""

from __future__ import annotations

from enum import StrEnum


class Protocol(StrEnum):
    HDLC = "hdlc"
    PPP = "ppp"
    CISCO_HDLC = "cisco-hdlc"
    ETHERNET = "ethernet"
    IP = "ip"


class Framing(StrEnum):
    BIT = "bit"
    ASYNC = "async"
    NONE = "none"


class Fcs(StrEnum):
    AUTO = "auto"
    SIXTEEN = "16"
    THIRTY_TWO = "32"
    NONE = "none"


class Modulo(StrEnum):
    EIGHT = "8"
    MANY = "128"


class Form(StrEnum):
    """What a file holds."""

    BITS = "bits"
    HEX = "hex"
    BINARY = "binary"
    CAPTURE = "capture"


class SegmentKind(StrEnum):
    HUB = "hub"
    SWITCH = "switch"
    POINT_TO_POINT = "p2p"


class MethodName(StrEnum):
    NAT = "nat"
    DR = "dr"
    TUN = "tun"


class Way(StrEnum):
    """To the real server."""

    ETHERNET = "ethernet"
    POINT_TO_POINT = "p2p"
