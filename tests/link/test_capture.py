"""Captures of frames: what is in the file, whose it is, and that a full disk does not end a link."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vipd.errors import EnvironmentProblem
from vipd.link.capture import Capture
from vipd.model.link import Encapsulation
from vipd.wire.capture import read
from vipd.wire.pcap import LinkType

KINDS = [(Encapsulation.PPP, LinkType.PPP_HDLC), (Encapsulation.CISCO_HDLC, LinkType.CISCO_HDLC)]


@pytest.mark.parametrize(("encapsulation", "kind"), KINDS)
def test_frames_are_found_in_the_file_as_they_were(
    tmp_path: Path, encapsulation: Encapsulation, kind: LinkType
) -> None:
    path = tmp_path / "frames.pcap"
    capture = Capture(path, encapsulation)
    frames = [b"one", bytes(2000), b"\xff\x03\xc0\x21"]
    for frame in frames:
        capture.seen(frame, False)
    capture.flush()
    with path.open("rb") as file:
        assert [(each.data, each.link_type, each.fcs_octets) for each in read(file)] == [(f, kind, 0) for f in frames]
    capture.close()


def test_a_file_that_is_there_is_begun_anew_and_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "frames.pcap"
    path.write_bytes(bytes(10_000))
    Capture(path, Encapsulation.PPP).close()
    assert path.stat().st_size == 24
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(EnvironmentProblem, match="the capture cannot be written: Too many levels of symbolic links"):
        Capture(tmp_path / "link", Encapsulation.PPP)


FULL = """
import logging, resource, sys
from pathlib import Path
from vipd.link.capture import Capture
from vipd.model.link import Encapsulation
logging.basicConfig(format="%(message)s")
capture = Capture(Path(sys.argv[1]), Encapsulation.PPP)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for _ in range(1000):
    capture.seen(bytes(1000), False)
    capture.flush()
capture.close()
"""


def test_a_disk_without_room_is_told_once_and_nothing_else_happens(tmp_path: Path) -> None:
    path = tmp_path / "frames.pcap"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == f"{path}: the capture ends here: File too large\n"
