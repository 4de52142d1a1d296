"""Writes src/vipd/dataplane/_abi.py from the types of the built data plane.

    tools/gen_abi.py [--check] [--object FILE]

The names come from the headers, everything else from the object's BTF by bpftool.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
HEADERS: Final = (ROOT / "bpf" / "abi.h", ROOT / "bpf" / "maps.h")
OBJECT: Final = ROOT / "src" / "vipd" / "bpf" / "vipd.bpf.o"
OUTPUT: Final = ROOT / "src" / "vipd" / "dataplane" / "_abi.py"

HEAD: Final = '''"""Layouts and enums of the data plane. Written by tools/gen_abi.py from bpf/abi.h: do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np


def _struct(size: int, *fields: tuple[str, Any, int]) -> np.dtype[np.void]:
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})
'''


class Types:
    """The BTF dump, by id and by name."""

    def __init__(self, path: Path) -> None:
        dump = subprocess.run(
            ["bpftool", "btf", "dump", "-j", "file", str(path)], check=True, capture_output=True, text=True
        )
        self.by_id: dict[int, dict[str, Any]] = {known["id"]: known for known in json.loads(dump.stdout)["types"]}
        self.by_name = {(known["kind"], known["name"]): known for known in self.by_id.values()}

    def declared(self, kind: str, name: str) -> dict[str, Any]:
        if (kind, name) not in self.by_name:
            raise SystemExit(
                f"gen_abi: {kind.lower()} {name} is not in the object's BTF: name it in abi_enums or use it"
            )
        return self.by_name[kind, name]

    def format(self, number: int, known: list[str]) -> str:
        """A type as the text of a numpy format."""
        kind = self.by_id[number]
        match kind["kind"]:
            case "TYPEDEF" if match := re.fullmatch(r"__be(\d+)", kind["name"]):
                return f'">u{int(match[1]) // 8}"'
            case "TYPEDEF" | "CONST" | "VOLATILE":
                return self.format(kind["type_id"], known)
            case "INT":
                sign = "i" if kind["encoding"] == "SIGNED" else "u"
                return f'"{"<" if kind["size"] > 1 else ""}{sign}{kind["size"]}"'
            case "ARRAY":
                return f"({self.format(kind['type_id'], known)}, ({kind['nr_elems']},))"
            case "STRUCT" if kind["name"] in known:
                return str(kind["name"]).upper()
            case "STRUCT":
                return f'"V{kind["size"]}"'  # the kernel's own, such as a timer
            case other:
                raise SystemExit(f"gen_abi: a field of kind {other} has no numpy format")


def enum_class(enum: dict[str, Any]) -> Iterator[str]:
    """The family that all names begin with is the class's name already."""
    values = [(value["name"], value["val"]) for value in enum["values"]]
    columns = zip(*(name.split("_") for name, _ in values), strict=False)
    family = "".join(f"{words[0]}_" for words in takewhile(lambda words: len(set(words)) == 1, columns))
    yield f"\n\nclass {''.join(word.title() for word in enum['name'].split('_'))}(IntEnum):\n"
    yield from (f"    {name.removeprefix(family)} = {value}\n" for name, value in values)


def struct_dtype(struct: dict[str, Any], types: Types, known: list[str]) -> Iterator[str]:
    yield f"\n{struct['name'].upper()}: Final = _struct(\n    {struct['size']},\n"
    for member in struct["members"]:
        layout = types.format(member["type_id"], known)
        yield f'    ("{member["name"]}", {layout}, {member["bits_offset"] // 8}),\n'
    yield ")\n"


def generate(path: Path) -> str:
    types = Types(path)
    text = "".join(header.read_text() for header in HEADERS)
    structs = re.findall(r"^struct (\w+) \{", text, re.MULTILINE)
    enums = re.findall(r"^enum (\w+) \{", text, re.MULTILINE)
    parts = [HEAD]
    for name in enums:
        parts += enum_class(types.declared("ENUM", name))
    listed = "".join(f'    "{name}",\n' for name in enums)
    parts.append(f'\n\nENUMS: Final = (\n{listed})\n"All enums, by their names in C."\n')
    for number, name in enumerate(structs):
        parts += struct_dtype(types.declared("STRUCT", name), types, structs[:number])
    return "".join(parts)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="write nothing; fail where the file is not up to date")
    options.add_argument("--object", type=Path, default=OBJECT, help="the built data plane")
    given = options.parse_args()
    text = generate(given.object)
    if OUTPUT.is_file() and OUTPUT.read_text() == text:
        return 0
    if given.check:
        print(f"{OUTPUT.relative_to(ROOT)} is stale: run tools/gen_abi.py and commit it", file=sys.stderr)
        return 1
    OUTPUT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
