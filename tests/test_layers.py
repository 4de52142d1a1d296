"""The architecture, as facts that fail the build: who may import whom, what pure means, sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src"

# What each part may import of vipd, itself always; the longest name that fits a module counts.
LAYERS: Final[dict[str, set[str]]] = {
    "errors": set(),
    "model": {"errors"},
    "wire": {"errors", "model"},
    "spec": {"errors", "model", "wire"},
    "ppp": {"errors", "model", "wire"},
    "slarp": {"errors", "model", "wire"},
    "segment": {"errors", "wire"},
    "anatomy": {"errors", "model", "wire"},
    "dataplane.port": {"model"},
    "config": {"errors", "model"},
    "control": {"errors", "model", "dataplane.port"},
    "simulation": {"errors", "model", "wire", "spec", "config", "control"},
    "plot": {"errors"},
    "explain": {"errors", "model", "wire", "spec", "anatomy", "dataplane.port", "control"},
    "dataplane": {"errors", "model", "dataplane.port"},
    "drivers": {"errors", "model", "wire", "dataplane"},
    "rehearsal": {"errors", "model", "wire", "spec", "explain", "dataplane.port", "dataplane", "drivers", "control"},
    "realserver": {"errors", "model", "dataplane"},
    "api": {"errors", "model", "dataplane.port"},
    "daemon": {"errors", "model", "config", "control", "dataplane", "dataplane.port", "drivers", "api"},
    "lab": {"errors", "model", "wire", "dataplane"},
    "link": {"errors", "model", "wire", "ppp", "slarp", "drivers", "api"},
    "cli": {
        *("errors", "model", "wire", "spec", "segment", "anatomy", "config", "simulation", "plot"),
        *("explain", "rehearsal"),
        *("api", "daemon", "realserver", "link", "lab"),
    },
}

PURE: Final = {
    *("errors", "model", "wire", "spec", "ppp", "slarp", "segment", "anatomy"),
    *("dataplane.port", "control", "config", "simulation", "explain"),
}
IMPURE_MODULES: Final = {"asyncio", "socket", "time", "random", "os", "logging"}

FILE_LINES: Final = 400
FUNCTION_LINES: Final = 50
CLASS_METHODS: Final = 12

# Only here may the data plane ask whether a packet is IPv4 or IPv6: where it comes in, is changed or answered.
FAMILY_FILES: Final = {"packet.h", "parse.h", "rewrite.h", "forward.h", "icmp.h", "reply.h"}
FAMILY_WORDS: Final = re.compile(r"\b(ip4|ip6|is_v4|is_v6|is_ipv4|is_ipv6|iphdr|ipv6hdr)\b")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def c_files() -> list[Path]:
    return sorted(path for path in (ROOT / "bpf").iterdir() if path.suffix in {".c", ".h"})


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(module: str) -> str:
    """The entry of LAYERS that a module of vipd (without the leading `vipd.`) belongs to."""
    fitting = [part for part in LAYERS if module == part or module.startswith(f"{part}.")]
    return max(fitting, key=len, default=f"{module}, which has no place in LAYERS")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE / "vipd").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, anywhere in the file; `from a import b` gives a.b too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden_imports(module: str, tree: ast.AST) -> set[str]:
    """What the module imports of vipd and may not."""
    part = part_of(module)
    allowed = LAYERS.get(part, set()) | {part}
    found = set()
    for name in imports(tree):
        inner = name.removeprefix("vipd.")
        if inner != name and is_module(inner) and part_of(inner) not in allowed:
            found.add(name)
    return found


def is_module(inner: str) -> bool:
    path = SOURCE.joinpath("vipd", *inner.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


MODULES: Final = [path for path in python_files("src/vipd") if module_name(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    assert forbidden_imports(module_name(path), ast.parse(path.read_text())) == set()


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(module_name(path)) in PURE], ids=name_of)
def test_a_pure_module_knows_no_clock_socket_or_log(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
    assert roots & IMPURE_MODULES == set()


def test_a_forbidden_import_is_seen_in_every_form() -> None:
    for text in (
        "import vipd.dataplane.port",
        "from vipd.dataplane import port",
        "from vipd.dataplane.port import Port",
        "def f():\n import vipd.dataplane.port",
    ):
        assert forbidden_imports("model.director", ast.parse(text)), text
    assert forbidden_imports("control.plan", ast.parse("from vipd.dataplane.port import Change")) == set()


def test_the_layers_have_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(LAYERS):
        ready = {part for part, allowed in LAYERS.items() if allowed <= done} - done
        assert ready, f"a circle among {sorted(LAYERS.keys() - done)}"
        done |= ready


def test_each_layer_exists_and_each_module_has_one() -> None:
    assert [part for part in LAYERS if not is_module(part)] == []
    assert {part_of(module_name(path)) for path in MODULES} - LAYERS.keys() == set()


@pytest.mark.parametrize("path", python_files("src", "tests", "tools", "bench"), ids=name_of)
def test_a_python_file_is_one_idea(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES or "do not edit" in text.splitlines()[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines"
        elif isinstance(node, ast.ClassDef):
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert len(methods) <= CLASS_METHODS, f"{node.name} has {len(methods)} methods"


@pytest.mark.parametrize("path", c_files(), ids=name_of)
def test_a_c_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", c_files(), ids=name_of)
def test_the_family_is_known_in_few_places(path: Path) -> None:
    if path.name not in FAMILY_FILES and path.suffix == ".h" and not path.name.startswith("bench"):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        assert FAMILY_WORDS.findall(code) == []


@pytest.mark.parametrize("path", c_files(), ids=name_of)
def test_every_source_names_its_licence(path: Path) -> None:
    assert "SPDX-License-Identifier: GPL-2.0-only" in path.read_text().splitlines()[0]
