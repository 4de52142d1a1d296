"""libbpf.so.1 by ctypes: declarations, and how a refusal of the kernel becomes an error."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from vipd.dataplane.shield import shielded
from vipd.errors import DataplaneError, EnvironmentProblem

KERNEL_NEEDED: Final = (6, 1)
_LOG_KEPT: Final = 400
"Messages of libbpf that wait for an error to be told with; a step makes far fewer."
_LEVEL_INFO: Final = 1
_VA_LIST: Final = 32
"Bytes that hold a va_list on x86-64 (24) and on arm64 (32)."

_POINTER, _INT, _U32, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t
SAMPLE: Final = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _SIZE)
"Called with each record of a ring buffer: context, place, length."
_PRINT: Final = ctypes.CFUNCTYPE(_INT, _INT, _POINTER, _POINTER)
_SIGNATURES: Final[dict[str, tuple[type[object], tuple[type[object], ...]]]] = {
    "bpf_object__open_mem": (_POINTER, (_POINTER, _SIZE, _POINTER)),
    "bpf_object__load": (_INT, (_POINTER,)),
    "bpf_object__close": (None, (_POINTER,)),  # type: ignore[dict-item]
    "bpf_object__btf": (_POINTER, (_POINTER,)),
    "bpf_object__next_map": (_POINTER, (_POINTER, _POINTER)),
    "bpf_object__next_program": (_POINTER, (_POINTER, _POINTER)),
    "bpf_object__find_map_by_name": (_POINTER, (_POINTER, _TEXT)),
    "bpf_map__name": (_TEXT, (_POINTER,)),
    "bpf_map__fd": (_INT, (_POINTER,)),
    "bpf_map__is_internal": (ctypes.c_bool, (_POINTER,)),
    "bpf_map__initial_value": (_POINTER, (_POINTER, ctypes.POINTER(_SIZE))),
    "bpf_map__set_type": (_INT, (_POINTER, _U32)),
    "bpf_map__set_map_flags": (_INT, (_POINTER, _U32)),
    "bpf_map__set_max_entries": (_INT, (_POINTER, _U32)),
    "bpf_map__reuse_fd": (_INT, (_POINTER, _INT)),
    "bpf_map__type": (_INT, (_POINTER,)),
    "bpf_map__key_size": (_U32, (_POINTER,)),
    "bpf_map__value_size": (_U32, (_POINTER,)),
    "bpf_map__max_entries": (_U32, (_POINTER,)),
    "bpf_map__map_flags": (_U32, (_POINTER,)),
    "bpf_map__btf_key_type_id": (_U32, (_POINTER,)),
    "bpf_map__btf_value_type_id": (_U32, (_POINTER,)),
    "bpf_program__name": (_TEXT, (_POINTER,)),
    "bpf_program__fd": (_INT, (_POINTER,)),
    "bpf_program__set_autoload": (_INT, (_POINTER, ctypes.c_bool)),
    "btf__raw_data": (_POINTER, (_POINTER, ctypes.POINTER(_U32))),
    "btf__load_from_kernel_by_id": (_POINTER, (_U32,)),
    "btf__free": (None, (_POINTER,)),  # type: ignore[dict-item]
    "bpf_obj_pin": (_INT, (_INT, _TEXT)),
    "bpf_obj_get_opts": (_INT, (_TEXT, _POINTER)),
    "bpf_obj_get_info_by_fd": (_INT, (_INT, _POINTER, ctypes.POINTER(_U32))),
    "bpf_map_get_fd_by_id": (_INT, (_U32,)),
    "bpf_prog_get_fd_by_id": (_INT, (_U32,)),
    "bpf_map_lookup_elem": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_map_update_elem": (_INT, (_INT, _POINTER, _POINTER, ctypes.c_uint64)),
    "bpf_map_delete_elem": (_INT, (_INT, _POINTER)),
    "bpf_map_get_next_key": (_INT, (_INT, _POINTER, _POINTER)),
    "bpf_map_lookup_batch": (_INT, (_INT, _POINTER, _POINTER, _POINTER, _POINTER, ctypes.POINTER(_U32), _POINTER)),
    "bpf_map_update_batch": (_INT, (_INT, _POINTER, _POINTER, ctypes.POINTER(_U32), _POINTER)),
    "bpf_prog_test_run_opts": (_INT, (_INT, _POINTER)),
    "bpf_link_create": (_INT, (_INT, _INT, _INT, _POINTER)),
    "bpf_link_update": (_INT, (_INT, _INT, _POINTER)),
    "bpf_link_detach": (_INT, (_INT,)),
    "bpf_xdp_query": (_INT, (_INT, _INT, _POINTER)),
    "ring_buffer__new": (_POINTER, (_INT, SAMPLE, _POINTER, _POINTER)),
    "ring_buffer__poll": (_INT, (_POINTER, _INT)),
    "ring_buffer__consume": (_INT, (_POINTER,)),
    "ring_buffer__free": (None, (_POINTER,)),  # type: ignore[dict-item]
    "libbpf_num_possible_cpus": (_INT, ()),
    "libbpf_set_print": (_POINTER, (_PRINT,)),
}
_HINTS: Final = {
    errno.EPERM: "vipd needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
    errno.EACCES: "the kernel's verifier or its permissions refuse it",
    errno.ENOMEM: "memory is short: ask for fewer connections, or lift the memory limit of this control group",
    errno.E2BIG: "a table, or the program, is larger than this kernel allows",
    errno.ENOSPC: "the table is full",
    errno.EMFILE: "too many open files: lift the limit (ulimit -n)",
    errno.EOPNOTSUPP: "this kernel or driver cannot do it",
}

_said: list[str] = []


class KernelRefusal(DataplaneError):
    """A step that the kernel refused, with its errno."""

    def __init__(self, step: str, number: int, detail: str = "") -> None:
        self.step, self.errno = step, number
        name = errno.errorcode.get(number, str(number))
        hint = _HINTS.get(number, "")
        parts = [f"{step}: {name} ({os.strerror(number)})", hint, detail]
        super().__init__("; ".join(part for part in parts if part))


def _listen(level: int, form: int, arguments: int) -> int:
    if level > _LEVEL_INFO or len(_said) >= _LOG_KEPT:
        return 0
    # A va_list serves once: the first copy tells the length, the second fills the buffer.
    first, second = (ctypes.create_string_buffer(ctypes.string_at(arguments, _VA_LIST)) for _ in range(2))
    length: int = _libc().vsnprintf(None, _SIZE(0), _POINTER(form), first)
    buffer = ctypes.create_string_buffer(length + 1)
    _libc().vsnprintf(buffer, _SIZE(length + 1), _POINTER(form), second)
    _said.append(buffer.value.decode(errors="replace").rstrip())
    return length


_LISTENER: Final = _PRINT(_listen)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


@cache
def lib() -> ctypes.CDLL:
    """libbpf, declared and made to keep its words for our errors instead of printing them."""
    try:
        loaded = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise EnvironmentProblem(f"libbpf.so.1, version 1.1 or later, is needed ({error}): install libbpf1") from error
    loaded.libbpf_set_print(_LISTENER)
    return loaded


@contextmanager
def listening() -> Iterator[list[str]]:
    """What libbpf says meanwhile. Ctrl-C waits: it would be lost in the function that libbpf says it to."""
    _said.clear()
    with shielded():
        yield _said


def check(result: int, step: str) -> int:
    """The result of a call, or the error that it stands for (libbpf 1.x: -errno)."""
    if result < 0:
        raise KernelRefusal(step, -result)
    return result


def pointer(result: int | None, step: str) -> int:
    if not result:
        raise KernelRefusal(step, ctypes.get_errno())
    return result


@cache
def possible_cpus() -> int:
    return check(lib().libbpf_num_possible_cpus(), "count the CPUs")


def require_kernel(release: str | None = None, btf: str = "/sys/kernel/btf/vmlinux") -> None:
    """A kernel that can run the data plane, or the reason why it cannot."""
    release = release or os.uname().release
    number = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if number < KERNEL_NEEDED:
        raise EnvironmentProblem(
            f"kernel {release} is too old: vipd needs {'.'.join(map(str, KERNEL_NEEDED))} or later"
        )
    if not os.access(btf, os.R_OK):
        raise EnvironmentProblem(
            f"{btf} is missing: vipd needs a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's and most others are)"
        )
