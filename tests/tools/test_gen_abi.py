"""The generated copy of the border: stale is seen, right is left alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vipd.dataplane import _abi
from vipd.dataplane.pins import BUILT

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "gen_abi.py"


def test_the_copy_is_fresh() -> None:
    subprocess.run([sys.executable, str(TOOL), "--check"], check=True)


def test_a_stale_copy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("gen_abi", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, text in tool.generate(BUILT).items():
        (tmp_path / name).write_text(text.replace("REMOVED_KEEP = 4", "REMOVED_KEEP = 5"))
    monkeypatch.setattr(tool, "OUTPUTS", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gen_abi.py", "--check"])
    assert tool.main() == 1
    assert capsys.readouterr().err == "_abi.py is stale: run tools/gen_abi.py and commit it\n"
    monkeypatch.setattr(sys, "argv", ["gen_abi.py"])
    assert tool.main() == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == tool.generate(BUILT)


def test_fields_of_the_network_are_big_endian_and_offsets_native() -> None:
    assert _abi.FLOW["source_port"] == np.dtype(">u2")
    assert _abi.FLOW.itemsize == 40
    assert _abi.CONNECTION.itemsize == 64
    assert _abi.CONNECTION.fields is not None
    assert _abi.CONNECTION.fields["life"] == (np.dtype("<u8"), 40)
    assert _abi.BUCKET["slot"].shape == (_abi.Limits.BUCKET_SLOTS,)
