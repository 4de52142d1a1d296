"""BPF objects and programs: open, set constants, load, run once, pin. Knows no map of ours by name."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vipd.dataplane.btf import Btf
from vipd.dataplane.libbpf import KernelRefusal, check, lib, listening, pointer
from vipd.dataplane.maps import Map, Shape, raw_btf

_OUTPUT_ROOM: Final = 4096
"How much longer than its input a frame may come out."
_LOG_LINES: Final = 12
_SECTION: Final = ".data."
"A section of variables with a name behind this is a map of that name."
_READ_ONLY: Final = 1 << 3
"BPF_F_RDONLY"
_U32, _POINTER = ctypes.c_uint32, ctypes.c_void_p


class _OpenOpts(ctypes.Structure):
    _fields_ = (("sz", ctypes.c_size_t), ("object_name", ctypes.c_char_p), ("rest", ctypes.c_uint64 * 8))


class _GetOpts(ctypes.Structure):
    _fields_ = (("sz", ctypes.c_size_t), ("file_flags", _U32), ("pad", _U32))


class _RunOpts(ctypes.Structure):
    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("data_in", _POINTER),
        ("data_out", _POINTER),
        ("data_size_in", _U32),
        ("data_size_out", _U32),
        ("ctx_in", _POINTER),
        ("ctx_out", _POINTER),
        ("ctx_size_in", _U32),
        ("ctx_size_out", _U32),
        ("retval", _U32),
        ("repeat", ctypes.c_int),
        ("duration", _U32),
        ("flags", _U32),
        ("cpu", _U32),
        ("batch_size", _U32),
    )


class _XdpMd(ctypes.Structure):
    _fields_ = (
        ("data", _U32),
        ("data_end", _U32),
        ("data_meta", _U32),
        ("ingress_ifindex", _U32),
        ("rx_queue_index", _U32),
        ("egress_ifindex", _U32),
    )


class _ProgramInfo(ctypes.Structure):
    _fields_ = (
        ("type", _U32),
        ("id", _U32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", _U32),
        ("xlated_prog_len", _U32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", _U32),
        ("nr_map_ids", _U32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
    )


@dataclass(frozen=True, slots=True)
class Run:
    """One test run: what the program returned, the frame as it left it, nanoseconds per repetition."""

    action: int
    frame: bytes
    duration: int


class Program:
    """A loaded program; `owned` file descriptors are closed with it."""

    def __init__(self, fd: int, owned: bool = False) -> None:
        self.fd, self._owned = fd, owned

    def close(self) -> None:
        if self._owned:
            os.close(self.fd)
            self.fd, self._owned = -1, False

    def _info(self, map_room: int = 0) -> tuple[_ProgramInfo, list[int]]:
        ids = (_U32 * map_room)()
        info = _ProgramInfo(nr_map_ids=map_room, map_ids=ctypes.addressof(ids) if map_room else 0)
        size = _U32(ctypes.sizeof(info))
        check(lib().bpf_obj_get_info_by_fd(self.fd, ctypes.byref(info), ctypes.byref(size)), "look at the program")
        return info, list(ids)

    @property
    def id(self) -> int:
        number: int = self._info()[0].id
        return number

    @property
    def name(self) -> str:
        name: bytes = self._info()[0].name
        return name.decode()

    @property
    def tag(self) -> bytes:
        """A hash of the instructions, constants of .rodata not among them."""
        return bytes(self._info()[0].tag)

    def maps(self) -> list[Map]:
        """Every map that the program uses, its constants too."""
        info, _ = self._info()
        _, ids = self._info(info.nr_map_ids)
        return [Map(check(lib().bpf_map_get_fd_by_id(number), f"open map {number}")) for number in ids]

    def run(
        self,
        frame: bytes,
        repeat: int = 1,
        ifindex: int = 0,
        rx_queue: int = 0,
        flags: int = 0,
        batch_size: int = 0,
        cpu: int = 0,
    ) -> Run:
        """BPF_PROG_TEST_RUN; `ifindex` 0 is the loopback of the caller's network namespace."""
        room = ctypes.create_string_buffer(len(frame) + _OUTPUT_ROOM)
        context = _XdpMd(data_end=len(frame), ingress_ifindex=ifindex, rx_queue_index=rx_queue)
        options = _RunOpts(
            sz=ctypes.sizeof(_RunOpts),
            data_in=ctypes.cast(ctypes.c_char_p(frame), _POINTER),
            data_size_in=len(frame),
            repeat=repeat,
            flags=flags,
            batch_size=batch_size,
            cpu=cpu,
        )
        if not flags:
            options.data_out, options.data_size_out = ctypes.addressof(room), len(room)
        if ifindex or flags:
            options.ctx_in, options.ctx_size_in = ctypes.addressof(context), ctypes.sizeof(context)
        check(lib().bpf_prog_test_run_opts(self.fd, ctypes.byref(options)), "run the program on a frame")
        return Run(options.retval, room.raw[: options.data_size_out] if not flags else b"", options.duration)


