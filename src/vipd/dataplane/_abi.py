"""Layouts and enums of the data plane. Written by tools/gen_abi.py from bpf/abi.h: do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np


def struct(size: int, *fields: tuple[str, Any, int]) -> np.dtype[np.void]:
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


class Method(IntEnum):
    NAT = 0
    DR = 1
    TUN = 2
    LOCAL = 3


class Scheduler(IntEnum):
    RR = 0
    WRR = 1
    LC = 2
    WLC = 3
    SH = 4
    MH = 5


class ConnectionState(IntEnum):
    NONE = 0
    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT = 4
    TIME_WAIT = 5
    CLOSE = 6
    CLOSE_WAIT = 7
    LAST_ACK = 8
    LISTEN = 9
    SYNACK = 10
    UDP = 11
    COUNT = 12


class ServerStatus(IntEnum):
    FREE = 0
    PRESENT = 1
    REMOVED_RESET = 2
    REMOVED_RESCHEDULE = 3
    REMOVED_KEEP = 4


class Segment(IntEnum):
    SYN = 0
    FIN = 1
    ACK = 2
    RST = 3
    COUNT = 4


class Outcome(IntEnum):
    CONTINUE = 0
    FORWARD_DR = 1
    FORWARD_NAT = 2
    FORWARD_NAT_REPLY = 3
    FORWARD_TUN = 4
    FORWARD_ICMP_ERROR = 5
    ROUTE_NAT = 6
    ROUTE_NAT_REPLY = 7
    ROUTE_TUN = 8
    ROUTE_ICMP_ERROR = 9
    PASS_LOCAL_SERVER = 10
    PASS_NOT_OURS = 11
    PASS_NOT_IP = 12
    PASS_OTHER_MAC = 13
    PASS_VLAN = 14
    PASS_NO_SERVICE = 15
    PASS_ICMP = 16
    PASS_PROTOCOL = 17
    PASS_EXTENSION_HEADER = 18
    PASS_EARLY_FRAGMENT = 19
    PASS_OPTIONS = 20
    PASS_TOO_BIG = 21
    PASS_TTL = 22
    REPLY_RESET_NO_SERVER = 23
    REPLY_RESET_SERVER_REMOVED = 24
    REPLY_RESET_NO_CONNECTION = 25
    REPLY_UNREACHABLE_NO_SERVER = 26
    REPLY_UNREACHABLE_SERVER_REMOVED = 27
    REPLY_UNREACHABLE_NO_CONNECTION = 28
    REPLY_TOO_BIG = 29
    REPLY_TIME_EXCEEDED = 30
    DROP_MALFORMED = 31
    DROP_TCP_FLAGS = 32
    DROP_MARTIAN = 33
    DROP_NO_SERVER = 34
    DROP_COLLISION = 35
    DROP_UNKNOWN_REPLY = 36
    DROP_NO_ROUTE = 37
    DROP_NEIGHBOUR_UNRESOLVED = 38
    DROP_NO_ETHERNET = 39
    DROP_TTL = 40
    DROP_TOO_BIG = 41
    DROP_NO_ROOM_IN_FRAME = 42
    OUTCOME_COUNT = 43


class Event(IntEnum):
    CONNECTION_NEW = 0
    CONNECTION_REUSED = 1
    CONNECTION_EXPIRED = 2
    TABLE_FULL = 3
    STATELESS = 4
    NEXT_HOP_REFRESHED = 5
    MSS_CLAMPED = 6
    COUNT = 7


class Limits(IntEnum):
    BUCKET_SLOTS = 16
    REAL_SERVERS = 65536
    SERVICES = 16384
    INTERFACES = 65536
    RETURN_HOPS = 4096
    FRAGMENTS = 65536
    INTEREST_WORDS = 1024
    TICK_SHIFT = 26


class LifeShift(IntEnum):
    GENERATION_SHIFT = 32
    STATE_SHIFT = 48
    FLAGS_SHIFT = 56


class ConnectionFlag(IntEnum):
    USED = 1
    REPLY = 2
    TWO_WAY = 4
    ACTIVE = 8


class ServiceFlag(IntEnum):
    CLAMP_MSS = 1
    MH_PORT = 2


class NextHopKind(IntEnum):
    UNKNOWN = 0
    ETHERNET = 1
    KERNEL = 2
    UNRESOLVED = 3
    NO_ROUTE = 4
    BACK = 5


class InterfaceFlag(IntEnum):
    ATTACHED = 1
    REDIRECT = 2


ENUMS: Final = (
    "method",
    "scheduler",
    "connection_state",
    "server_status",
    "segment",
    "outcome",
    "event",
    "limits",
    "life_shift",
    "connection_flag",
    "service_flag",
    "next_hop_kind",
    "interface_flag",
)
"All enums, by their names in C."

ADDR: Final = struct(
    16,
    ("word", (">u4", (4,)), 0),
)

FLOW: Final = struct(
    40,
    ("source", ADDR, 0),
    ("destination", ADDR, 16),
    ("source_port", ">u2", 32),
    ("destination_port", ">u2", 34),
    ("protocol", "u1", 36),
    ("pad", ("u1", (3,)), 37),
)

CONNECTION: Final = struct(
    64,
    ("flow", FLOW, 0),
    ("life", "<u8", 40),
    ("real_server", "<u4", 48),
    ("service", "<u4", 52),
    ("twin", "<u4", 56),
    ("service_port", ">u2", 60),
    ("return_hop", "<u2", 62),
)

BUCKET: Final = struct(
    1088,
    ("tags", ("<u8", (2,)), 0),
    ("pad", ("<u8", (6,)), 16),
    ("slot", (CONNECTION, (16,)), 64),
)

SERVICE_KEY: Final = struct(
    20,
    ("vip", ADDR, 0),
    ("port", ">u2", 16),
    ("protocol", "u1", 18),
    ("pad", "u1", 19),
)

SERVICE_RANGE: Final = struct(
    24,
    ("prefixlen", "<u4", 0),
    ("vip", ADDR, 4),
    ("protocol", "u1", 20),
    ("pad", "u1", 21),
    ("port", ">u2", 22),
)

SERVICE: Final = struct(
    40,
    ("vip", ADDR, 0),
    ("first_port", ">u2", 16),
    ("last_port", ">u2", 18),
    ("protocol", "u1", 20),
    ("scheduler", "u1", 21),
    ("flags", "u1", 22),
    ("pad", "u1", 23),
    ("slots", "<u4", 24),
    ("slot_count", "<u4", 28),
    ("fallback", "<u4", 32),
    ("fallback_count", "<u4", 36),
)

REAL_SERVER: Final = struct(
    48,
    ("address", ADDR, 0),
    ("tunnel_source", ADDR, 16),
    ("service", "<u4", 32),
    ("weight", "<u4", 36),
    ("port", ">u2", 40),
    ("method", "u1", 42),
    ("status", "u1", 43),
    ("tunnel_source_bits", "u1", 44),
    ("pad", ("u1", (3,)), 45),
)

LOAD: Final = struct(
    16,
    ("active", "<u8", 0),
    ("inactive", "<u8", 8),
)

TRAFFIC: Final = struct(
    40,
    ("connections", "<u8", 0),
    ("packets_in", "<u8", 8),
    ("bytes_in", "<u8", 16),
    ("packets_out", "<u8", 24),
    ("bytes_out", "<u8", 32),
)

NEXT_HOP: Final = struct(
    32,
    ("resolved_at", "<u8", 0),
    ("ifindex", "<u4", 8),
    ("mtu", "<u2", 12),
    ("kind", "u1", 14),
    ("gateway", "u1", 15),
    ("destination", ("u1", (6,)), 16),
    ("source", ("u1", (6,)), 22),
    ("pad", ("u1", (4,)), 28),
)

INTERFACE: Final = struct(
    12,
    ("ifindex", "<u4", 0),
    ("mac", ("u1", (6,)), 4),
    ("flags", "u1", 10),
    ("pad", "u1", 11),
)

FRAGMENT_KEY: Final = struct(
    40,
    ("source", ADDR, 0),
    ("destination", ADDR, 16),
    ("id", ">u4", 32),
    ("protocol", "u1", 36),
    ("pad", ("u1", (3,)), 37),
)

FRAGMENT: Final = struct(
    16,
    ("seen_at", "<u8", 0),
    ("source_port", ">u2", 8),
    ("destination_port", ">u2", 10),
    ("pad", ("u1", (4,)), 12),
)

INTEREST: Final = struct(
    8192,
    ("bits", ("<u8", (1024,)), 0),
)

CONFIG: Final = struct(
    128,
    ("hash_key", ("<u8", (2,)), 0),
    ("flow_key", ("<u8", (11,)), 16),
    ("buckets", "<u4", 104),
    ("sweep_buckets", "<u4", 108),
    ("sweep_interval", "<u8", 112),
    ("next_hop_age", "<u8", 120),
)

SWEEPER: Final = struct(
    40,
    ("timer", "V16", 0),
    ("position", "<u8", 16),
    ("beats", "<u8", 24),
    ("clock", "<u8", 32),
)
