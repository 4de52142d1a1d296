"""Data planes of the kernel for tests, each in a BPF file system of its own that goes with the test."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import CDLL, get_errno
from os import strerror
from pathlib import Path
from typing import Final, TypeVar

from vipd.dataplane.pins import BUILT, Sizes
from vipd.dataplane.writer import After, nothing
from vipd.dataplane.xdp import XdpDataplane, open_xdp

SECRET: Final = bytes(range(16))
SMALL: Final = Sizes(connections=1000, slots=65_536)
SOURCES: Final = Path(__file__).parents[2] / "bpf"
_CLONE_NEWNET: Final = 0x40000000

Result = TypeVar("Result")


@contextmanager
def bpf_file_system() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vipd-test-") as folder:
        subprocess.run(["mount", "-t", "bpf", "bpf", folder], check=True)
        try:
            yield Path(folder)
        finally:
            # Lazily: after a failed test somebody still has the directory open.
            subprocess.run(["umount", "--lazy", folder], check=True)


def opened(
    root: Path, name: str = "one", sizes: Sizes = SMALL, built: Path = BUILT, after: After = nothing
) -> XdpDataplane:
    return open_xdp(root / name, SECRET, sizes, built, after)


def in_network_namespace(body: Callable[[], Result]) -> Result:
    """Runs in a thread with a network namespace of its own, which ends with it."""

    def run() -> Result:
        if CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
            raise OSError(get_errno(), strerror(get_errno()))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return body()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def compiled(folder: Path, **edits: tuple[str, str]) -> Path:
    """The data plane built from an edited copy of its sources; `edits`: header name to old and new text."""
    for source in SOURCES.glob("*.[ch]"):
        text = source.read_text()
        if source.stem in edits and source.suffix == ".h":
            old, new = edits[source.stem]
            assert old in text, f"{source.name} has no {old!r}"
            text = text.replace(old, new, 1)
        (folder / source.name).write_text(text)
    machine = subprocess.run(["uname", "-m"], check=True, capture_output=True, text=True).stdout.strip()
    output = folder / "vipd.bpf.o"
    command = ["clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-I", f"/usr/include/{machine}-linux-gnu"]
    subprocess.run([*command, "-c", str(folder / "vipd.bpf.c"), "-o", str(output)], check=True)
    return output
