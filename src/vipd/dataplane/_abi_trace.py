"""What a tracer asks for and is told. From bpf/abi_trace.h by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from vipd.dataplane._abi import ADDR, FLOW, struct


class TraceLimits(IntEnum):
    FRAME = 2048
    ROOM = 1048576


class TraceOn(IntEnum):
    UPPER_HALF = 62
    LOWER_HALF = 63


class TracedFlag(IntEnum):
    KNOWN = 1
    REPLY = 2
    FIRST_FRAGMENT = 4
    LATER_FRAGMENT = 8
    BARE = 16


ENUMS: Final = (
    "trace_limits",
    "trace_on",
    "traced_flag",
)
"All enums, by their names in C."

TRACER: Final = struct(
    10432,
    ("on", "<u8", 0),
    ("keep", "<u8", 8),
    ("services_modulo", "<u8", 16),
    ("half_net", "<u8", 24),
    ("half_mask", "<u8", 32),
    ("gap", ("<u8", (3,)), 40),
    ("net", ADDR, 64),
    ("mask", ADDR, 80),
    ("frame", "<u4", 96),
    ("share", "<u4", 100),
    ("window", "<u8", 104),
    ("pid", "<u4", 112),
    ("beat", "<u4", 116),
    ("sample", "<u4", 120),
    ("pad", "<u4", 124),
    ("services", ("<u8", (256,)), 128),
    ("servers", ("<u8", (1024,)), 2176),
    ("heard_at", "<u8", 10368),
    ("renewed_at", "<u8", 10376),
    ("heard", "<u4", 10384),
    ("credit", "<i4", 10388),
    ("end", ("<u8", (5,)), 10392),
)

TRACE_COUNT: Final = struct(
    32,
    ("matched", "<u8", 0),
    ("sampled_out", "<u8", 8),
    ("limited", "<u8", 16),
    ("lost", "<u8", 24),
)

TRACED: Final = struct(
    144,
    ("at", "<u8", 0),
    ("flow", FLOW, 8),
    ("about", FLOW, 48),
    ("cpu", "<u4", 88),
    ("ingress", "<u4", 92),
    ("egress", "<u4", 96),
    ("service", "<u4", 100),
    ("real_server", "<u4", 104),
    ("came", "<u4", 108),
    ("left", "<u4", 112),
    ("l3_length", "<u2", 116),
    ("events", "<u2", 118),
    ("kept", "<u2", 120),
    ("outcome", "u1", 122),
    ("flags", "u1", 123),
    ("segment", "u1", 124),
    ("state", "u1", 125),
    ("macs", ("u1", (12,)), 126),
    ("pad", ("u1", (6,)), 138),
)

TRACE_RECORD: Final = struct(
    2192,
    ("traced", TRACED, 0),
    ("frame", ("u1", (2048,)), 144),
)
