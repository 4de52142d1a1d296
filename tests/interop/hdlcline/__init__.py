"""An HDLC device for a guest, whose kernel knows the protocol and has no hardware: a file is in its place."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.interop.image import MissingError

_HERE: Final = Path(__file__).parent


def build(folder: Path, kernel: Path) -> tuple[Path, Path]:
    """The module, and the program that makes its device speak Cisco HDLC."""
    version = kernel.name.removeprefix("vmlinuz-")
    headers = Path("/lib/modules", version, "build")
    if not (headers / "Makefile").exists() or not shutil.which("gcc"):
        raise MissingError(f"missing: linux-headers-{version} or gcc; `tools/setup interop` installs them")
    for name in ("hdlcline.c", "sethdlc.c"):
        shutil.copy(_HERE / name, folder)
    (folder / "Makefile").write_text("obj-m := hdlcline.o\n")
    _run("make", "-s", "-C", str(headers), f"M={folder}", "modules")
    program = folder / "sethdlc"
    _run("gcc", "-static", "-O1", "-Wall", "-Werror", "-o", str(program), str(folder / "sethdlc.c"))
    return folder / "hdlcline.ko", program


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