class Object:
    """A compiled object: opened, given its constants and table sizes, then loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._image = path.read_bytes()
        except OSError as error:
            raise KernelRefusal(f"read {path}", error.errno or 0, "`make build` compiles it") from error
        called = path.name.split(".")[0].encode()
        options = _OpenOpts(sz=ctypes.sizeof(_OpenOpts), object_name=called)
        with listening() as said:
            self._handle: int = lib().bpf_object__open_mem(self._image, len(self._image), ctypes.byref(options)) or 0
        if not self._handle:
            raise KernelRefusal(f"open {path}", ctypes.get_errno(), " ".join(said))
        self.btf = Btf(raw_btf(pointer(lib().bpf_object__btf(self._handle), "read BTF")))
        self._maps: dict[str, int] = {}
        handle = None
        while handle := lib().bpf_object__next_map(self._handle, handle):
            name = lib().bpf_map__name(handle).decode()
            if not lib().bpf_map__is_internal(handle) or name.startswith(_SECTION):
                self._maps[name.removeprefix(_SECTION)] = handle
        self.maps: dict[str, Map] = {}
        self.programs: dict[str, Program] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def discard(self) -> None:
        """Close what was handed out too."""
        for table in self.maps.values():
            table.close()
        for program in self.programs.values():
            program.close()

    def close(self) -> None:
        """Maps and programs handed out stay open: they are duplicates."""
        if self._handle:
            lib().bpf_object__close(self._handle)
            self._handle = 0

    @property
    def map_names(self) -> tuple[str, ...]:
        return tuple(self._maps)

    def shape(self, name: str) -> Shape:
        """Of a map as this object would make it."""
        handle, known = self._maps[name], lib()
        return Shape(
            known.bpf_map__type(handle),
            known.bpf_map__key_size(handle),
            known.bpf_map__value_size(handle),
            known.bpf_map__max_entries(handle),
            known.bpf_map__map_flags(handle),
            *(
                self.btf.layout(number) if number else ""
                for number in (known.bpf_map__btf_key_type_id(handle), known.bpf_map__btf_value_type_id(handle))
            ),
        )

    def constant(self, name: str) -> bytearray | memoryview:
        """A `const volatile` variable of .rodata, writable until load."""
        section = pointer(lib().bpf_object__find_map_by_name(self._handle, b".rodata"), "find .rodata")
        size = ctypes.c_size_t()
        start = pointer(lib().bpf_map__initial_value(section, ctypes.byref(size)), "read .rodata")
        offset, length = self.btf.variable(".rodata", name)
        return memoryview((ctypes.c_uint8 * length).from_address(start + offset)).cast("B")

    def resize(self, name: str, entries: int) -> None:
        check(lib().bpf_map__set_max_entries(self._maps[name], entries), f"size map {name}")

    def reuse(self, name: str, fd: int) -> None:
        check(lib().bpf_map__reuse_fd(self._maps[name], fd), f"adopt map {name}")

    def leave_out(self, program: str) -> None:
        """Not to be loaded."""
        handle = None
        while handle := lib().bpf_object__next_program(self._handle, handle):
            if lib().bpf_program__name(handle).decode() == program:
                check(lib().bpf_program__set_autoload(handle, False), f"leave out {program}")

    def load(self) -> None:
        """Maps made, programs verified; a refusal carries the verifier's last words."""
        with listening() as said:
            result = lib().bpf_object__load(self._handle)
            words = [line for text in said for line in text.splitlines() if line.strip()]
        if result < 0:
            log = "\n  ".join(words[-_LOG_LINES:])
            raise KernelRefusal(f"load {self.path.name}", -result, f"the kernel says:\n  {log}")
        for name, handle in self._maps.items():
            self.maps[name] = Map(os.dup(lib().bpf_map__fd(handle)), name)
        program = None
        while program := lib().bpf_object__next_program(self._handle, program):
            if lib().bpf_program__fd(program) < 0:
                continue  # left out
            fd = os.dup(lib().bpf_program__fd(program))
            self.programs[lib().bpf_program__name(program).decode()] = Program(fd, owned=True)


def pin(fd: int, path: Path) -> None:
    check(lib().bpf_obj_pin(fd, str(path).encode()), f"pin {path}")


def unpinned(path: Path, read_only: bool = False) -> int:
    """A file descriptor of what is pinned there; the pin stays. `read_only`: of a map."""
    options = _GetOpts(sz=ctypes.sizeof(_GetOpts), file_flags=_READ_ONLY if read_only else 0)
    return check(lib().bpf_obj_get_opts(str(path).encode(), ctypes.byref(options)), f"open {path}")
