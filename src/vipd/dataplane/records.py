"""A tracer's records, as the data plane writes them, to values. Asks the maps who the numbers in them are."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane.maps import Map
from vipd.dataplane.tables import METHOD_OF, SCHEDULER_OF, packed_endpoint, unpack_address
from vipd.model.outcome import EVENTS, OUTCOMES, Action, action
from vipd.model.trace import Flow, Fragment, Traced

_OUTCOMES: Final = {int(_abi.Outcome[name.upper()]): name for name in OUTCOMES}
_EVENTS: Final = {int(_abi.Event[name.upper()]): name for name in EVENTS}
_STATES: Final = {int(state): state.name.lower() for state in _abi.ConnectionState}
_SEGMENTS: Final = {int(segment): segment.name.lower() for segment in _abi.Segment}
_TCP: Final = 6
_ICMP: Final = {1, 58}
_NO_ADDRESS: Final = bytes(16)
_HEADER: Final = 14
_ADDED: Final = {bytes(12) + kind for kind in (b"\x08\x00", b"\x86\xdd")}
"See bpf/point_to_point.h; on a loopback device nothing is lost with these either."
_FORMATS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_KEY: Final = struct.Struct("<I")


def _fields(layout: np.dtype[Any]) -> list[tuple[str, np.dtype[Any], int]]:
    return [(name, *found[:2]) for name, found in (layout.fields or {}).items()]


def _formats(layout: np.dtype[Any]) -> Iterator[str]:
    """A layout as struct has it: addresses and what is big-endian as bytes; gaps stay gaps."""
    at = 0
    for _, kind, offset in _fields(layout):
        yield f"{offset - at}x"
        at = offset + kind.itemsize
        if kind.names and kind != _abi.ADDR:
            yield from _formats(kind)
        elif kind == _abi.ADDR or kind.subdtype or kind.byteorder == ">":
            yield f"{kind.itemsize}s"
        else:
            yield _FORMATS[kind.itemsize]
    yield f"{layout.itemsize - at}x"


def _names(layout: np.dtype[Any], before: str = "") -> Iterator[str]:
    for name, kind, _ in _fields(layout):
        if kind.names and kind != _abi.ADDR:
            yield from _names(kind, f"{name}_")
        else:
            yield before + name


HEAD: Final = struct.Struct("<" + "".join(_formats(_abi_trace.TRACED)))
NAMES: Final = tuple(_names(_abi_trace.TRACED))


class Records:
    """Remembers who is who until told to forget."""

    def __init__(self, services: Map, servers: Map) -> None:
        self._services, self._servers = services, servers
        self._known: dict[tuple[str, int], Any] = {}

    def forget(self) -> None:
        self._known.clear()

    def _row(self, table: Map, layout: np.dtype[Any], number: int) -> Any:
        found = self._known.get((table.name, number))
        if found is None:
            found = self._known[table.name, number] = np.frombuffer(table.lookup(_KEY.pack(number)), layout)[0]
        return found

    def read(self, record: bytes) -> Traced:
        told = dict(zip(NAMES, HEAD.unpack_from(record), strict=True))
        flags, outcome = told["flags"], _OUTCOMES[told["outcome"]]
        known = bool(flags & _abi_trace.TracedFlag.KNOWN)
        flow = _flow(told, "flow")
        later = flags & _abi_trace.TracedFlag.LATER_FRAGMENT
        first = flags & _abi_trace.TracedFlag.FIRST_FRAGMENT
        has_segment = flow and flow.protocol == _TCP and not later and (flow.source_port or flow.destination_port)
        sent_on = action(outcome) is Action.FORWARD
        return Traced(
            at=told["at"],
            cpu=told["cpu"],
            ingress=told["ingress"],
            outcome=outcome,
            events=tuple(name for bit, name in _EVENTS.items() if told["events"] >> bit & 1),
            flow=flow,
            segment=_SEGMENTS[told["segment"]] if has_segment else None,
            fragment=Fragment.LATER if later else Fragment.FIRST if first else None,
            known=known,
            about=_flow(told, "about") if known and flow and flow.protocol in _ICMP else None,
            reply=bool(flags & _abi_trace.TracedFlag.REPLY),
            state=_STATES[told["state"]] if told["state"] else None,
            egress=told["egress"] or None,
            source_mac=told["macs"][6:].hex(":") if sent_on else None,
            destination_mac=told["macs"][:6].hex(":") if sent_on else None,
            length=told["l3_length"],
            sent_length=told["left"],
            **_frame(told, record[HEAD.size : HEAD.size + told["kept"]]),
            **self._service(told["service"]),
            **self._server(told["real_server"]),
        )

    def _service(self, number: int) -> dict[str, Any]:
        row = self._row(self._services, _abi.SERVICE, number) if number else None
        if row is None or not row["protocol"]:
            return {"service": None, "scheduler": None}
        return {"service": packed_endpoint(row), "scheduler": SCHEDULER_OF[int(row["scheduler"])]}

    def _server(self, number: int) -> dict[str, Any]:
        row = self._row(self._servers, _abi.REAL_SERVER, number) if number else None
        if row is None or row["status"] == _abi.ServerStatus.FREE:
            return {"server": None, "server_port": None, "method": None, "local": False}
        return {
            "server": unpack_address(row["address"].tobytes()),
            "server_port": int(row["port"]) or None,
            "method": METHOD_OF.get(int(row["method"])),
            "local": int(row["method"]) == _abi.Method.LOCAL,
        }


def _frame(told: dict[str, Any], kept: bytes) -> dict[str, Any]:
    """As it came: a packet of a point-to-point link got a header without addresses from the data plane."""
    length = told["came"] if kept else 0
    bare = bool(told["flags"] & _abi_trace.TracedFlag.BARE)
    if not bare and kept[:_HEADER] in _ADDED:
        return {"frame": kept[_HEADER:], "frame_length": length - _HEADER, "bare": True}
    return {"frame": kept, "frame_length": length, "bare": bare}


def _flow(told: dict[str, Any], name: str) -> Flow | None:
    source, destination = told[f"{name}_source"], told[f"{name}_destination"]
    if source == destination == _NO_ADDRESS:
        return None
    return Flow(
        protocol=told[f"{name}_protocol"],
        source=unpack_address(source),
        source_port=int.from_bytes(told[f"{name}_source_port"], "big"),
        destination=unpack_address(destination),
        destination_port=int.from_bytes(told[f"{name}_destination_port"], "big"),
    )
