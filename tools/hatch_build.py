"""Lets no wheel be built without the compiled BPF objects, so that its user needs no compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Objects(BuildHookInterface[Any]):
    def initialize(self, version: str, _build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        subprocess.run(["make", "--no-print-directory", "objects"], cwd=self.root, check=True)
        sources = {source.name.removesuffix(".c") for source in Path(self.root, "bpf").glob("*.bpf.c")}
        wanted = {f"{name}.o" for name in sources if not name.startswith(("bench", "harness"))}
        there = {path.name for path in Path(self.root, "src/vipd/bpf").glob("*.bpf.o")}
        if not wanted or wanted - there:
            raise FileNotFoundError(f"src/vipd/bpf lacks {sorted(wanted - there) or 'every object'}")
