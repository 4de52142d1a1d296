"""Writes tests/golden/ipvs.json: what the kernel's own director, IPVS, does with every stimulus of tests/golden.

Debian's kernel runs under qemu, without KVM, for a few minutes; no root is needed and nothing of
this machine is touched. `tools/setup interop` installs what it takes.
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DEADLINE: Final = 1800


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.golden import data, record
    from tests.interop import guest, image

    with tempfile.TemporaryDirectory() as folder:
        command = f"{sys.executable} -B -m tests.golden.record"
        try:
            output = guest.run(command, Path(folder), DEADLINE, guest.More({"ipvsadm": "ipvsadm"}))
        except image.MissingError as error:
            print(error, file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    lines = [line.removeprefix(record.MARK) for line in output.splitlines() if line.startswith(record.MARK)]
    if not lines or f"{guest.STATUS}0" not in output:
        print(output[-8000:], file=sys.stderr)
        return 1
    data.FILE.write_bytes(zlib.decompress(base64.b64decode("".join(lines))))
    print(f"{data.FILE.relative_to(ROOT)}: {len(data.load().cases)} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
