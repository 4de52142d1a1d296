"""What the tests of data planes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.planes import bpf_file_system


@pytest.fixture
def bpffs() -> Iterator[Path]:
    with bpf_file_system() as root:
        yield root
