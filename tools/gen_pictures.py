"""Draws the pictures of docs/framing.md: what each command there shows, as SVG that loads nothing from anywhere.

tools/gen_pictures.py            draw them
tools/gen_pictures.py --check    draw nothing; fail where a picture is not up to date
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from typer.testing import CliRunner

from vipd.cli.app import app

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "framing.md"
PICTURES: Final = DOCUMENT.parent / "pictures"
WIDTH: Final = 108
"Characters."
MARGIN: Final = 9
_DRAWN: Final = re.compile(r"^```console\n\$ (vipd .+?)\n```\n\n!\[[^\]]+\]\(pictures/([\w-]+)\.svg\)$", re.MULTILINE)
"A command, and the picture of what it shows."

_DARK: Final = (42, 48, 60)
_COLOURS: Final = [
    (224, 86, 86),
    (96, 186, 108),
    (222, 170, 74),
    (72, 122, 214),
    (186, 92, 200),
    (70, 182, 196),
]
"Red, green, yellow, blue, magenta, cyan, as a terminal counts them."
_LIGHT: Final = (214, 219, 227)
_THEME: Final = TerminalTheme((16, 20, 28), _LIGHT, [_DARK, *_COLOURS, _LIGHT])
# Named once for all who look at it; the first that a machine has is taken.
_FONTS: Final = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_FORM: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {terminal_width} {terminal_height}" role="img">\n'
    "<style>\n"
    f".{{unique_id}}-matrix {{{{ font-family: {_FONTS}; font-size: {{char_height}}px; white-space: pre; }}}}\n"
    "{styles}\n"
    "</style>\n"
    '<rect width="100%" height="100%" rx="8" fill="#10141c"/>\n'
    f'<g transform="translate({MARGIN}, {MARGIN})">'
    '\n{backgrounds}\n<g class="{unique_id}-matrix">\n{matrix}\n</g>\n</g>\n'
    "</svg>\n"
)

_TEXT: Final = re.compile(
    r'<text class="(?P<style>[^"]+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)"[^>]*>(?P<inside>[^<]*)</text>'
)
_BOX: Final = re.compile(r"0 0 ([\d.]+) ([\d.]+)")
_CHARACTER: Final = 12.2
"Its width, in the unit of everything else."


def drawings() -> dict[str, str]:
    """Each picture that the document has, and the command above it."""
    return {name: command for command, name in _DRAWN.findall(DOCUMENT.read_text())}


def output(command: str) -> str:
    """In colour. A command of the document ends well, or with 1 where it shows what is wrong."""
    environment = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH), "NO_COLOR": None}
    done = CliRunner().invoke(app, shlex.split(command)[1:], env=environment)
    if done.exit_code not in (0, 1) or (done.exception and not isinstance(done.exception, SystemExit)):
        sys.exit(f"{command}: {done.exception or done.output}")
    return done.stdout


def drawn(name: str, command: str) -> str:
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(output(command).strip("\n")), soft_wrap=True)
    picture = console.export_svg(title="", theme=_THEME, code_format=_FORM, unique_id=name)
    picture = _BOX.sub(lambda box: f"0 0 {float(box[1]) + 2 * MARGIN:g} {float(box[2]) + 2 * MARGIN:g}", picture, 1)
    return re.sub(r"\s+\n", "\n", _TEXT.sub(_without_blanks, picture))


def _without_blanks(text: re.Match[str]) -> str:
    """Not every program that draws SVG keeps blanks at a text's ends; nothing is ever clipped."""
    style, x, y, inside = text["style"], float(text["x"]), text["y"], text["inside"].replace("&#160;", " ")
    if not inside.strip():
        return ""
    x += _CHARACTER * (len(inside) - len(inside.lstrip()))
    width = _CHARACTER * len(unescape(inside.strip()))
    written = inside.strip().replace(" ", "&#160;")
    return f'<text class="{style}" x="{x:.1f}" y="{y}" textLength="{width:.1f}">{written}</text>'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = {PICTURES / f"{name}.svg": drawn(name, command) for name, command in drawings().items()}
    stale = [path for path, picture in wanted.items() if not path.exists() or path.read_text() != picture]
    strange = sorted(set(PICTURES.glob("*.svg")) - wanted.keys())
    if check:
        for path in [*stale, *strange]:
            print(f"docs/pictures/{path.name} is stale: run tools/gen_pictures.py and commit it")
        return 1 if stale or strange else 0
    PICTURES.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path])
    for path in strange:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
