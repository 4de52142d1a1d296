"""Records of a lab's processes: what a killed program leaves of them must not stop `vipd lab down`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vipd.lab import process


def a_process(directory: Path) -> process.Process:
    return process.Process(os.getpid(), 1, "lab-one-client", ("sleep", "1"), directory / "1.process", directory / "log")


def test_what_is_written_down_is_read_again(tmp_path: Path) -> None:
    remembered = a_process(tmp_path)
    process.remember(remembered)
    assert list(process.recorded(tmp_path)) == [remembered]
    assert [path.name for path in tmp_path.iterdir()] == ["1.process"]


def test_a_record_that_was_only_begun_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, _: str) -> int:
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        process.remember(a_process(tmp_path))
    assert list(tmp_path.iterdir()) != []
    assert list(process.recorded(tmp_path)) == []
