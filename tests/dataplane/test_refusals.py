"""What the machine or the kernel does not allow: said clearly, with the way to mend it, and nothing left behind."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.support.planes import SECRET, SMALL, compiled, opened
from vipd.dataplane.libbpf import KernelRefusal, possible_cpus, require_kernel
from vipd.dataplane.maps import Map
from vipd.dataplane.pins import Sizes, memory_of, require_bpffs
from vipd.dataplane.program import Object
from vipd.dataplane.xdp import open_xdp
from vipd.errors import DataplaneError, EnvironmentProblem

PER_CPU: Final = 6
"BPF_MAP_TYPE_PERCPU_ARRAY."


def test_an_old_kernel_is_told_which_one_is_needed() -> None:
    require_kernel("6.1.0-13-amd64")
    require_kernel("10.0")
    for release in ("5.10.0-26-amd64", "6.0.12", "4.19"):
        with pytest.raises(EnvironmentProblem, match=rf"kernel {release} is too old: vipd needs 6\.1 or later"):
            require_kernel(release)


def test_a_kernel_without_types_is_told_the_option() -> None:
    with pytest.raises(EnvironmentProblem, match="CONFIG_DEBUG_INFO_BTF"):
        require_kernel("6.1.0", "/nowhere/vmlinux")


def test_a_missing_object_is_told_how_to_build_it() -> None:
    with pytest.raises(KernelRefusal, match=r"read /nowhere/vipd\.bpf\.o: ENOENT .* `make build` compiles it"):
        Object(Path("/nowhere/vipd.bpf.o"))


def test_an_object_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vipd.bpf.o").write_bytes(b"not an object")
    with pytest.raises(KernelRefusal, match=r"open .*vipd\.bpf\.o"):
        Object(tmp_path / "vipd.bpf.o")


def test_a_directory_that_cannot_hold_maps_is_told_what_to_mount(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="mount -t bpf"):
        require_bpffs(tmp_path / "vipd" / "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_a_million_connections_take_at_most_256_bytes_each_with_everything(bpffs: Path) -> None:
    """As the kernel counts it, on a machine of two processors: more have more counters, not more connections."""
    sizes = Sizes()
    with closing(opened(bpffs, sizes=sizes)) as plane:
        tables = plane.pins.maps.values()
        taken = sum(map(charged, tables))
        counters = sum(memory_of(each.shape()) for each in tables if each.info.type == PER_CPU)
    taken -= counters * (possible_cpus() - 2) // possible_cpus()
    assert sizes.buckets * 1088 < taken <= 256 * sizes.connections


def charged(table: Map) -> int:
    lines = Path(f"/proc/self/fdinfo/{table.fd}").read_text().splitlines()
    return int(dict(line.split(":") for line in lines)["memlock"])


@pytest.mark.root
def test_the_verifiers_last_words_are_in_the_error(tmp_path: Path) -> None:
    careless = ("return pkt->action;", "return *(int *)(long)pkt->action;")
    told = pytest.raises(KernelRefusal, match=r"load vipd\.bpf\.o: EACCES (.|\n)*invalid mem access 'scalar'")
    with Object(compiled(tmp_path, account=careless)) as candidate, told as refusal:
        candidate.load()
    assert len(str(refusal.value).splitlines()) <= 15


@pytest.mark.root
def test_tables_larger_than_memory_are_refused_and_nothing_is_left(bpffs: Path) -> None:
    with pytest.raises(DataplaneError, match=r"need \d+ MiB of memory and \d+ MiB are available: ask for fewer"):
        opened(bpffs, sizes=Sizes(connections=1_000_000_000))
    assert not (bpffs / "one").exists()


@pytest.mark.root
def test_a_name_with_a_dot_is_refused(bpffs: Path) -> None:
    with pytest.raises(DataplaneError, match="allows no dot in a name"):
        opened(bpffs, "one.two")


def in_a_child(body: Callable[[], None]) -> str:
    """The text of the DataplaneError or EnvironmentProblem that the body ends with, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            body()
        except (DataplaneError, EnvironmentProblem) as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.root
def test_without_the_capabilities_they_are_named(bpffs: Path) -> None:
    bpffs.chmod(0o777)
    bpffs.parent.chmod(0o755)

    def as_nobody() -> None:
        os.setuid(65534)
        opened(bpffs)

    assert "CAP_BPF, CAP_NET_ADMIN" in in_a_child(as_nobody)
    assert not (bpffs / "one").exists()


@pytest.mark.root
@pytest.mark.parametrize("limit", [12, 20, 26, 34])
def test_too_few_files_are_told_and_nothing_is_left(bpffs: Path, limit: int) -> None:
    def with_few_files() -> None:
        used = len(list(Path("/proc/self/fd").iterdir()))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + limit, used + limit))
        opened(bpffs)

    assert "EMFILE" in in_a_child(with_few_files)
    assert not (bpffs / "one").exists()
    opened(bpffs).down()


@pytest.mark.root
def test_a_file_system_that_is_full_of_others_is_left_alone(bpffs: Path) -> None:
    (bpffs / "two").mkdir()
    plane = open_xdp(bpffs / "one", SECRET, SMALL)
    plane.down()
    assert (bpffs / "two").is_dir()
    assert subprocess.run(["ls", str(bpffs / "two")], check=True, capture_output=True).stdout == b""
