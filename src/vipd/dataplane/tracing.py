"""Tracing: what is asked for goes into the map `tracer`, packets come out of a ring buffer.

Works on the pinned maps of an instance, beside its daemon or without one. The data
plane stops by itself when the tracer gives no sign of life for two seconds.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from vipd.dataplane import _abi, _abi_trace
from vipd.dataplane.libbpf import KernelRefusal
from vipd.dataplane.maps import Map
from vipd.dataplane.pins import BUILT
from vipd.dataplane.program import Object, unpinned
from vipd.dataplane.records import Records
from vipd.dataplane.ring import Ring
from vipd.dataplane.tables import addresses, pack_address, packed_endpoint, unpack_address
from vipd.errors import DataplaneError
from vipd.model.director import Address, Endpoint, Network
from vipd.model.outcome import CHANGED
from vipd.model.trace import FRAME_BYTES, Asked, TraceCounts, Traced

_TABLES: Final = ("tracer", "traces", "trace_counts", "trace_records", "service_table", "real_servers", "outcomes")
_ALL: Final = np.uint64(2**64 - 1)
_SECOND: Final = 1_000_000_000
_SHARES: Final = 10
"Windows in a second that a rate is divided among, so that what is shown is spread over it."
_HALF: Final = 8
"Bytes of an address."
_OF_NO_SERVICE: Final = {"pass_not_ours"}
"What most packets are that are none of ours: no service was looked up for them, and the first look can tell."
_COUNTER: Final = np.dtype("<u8")
_FREE: Final = int(_abi.ServerStatus.FREE)


class Tracer:
    """The only one of its instance: the second is refused. `maps` are those named in _TABLES, pinned in `directory`."""

    def __init__(self, maps: Mapping[str, Map], directory: Path) -> None:
        self._pin, self._maps = directory / "tracer", maps
        self._cell = maps["tracer"].memory(_abi_trace.TRACER)
        self._ring = Ring(maps["traces"])
        self._records = Records(maps["service_table"], maps["real_servers"])
        self._asked = Asked()
        self._passed = 0

    def close(self) -> None:
        """The data plane traces no more."""
        self.stop()
        self._ring.close()

    def start(self, asked: Asked) -> None:
        """What a tracer before this one left is thrown away."""
        self.stop()
        while self._ring.poll(0):
            pass
        counts = self._maps["trace_counts"]
        counts.write(np.zeros(1, "u4"), np.zeros(1, f"V{counts.value_size}"))
        records = self._maps["trace_records"]
        records.write(np.zeros(1, "u4"), np.zeros(1, f"V{records.value_size}"))
        self._asked = asked
        for field, value in _settings(asked).items():
            self._cell[field] = value
        self._cell["pid"] = os.getpid()
        self._cell["renewed_at"] = time.monotonic_ns()
        self._passed = self._all_packets()
        self.beat()

    def beat(self) -> bool:
        """A sign of life, more often than every two seconds; False where the data plane had stopped meanwhile.

        Ids of services and servers come and go: which are meant is looked up again, too.
        """
        services, servers = self._meant()
        self._cell["services"], self._cell["servers"] = services, servers
        self._cell["services_modulo"] = np.bitwise_or.reduce(services)
        was_on = bool(self._cell["on"][0])
        self._cell["beat"] += 1
        on = _switch(self._asked, bool(services[0] & np.uint64(1)))
        self._cell["keep"] = on if self._asked.frame and self._asked.outcomes & CHANGED else 0
        self._cell["on"] = on
        self._records.forget()
        return was_on

    def stands(self) -> bool:
        """Whether what is traced is still there; it may be taken down, and made anew."""
        try:
            pinned = Map(unpinned(self._pin), "tracer")
        except KernelRefusal:
            return False
        try:
            return bool(pinned.info.id == self._maps["tracer"].info.id)
        finally:
            pinned.close()

    def stop(self) -> None:
        """The data plane traces no more; what came until now can still be polled."""
        self._cell["on"] = self._cell["keep"] = 0

    def poll(self, timeout: float) -> list[Traced]:
        """What came; waits up to so many seconds for it, less where a signal comes."""
        return [self._records.read(record) for record in self._ring.poll(timeout)]

    def counts(self) -> TraceCounts:
        row = self._maps["trace_counts"].read(_abi_trace.TRACE_COUNT)[0]
        names = _abi_trace.TRACE_COUNT.names or ()
        return TraceCounts(passed=self._all_packets() - self._passed, **{each: int(row[each].sum()) for each in names})

    def endpoints(self) -> list[Endpoint]:
        """Of all services that are known."""
        rows = self._maps["service_table"].read(_abi.SERVICE)
        return [packed_endpoint(row) for row in rows[rows["protocol"] != 0]]

    def servers(self) -> set[Address]:
        """Of all real servers that are known."""
        rows = self._maps["real_servers"].read(_abi.REAL_SERVER)
        return {unpack_address(row["address"].tobytes()) for row in rows[rows["status"] != _FREE]}

    def _all_packets(self) -> int:
        return int(self._maps["outcomes"].read(_COUNTER).sum())

    def _meant(self) -> tuple[Any, Any]:
        """The bits of services and of servers; bit 0: packets that have none (yet)."""
        services = np.full(_abi.Limits.SERVICES // 64, _ALL)
        servers = np.full(_abi.Limits.REAL_SERVERS // 64, _ALL)
        if self._asked.services is not None:
            rows = self._maps["service_table"].read(_abi.SERVICE)
            known = np.flatnonzero(rows["protocol"])
            services = _bits(services, [n for n in known.tolist() if packed_endpoint(rows[n]) in self._asked.services])
        if self._asked.servers is not None:
            rows = self._maps["real_servers"].read(_abi.REAL_SERVER)
            packed = addresses(pack_address(each) for each in self._asked.servers)
            meant = np.flatnonzero((rows["status"] != _FREE) & np.isin(_key(rows["address"]), _key(packed)))
            servers = _bits(servers, meant.tolist())
            # Fewer services make the first look at a packet sharper.
            services &= _bits(services, rows["service"][meant].tolist())
        return services, servers


def _key(column: Any) -> Any:
    return np.ascontiguousarray(column).view("V16").reshape(-1)


def _bits(like: Any, numbers: Iterable[int]) -> Any:
    found = np.zeros_like(like)
    for number in numbers:
        found[number // 64] |= np.uint64(1 << number % 64)
    return found


def _switch(asked: Asked, of_no_service: bool) -> int:
    """The bits of `on`: never 0, whatever is asked for."""
    names = asked.outcomes if of_no_service else asked.outcomes - _OF_NO_SERVICE
    on = 1 << _abi.Outcome.CONTINUE
    on |= sum(1 << _abi.Outcome[name.upper()] for name in names)
    if asked.client is not None:
        on |= 1 << (_abi_trace.TraceOn.UPPER_HALF if _by_upper_half(asked.client) else _abi_trace.TraceOn.LOWER_HALF)
    return on


def _by_upper_half(client: Network) -> bool:
    """Where the lower half of the address may be anything."""
    return not any(_net(client)[1][_HALF:])


def _settings(asked: Asked) -> dict[str, Any]:
    net, mask = _net(asked.client) if asked.client else (bytes(16), bytes(16))
    half = slice(_HALF) if asked.client and _by_upper_half(asked.client) else slice(_HALF, None)
    # So many records in so much time that a second has exactly the rate, in up to ten shares.
    share = -(-asked.rate // _SHARES)
    return {
        "half_net": int.from_bytes(net[half], "little"),
        "half_mask": int.from_bytes(mask[half], "little"),
        "net": np.frombuffer(net, _abi.ADDR)[0],
        "mask": np.frombuffer(mask, _abi.ADDR)[0],
        "sample": asked.sample,
        "frame": min(asked.frame, FRAME_BYTES),
        "share": share,
        "credit": share,
        "window": share * _SECOND // asked.rate if asked.rate else _SECOND,
    }


def _net(network: Network) -> tuple[bytes, bytes]:
    address, mask = network.network_address, network.netmask
    return pack_address(address), mask.packed if network.version == 6 else b"\xff" * 12 + mask.packed


@contextmanager
def open_tracer(directory: Path, built: Path = BUILT) -> Iterator[Tracer]:
    """On the data plane pinned there; tracing ends with the block."""
    with ExitStack() as stack:
        maps = _open_maps(directory, built, stack.callback)
        _lock(directory / "tracer", maps["tracer"], stack.callback)
        tracer = Tracer(maps, directory)
        stack.callback(tracer.close)
        yield tracer


def _open_maps(directory: Path, built: Path, at_end: Callable[..., Any]) -> dict[str, Map]:
    maps = {}
    with Object(built) as wanted:
        for name in _TABLES:
            try:
                maps[name] = Map(unpinned(directory / name), name)
            except KernelRefusal:
                raise _other_build(directory) from None
            at_end(maps[name].close)
            if maps[name].shape() != wanted.shape(name):
                raise _other_build(directory)
    return maps


def _other_build(directory: Path) -> DataplaneError:
    return DataplaneError(
        f"{directory} was made by another build of vipd: trace with that one, or start this build's `vipd run` first"
    )


def _lock(path: Path, table: Map, at_end: Callable[..., Any]) -> None:
    """The kernel lets go of it however the tracer ends."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    at_end(os.close, fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = int(table.memory(_abi_trace.TRACER)["pid"][0])
        raise DataplaneError(
            f"process {pid} traces this instance already, and only one can: end that one first"
        ) from None
