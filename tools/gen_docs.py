"""Writes what the documents take from the code: options, JSON Schema, outcomes, commands.

tools/gen_docs.py            write the files
tools/gen_docs.py --check    write nothing; fail where a file is not up to date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click

from vipd.cli.app import app
from vipd.config import schema
from vipd.model import outcome

DOCS: Final = Path(__file__).parents[1] / "docs"
HEAD: Final = "<!-- Made by tools/gen_docs.py from {source}; do not edit. -->\n\n"

MODELS: Final[dict[str, type[BaseModel]]] = {
    "The document": schema.Document,
    "`services.NAME`": schema.Service,
    "`services.NAME.servers[]`": schema.Server,
    "`vips.ADDRESS`": schema.VipSettings,
    "`tunnel`": schema.TunnelSettings,
}

# What an option is for; what it may be stands in the schema.
PURPOSE: Final = {
    "Document.interfaces": "Where packets of clients come in and replies of NAT servers come back.",
    "Document.services": "What is served.",
    "Document.vips": "How VIPs are held; one that is not named here gets the defaults.",
    "Document.connections": "Size of the connection table, fixed while the data plane lives; about 218 bytes each.",
    "Document.timeouts": "When a connection is forgotten.",
    "Document.secret_file": "A file of 16 bytes that key sh and mh; directors that share it choose alike. "
    "By default one of its own, made at the first start: /var/lib/vipd/INSTANCE/secret.",
    "Document.tunnel": "Outer sources of tunnelled packets.",
    "Service.listen": "VIP, port and transport; a range of ports, or `*` for all of them.",
    "Service.method": "How packets get to the servers; needed unless every server has its own.",
    "Service.scheduler": "Which server a new connection gets.",
    "Service.on_server_removed": "What becomes of connections of a server that is taken out of the file: the client "
    "is told (TCP RST, ICMP unreachable for UDP), another server gets them, or the old one keeps them.",
    "Service.maglev_slots": "Size of mh's table; larger is evener and moves less.",
    "Service.clamp_mss": "Lower the MSS of SYNs to servers behind a tunnel, so that segments fit in it.",
    "Service.hash_port": "sh and mh: the client's port counts too, not only its address.",
    "Service.servers": "The real servers.",
    "Server.address": "Where it is. An address of the director itself is served through the kernel.",
    "Server.port": "NAT only: DR and TUN cannot change it.",
    "Server.weight": "Its share of new connections.",
    "Server.method": "Instead of the service's.",
    "Server.tunnel_source": "TUN: instead of `tunnel.source`.",
    "VipSettings.interface": "Where it is put; by default the interface through which its network is reached.",
    "VipSettings.routed": "A router sends its packets here: it is not put on an interface's link nor announced.",
    "TunnelSettings.source": "An address is used as it is; over a prefix the sources are spread by flow, for RSS and "
    "ECMP at the receivers. By default 172.16.0.0/16, and 100::/64 of which the low 32 bits are spread.",
}

OF_ALL: Final = """`vipd [--instance NAME] COMMAND`. The instance, also `VIPD_INSTANCE`, is for several directors on one
machine, one for each network namespace. Exit code 2: the input or the machine must change first; 1: it failed.
`vipd --install-completion` teaches the shell.
"""


def duration(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds >= 60 else f"{seconds:g}s"


def default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    match field.get_default(call_default_factory=True):
        case bool() as value:
            return str(value).lower()
        case str() | int() as value:
            return str(value)
        case _:
            return "–"


def options_table(title: str, model: type[BaseModel]) -> Iterator[str]:
    name = model.__name__
    yield f"\n## {title}\n\n{(model.__doc__ or '').splitlines()[0]}\n\n"
    yield "| key | default | what for | allowed |\n|---|---|---|---|\n"
    for key, field in model.model_fields.items():
        # "a weight is 0 (drain) to 65535": the text that also ends every message.
        allowed = (field.description or "").split(" is ", 1)[-1].replace("|", "\\|")
        yield f"| `{key}` | {default_text(field)} | {PURPOSE[f'{name}.{key}']} | {allowed} |\n"


def timeouts_table() -> Iterator[str]:
    fields = schema.TimeoutSettings.model_fields
    yield "\n## `timeouts`\n\nWhen a connection is forgotten in each state: LVS's names and defaults.\n"
    yield "Numbers are seconds; `100ms`, `2s`, `5m`, `1h` and `1d` are understood.\n\n"
    yield "| state | default |\n|---|---|\n"
    yield from (f"| `{state}` | {duration(field.default)} |\n" for state, field in fields.items())


def configuration() -> str:
    return (
        HEAD.format(source="src/vipd/config/schema.py")
        + "# Configuration\n\nOne YAML file; [vipd.yaml](../examples/vipd.yaml) is a whole one, and\n"
        + "[vipd.schema.json](vipd.schema.json) its JSON Schema, for editors. `vipd check FILE` tells every\n"
        + "mistake at once, with its line. An unknown key is a mistake. An IPv6 address in brackets needs\n"
        + "quotes, because YAML reads `[` as a list.\n"
        + "".join(line for title, model in MODELS.items() for line in options_table(title, model))
        + "".join(timeouts_table())
    )


def outcomes() -> str:
    ends, on_the_way = (
        "".join(f"| `{name}` | {text} |\n" for name, text in table.items())
        for table in (outcome.OUTCOMES, outcome.EVENTS)
    )
    return (
        HEAD.format(source="src/vipd/model/outcome.py")
        + "# Outcomes\n\nEvery packet ends in exactly one, counted for each CPU; `vipd status --outcomes` prints\n"
        + "them. The prefix tells the action: *forward* sent on by XDP, *route* rewritten and left to the kernel to\n"
        + "route, *pass* untouched to the kernel, *reply* answered by the director, *drop* gone.\n\n"
        + f"| outcome | what it means |\n|---|---|\n{ends}\n"
        + "## Events\n\nWhat happened on a packet's way; none of them is its end.\n\n"
        + f"| event | what it means |\n|---|---|\n{on_the_way}"
    )


def commands() -> str:
    group = typer.main.get_group(app)
    root = typer.Context(group, info_name="vipd")
    parts = [HEAD.format(source="src/vipd/cli/"), f"# Commands\n\n{group.help}\n\n{OF_ALL}"]
    for name in group.list_commands(root):
        _, command, _ = group.resolve_command(root, [name])
        assert command, f"{name} is listed and does not exist"
        parts.append(get_docs_for_click(obj=command, ctx=root, indent=1, name=name, call_prefix="vipd"))
    return "\n".join(part.rstrip() + "\n" for part in parts)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    wanted = {
        "configuration.md": configuration(),
        "vipd.schema.json": json.dumps(schema.json_schema(), indent=2) + "\n",
        "outcomes.md": outcomes(),
        "cli.md": commands(),
    }
    stale = [name for name, text in wanted.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    for name in stale:
        if check:
            print(f"docs/{name} is stale: run tools/gen_docs.py and commit it", file=sys.stderr)
        else:
            (DOCS / name).write_text(wanted[name])
    return bool(check and stale)


if __name__ == "__main__":
    sys.exit(main())
