"""A BPF map as Python sees it: bytes, or numpy arrays in one call. Knows no layout of ours."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vipd.dataplane.btf import Btf
from vipd.dataplane.libbpf import KernelRefusal, check, lib, pointer, possible_cpus

Rows: TypeAlias = NDArray[Any]

_BATCH: Final = 65_536
_PER_CPU: Final = {5, 6, 10}
"BPF_MAP_TYPE_PERCPU_HASH, _PERCPU_ARRAY, _LRU_PERCPU_HASH"
_BATCH_CURSOR: Final = 64
"Room for the place where a batch goes on; the kernel wants a key's size or 4."


class _MapInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("key_size", ctypes.c_uint32),
        ("value_size", ctypes.c_uint32),
        ("max_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("btf_vmlinux_value_type_id", ctypes.c_uint32),
        ("netns_dev", ctypes.c_uint64),
        ("netns_ino", ctypes.c_uint64),
        ("btf_id", ctypes.c_uint32),
        ("btf_key_type_id", ctypes.c_uint32),
        ("btf_value_type_id", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        ("extra", ctypes.c_uint64),
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """What two maps must share so that the one can be read as the other."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    key: str
    "The BTF layout, all names and offsets."
    value: str


def kernel_btf(btf_id: int) -> Btf:
    """The types that the kernel keeps for a map."""
    handle = pointer(lib().btf__load_from_kernel_by_id(btf_id), f"read BTF {btf_id}")
    try:
        return Btf(raw_btf(handle))
    finally:
        lib().btf__free(handle)


def raw_btf(handle: int) -> bytes:
    size = ctypes.c_uint32()
    data = pointer(lib().btf__raw_data(handle, ctypes.byref(size)), "read BTF")
    return ctypes.string_at(data, size.value)


def _one(result: int, step: str, key: bytes) -> None:
    if result == -errno.ENOENT:
        raise KeyError(key)
    check(result, step)


class Map:
    """An open map; owns its file descriptor."""

    def __init__(self, fd: int, name: str = "") -> None:
        self.fd = fd
        self.info = _MapInfo()
        size = ctypes.c_uint32(ctypes.sizeof(self.info))
        check(lib().bpf_obj_get_info_by_fd(fd, ctypes.byref(self.info), ctypes.byref(size)), f"look at map {name}")
        self.name: str = name or self.info.name.decode()
        self.max_entries: int = self.info.max_entries
        self.cpus = possible_cpus() if self.info.type in _PER_CPU else 1
        # The kernel hands over per-CPU values in units of 8 bytes.
        stride = (self.info.value_size + 7) // 8 * 8
        self.value_size: int = stride * self.cpus if self.info.type in _PER_CPU else self.info.value_size

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def lookup(self, key: bytes) -> bytes:
        """The value; KeyError where there is none."""
        value = ctypes.create_string_buffer(self.value_size)
        _one(lib().bpf_map_lookup_elem(self.fd, key, value), f"read map {self.name}", key)
        return value.raw

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if len(key) != self.info.key_size or len(value) != self.value_size:
            raise ValueError(f"{self.name}: {len(key)} and {len(value)} bytes do not fit key and value")
        check(lib().bpf_map_update_elem(self.fd, key, value, flags), f"write map {self.name}")

    def delete(self, key: bytes) -> None:
        _one(lib().bpf_map_delete_elem(self.fd, key), f"delete from map {self.name}", key)

    def keys(self) -> Iterator[bytes]:
        """Every key; entries that change meanwhile may be missed or told twice."""
        key, following = None, ctypes.create_string_buffer(self.info.key_size)
        while (result := lib().bpf_map_get_next_key(self.fd, key, following)) != -errno.ENOENT:
            check(result, f"list map {self.name}")
            key = following.raw
            yield key

    def read(self, value: np.dtype[Any], first: int = 0, count: int | None = None) -> Rows:
        """Values of an array map from index `first` on; per-CPU ones with the CPU as second axis."""
        count = self.max_entries - first if count is None else count
        values = np.zeros(count, f"V{self.value_size}")
        done = 0
        while done < count:
            start = ctypes.c_uint32(first + done - 1) if first + done else None
            done += self._lookup_batch(start, np.zeros(count, "u4")[done:], values[done:])[0]
        if self.info.type not in _PER_CPU:
            return values.view(value)
        return values.view(f"V{self.value_size // self.cpus}").reshape(count, self.cpus).view(value)

    def items(self, key: np.dtype[Any], value: np.dtype[Any]) -> tuple[Rows, Rows]:
        """All keys and values of a hash or trie."""
        keys, values = np.zeros(self.max_entries, key), np.zeros(self.max_entries, value)
        done, cursor, more = 0, None, True
        while more and done < self.max_entries:
            got, cursor, more = self._lookup_batch(cursor, keys[done:], values[done:])
            done += got
        return keys[:done], values[:done]

    def _lookup_batch(self, start: Any, keys: Rows, values: Rows) -> tuple[int, Any, bool]:
        count = ctypes.c_uint32(min(len(keys), _BATCH))
        following = ctypes.create_string_buffer(_BATCH_CURSOR)
        begin = ctypes.byref(start) if start is not None else None
        result = lib().bpf_map_lookup_batch(
            self.fd, begin, following, keys.ctypes.data, values.ctypes.data, ctypes.byref(count), None
        )
        if result == -errno.ENOENT:
            return count.value, following, False
        check(result, f"read map {self.name}")
        return count.value, following, True

    def write(self, keys: Rows, values: Rows) -> None:
        """Many entries in one call; a refusal may leave some of them written."""
        if keys.itemsize != self.info.key_size or values.itemsize != self.value_size or len(keys) != len(values):
            raise ValueError(f"{self.name}: {keys.dtype} and {values.dtype} do not fit key and value")
        keys, values = np.ascontiguousarray(keys), np.ascontiguousarray(values)
        count = ctypes.c_uint32(len(keys))
        if len(keys):
            check(
                lib().bpf_map_update_batch(self.fd, keys.ctypes.data, values.ctypes.data, ctypes.byref(count), None),
                f"write map {self.name}",
            )

    def memory(self, value: np.dtype[Any], writable: bool = True) -> Rows:
        """A BPF_F_MMAPABLE array itself: reading and writing it is reading and writing the map."""
        stride = (self.info.value_size + 7) // 8 * 8
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        size = -(-self.max_entries * stride // mmap.PAGESIZE) * mmap.PAGESIZE
        try:
            area = mmap.mmap(self.fd, size, mmap.MAP_SHARED, access)
        except OSError as error:
            raise KernelRefusal(f"map table {self.name} into memory", error.errno or 0) from error
        return np.ndarray((self.max_entries,), value, area, 0, (stride,))

    def shape(self) -> Shape:
        types = kernel_btf(self.info.btf_id) if self.info.btf_id else None
        layouts = [
            types.layout(number) if types and number else ""
            for number in (self.info.btf_key_type_id, self.info.btf_value_type_id)
        ]
        return Shape(
            self.info.type,
            self.info.key_size,
            self.info.value_size,
            self.info.max_entries,
            self.info.flags,
            *layouts,
        )
