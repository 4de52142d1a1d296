"""Writes src/vipd/dataplane/_abi.py and _abi_trace.py from the types of the built data plane.

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
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "bpf"
OBJECT: Final = ROOT / "src" / "vipd" / "bpf" / "vipd.bpf.o"
OUTPUTS: Final = ROOT / "src" / "vipd" / "dataplane"

HEAD: Final = '''"""Layouts and enums of the data plane. Written by tools/gen_abi.py from bpf/abi.h: do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np


def struct(size: int, *fields: tuple[str, Any, int]) -> np.dtype[np.void]:
    names, formats, offsets = zip(*fields, strict=True)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})
'''

HEAD_TRACE: Final = '''"""What a tracer asks for and is told. From bpf/abi_trace.h by tools/gen_abi.py: do not edit."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from vipd.dataplane._abi import {borrowed}
'''


class Part(NamedTuple):
    """A generated module: the headers whose types are in it, and what it begins with."""

    name: str
    headers: tuple[str, ...]
    head: str

    def declared(self, keyword: str) -> list[str]:
        text = "".join((SOURCE / header).read_text() for header in self.headers)
        return re.findall(rf"^{keyword} (\w+) \{{", text, re.MULTILINE)


PARTS: Final = (
    Part("_abi.py", ("abi.h", "maps.h"), HEAD),
    Part("_abi_trace.py", ("abi_trace.h",), HEAD_TRACE),
)
"Each may use the types of those before it."


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
    """The family that all names begin with is the class's name already; of one name, it is all but the last word."""
    values = [(value["name"], value["val"]) for value in enum["values"]]
    columns = zip(*(name.split("_")[: -1 if len(values) == 1 else None] for name, _ in values), strict=False)
    family = "".join(f"{words[0]}_" for words in takewhile(lambda words: len(set(words)) == 1, columns))
    yield f"\n\nclass {''.join(word.title() for word in enum['name'].split('_'))}(IntEnum):\n"
    yield from (f"    {name.removeprefix(family)} = {value}\n" for name, value in values)


def struct_dtype(declared: dict[str, Any], types: Types, known: list[str]) -> Iterator[str]:
    yield f"\n{declared['name'].upper()}: Final = struct(\n    {declared['size']},\n"
    for member in declared["members"]:
        layout = types.format(member["type_id"], known)
        yield f'    ("{member["name"]}", {layout}, {member["bits_offset"] // 8}),\n'
    yield ")\n"


def generate(path: Path) -> dict[str, str]:
    """The modules' texts, by their names."""
    types = Types(path)
    known: list[str] = []
    texts = {}
    for part in PARTS:
        structs, enums, before = part.declared("struct"), part.declared("enum"), list(known)
        layouts = ""
        for name in structs:
            layouts += "".join(struct_dtype(types.declared("STRUCT", name), types, known))
            known.append(name)
        borrowed = sorted(name.upper() for name in before if re.search(rf"\b{name.upper()}\b", layouts))
        text = part.head.replace("{borrowed}", ", ".join([*borrowed, "struct"]))
        text += "".join(line for name in enums for line in enum_class(types.declared("ENUM", name)))
        listed = "".join(f'    "{name}",\n' for name in enums)
        texts[part.name] = f'{text}\n\nENUMS: Final = (\n{listed})\n"All enums, by their names in C."\n{layouts}'
    return texts


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="write nothing; fail where a file is not up to date")
    options.add_argument("--object", type=Path, default=OBJECT, help="the built data plane")
    given = options.parse_args()
    stale = {
        path: text
        for path, text in ((OUTPUTS / name, text) for name, text in generate(given.object).items())
        if not path.is_file() or path.read_text() != text
    }
    for path, text in stale.items():
        if given.check:
            print(f"{path.relative_to(ROOT)} is stale: run tools/gen_abi.py and commit it", file=sys.stderr)
        else:
            path.write_text(text)
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
