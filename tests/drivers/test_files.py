"""Files that others may have planted, full disks, and the lock."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from vipd.drivers.files import Lock, private_directory, read_private, secret, write_private
from vipd.drivers.ledger import AddedAddress, ChangedSysctl, Drain, Ledger
from vipd.errors import EnvironmentProblem


def test_a_private_directory_is_made_with_its_parents_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    private_directory(path)
    private_directory(path)
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(EnvironmentProblem, match="others may write there"):
        private_directory(path)


def test_in_a_directory_for_everybody_ours_is_made_where_others_cannot_take_it_away(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o1777)
    private_directory(place / "ours")
    place.chmod(0o777)
    with pytest.raises(EnvironmentProblem, match=f"{place}: others may write there"):
        private_directory(place / "ours")


def test_a_link_in_a_directorys_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentProblem, match="not a directory"):
        private_directory(tmp_path / "run")


@pytest.mark.root
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)
    with pytest.raises(EnvironmentProblem, match="belongs to uid 65534"):
        private_directory(path)


def test_what_is_written_is_read_and_only_ours_to_read(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_private(path, b"old")
    write_private(path, b"new")
    assert read_private(path, 100) == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_planted_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    path = tmp_path / "state"
    path.symlink_to(victim)
    with pytest.raises(EnvironmentProblem, match="a link is not followed"):
        read_private(path, 100)
    write_private(path, b"ours")
    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()


def test_a_planted_link_in_the_new_files_place_is_removed_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "state.new").symlink_to(victim)
    write_private(tmp_path / "state", b"ours")
    assert victim.read_bytes() == b"precious"


def test_a_planted_fifo_neither_blocks_nor_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state", 0o600)
    with pytest.raises(EnvironmentProblem, match="not a plain file"):
        read_private(tmp_path / "state", 100)


def test_a_file_that_others_may_read_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(16))
    path.chmod(0o644)
    with pytest.raises(EnvironmentProblem, match="mode 0600"):
        secret(path, 16, create=True)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key" / "secret"
    first = secret(path, 16, create=True)
    assert len(first) == 16
    assert secret(path, 16, create=True) == first
    assert first != secret(tmp_path / "other" / "secret", 16, create=True)


def test_a_secret_that_the_operator_named_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no such file"):
        secret(tmp_path / "secret", 16, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_secret_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    write_private(tmp_path / "secret", bytes(size))
    with pytest.raises(EnvironmentProblem, match="a secret is 16 bytes"):
        secret(tmp_path / "secret", 16, create=True)


def test_the_lock_is_held_by_one_and_names_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with pytest.raises(EnvironmentProblem, match=f"process {os.getpid()},"):
        Lock(tmp_path / "lock")
    lock.release()
    Lock(tmp_path / "lock").release()


def test_a_lock_that_is_removed_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "instance"
    place.mkdir()
    Lock(place / "lock").remove()
    assert not place.exists()


def test_a_lock_that_is_removed_again_and_again_is_never_held_twice(tmp_path: Path) -> None:
    path, holders, most = tmp_path / "instance" / "lock", 0, 0

    def enter_and_leave() -> int:
        nonlocal holders, most
        entered = 0
        for _ in range(300):
            with suppress(EnvironmentProblem, FileNotFoundError, FileExistsError):
                path.parent.mkdir(exist_ok=True)
                lock = Lock(path)
                holders += 1
                most = max(most, holders)
                os.sched_yield()
                holders -= 1
                lock.remove()
                entered += 1
        return entered

    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(enter_and_leave) for _ in range(8)]
        assert sum(each.result() for each in tries) > 0
    assert most == 1


ADDRESS = AddedAddress(address="192.0.2.10", interface="eth0")
SYSCTL = ChangedSysctl(key="net/ipv4/conf/eth0/forwarding", before="0", ours="1")
DRAIN = Drain(service="web", address="2001:db8::1", port=None)


def test_what_the_ledger_holds_outlives_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    ledger.add("addresses", (ADDRESS,))
    ledger.add("sysctls", (SYSCTL,))
    ledger.add("drains", (DRAIN,))
    found = Ledger(tmp_path / "state.json").contents
    assert (found.addresses, found.sysctls, found.drains) == ((ADDRESS,), (SYSCTL,), (DRAIN,))


def test_the_same_entry_is_held_once_and_dropped_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state.json")
    ledger.add("addresses", (ADDRESS,))
    ledger.add("addresses", (ADDRESS,))
    assert ledger.contents.addresses == (ADDRESS,)
    assert ledger.owns(ADDRESS.address)
    ledger.drop("addresses", (ADDRESS,))
    assert not Ledger(tmp_path / "state.json").owns(ADDRESS.address)


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\0" * 4096, b'{"addresses": [{"address": "x"}]}', b'{"x": 1}'])
def test_garbage_is_told_and_the_run_goes_on(tmp_path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state.json"
    write_private(path, garbage)
    ledger = Ledger(path)
    assert "cannot be used" in caplog.text
    ledger.add("addresses", (ADDRESS,))
    assert Ledger(path).owns(ADDRESS.address)


def test_every_truncation_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    Ledger(path).add("addresses", (ADDRESS,))
    whole = path.read_bytes()
    for size in range(len(whole)):
        write_private(path, whole[:size])
        assert not Ledger(path).owns(ADDRESS.address)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.root
def test_a_full_disk_is_told_once_and_the_run_goes_on(full_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = full_disk / "state.json"
    ledger = Ledger(path)
    ledger.add("addresses", (ADDRESS,))
    filler = full_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(1 << 20))
    ledger.add("sysctls", (SYSCTL,))
    ledger.add("drains", (DRAIN,))
    assert caplog.text.count("cannot be written") == 1
    assert (ledger.contents.sysctls, ledger.contents.drains) == ((SYSCTL,), (DRAIN,))
    assert Ledger(path).contents.addresses == (ADDRESS,), "the old file is whole"
    filler.unlink()
    ledger.drop("drains", (DRAIN,))
    found = Ledger(path).contents
    assert (found.addresses, found.sysctls, found.drains) == ((ADDRESS,), (SYSCTL,), ())
