"""Writes what the documents take from the code: options, JSON Schema, outcomes, commands, the API, rules, LVS.

tools/gen_docs.py            write the files
tools/gen_docs.py --check    write nothing; fail where a file is not up to date
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, is_typeddict

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click

from vipd.anatomy import compare
from vipd.api import link as link_api
from vipd.api import schema as api
from vipd.api.server import application
from vipd.cli.app import app
from vipd.cli.frame import choices, documents, segments
from vipd.config import schema
from vipd.model import director, link, outcome, state
from vipd.spec import RULES
from vipd.wire.deframer import Fault
from vipd.wire.stretches import Part

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
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


API_HEAD: Final = r"""# The API

HTTP over the unix socket `/run/vipd/INSTANCE/api.sock`, which only root may open (directory
0700, socket 0600). It is what the command line uses.

```
curl --unix-socket /run/vipd/default/api.sock http://vipd/status
curl --unix-socket /run/vipd/default/api.sock 'http://vipd/connections?state=established&limit=10'
curl --unix-socket /run/vipd/default/api.sock http://vipd/drain \
     -H 'content-type: application/json' -d '{"service": "web", "server": "10.0.0.11"}'
```

""".replace("\\\\", "\\")
API_REFUSALS: Final = """
What is refused answers with a `Failure`: 422 where the file, the request or the machine must change
first, 500 where something failed. `vipd status --json` prints a `Status`, `vipd connections --json` a
list of `Connection`.
"""

# Every request of the API: what it takes, what it answers, what it does.
REQUESTS: Final = {
    "GET /status": ("", "Status", "Everything that `vipd status` shows."),
    "GET /connections": (
        "query: `client` (address or prefix), `vip`, `server`, `state`, `limit` (0: all)",
        "one `Connection` in JSON a line (`application/x-ndjson`)",
        "Known connections that fit all that is given, in no order.",
    ),
    "POST /reload": ("", "Reloaded", "Read the file again and apply it; a file with a mistake changes nothing."),
    "POST /drain": ("body: `DrainRequest`", "Drained", "No new connections for the server; known ones go on."),
    "POST /undrain": ("body: `DrainRequest`", "Drained", "New connections again."),
    "POST /stop": ("", "202, no body", "End the daemon; forwarding goes on."),
}
ANSWERS: Final = (
    api.Status, api.ServiceStatus, api.ServerStatus, api.Rates, api.VipStatus, api.InterfaceStatus, api.Usage,
    state.Connection, api.Reloaded, api.DrainRequest, api.Drained, api.Failure,
)  # fmt: skip
LINK_ANSWERS: Final = (link_api.LinkStatus, link_api.FamilyStatus)
LINK_HEAD: Final = """
# Links

A link (`vipd link up --peer NAME`) listens at `/run/vipd-link/NAME/api.sock`, as private as the other.
`GET /status` answers a `LinkStatus`; `POST /stop` ends the link, with a word to its peer.
"""
ENUMS: Final = (
    director.Method,
    director.Scheduler,
    director.Transport,
    state.Egress,
    link.Phase,
    link.Framing,
    link.Encapsulation,
    choices.Protocol,
    choices.MethodName,
    choices.Way,
    compare.Kind,
    Fault,
    Part,
)


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
        "".join(f"| `{name}` | {text} | {outcome.REMEDIES[name]} |\n" for name, text in table.items())
        for table in (outcome.OUTCOMES, outcome.EVENTS)
    )
    return (
        HEAD.format(source="src/vipd/model/outcome.py")
        + "# Outcomes\n\nEvery packet ends in exactly one, counted for each CPU. `vipd status --outcomes` prints\n"
        + "those that happened, [`vipd trace`](trace.md) shows the packets one by one. The prefix tells the\n"
        + "action: *forward* sent on by XDP, *route* rewritten and left to the kernel to route, *pass* untouched\n"
        + "to the kernel, *reply* answered by the director, *drop* gone.\n\n"
        + f"| outcome | what it means | what to do |\n|---|---|---|\n{ends}\n"
        + "## Events\n\nWhat happened on a packet's way; none of them is its end.\n\n"
        + f"| event | what it means | what to do |\n|---|---|---|\n{on_the_way}"
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


def fields_of(kind: type[Any]) -> Iterator[tuple[str, str, str]]:
    """Name, type and the string that follows it in the source, of each field."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    for line, following in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            told = following.value if isinstance(following, ast.Expr) else None
            text = str(told.value) if isinstance(told, ast.Constant) else ""
            yield line.target.id, ast.unparse(line.annotation), text


def requests() -> str:
    routes = application(None).routes  # type: ignore[arg-type]  # nobody is asked anything
    wanted = {f"{'POST' if 'POST' in (each.methods or ()) else 'GET'} {each.path}" for each in routes}  # type: ignore[attr-defined]
    assert wanted == REQUESTS.keys(), f"REQUESTS is not what the server answers: {wanted ^ REQUESTS.keys()}"
    rows = "".join(
        f"| `{name}` | {takes or '–'} | {f'`{answers}`' if answers.isalpha() else answers} | {what} |\n"
        for name, (takes, answers, what) in REQUESTS.items()
    )
    return f"| request | takes | answers | what it does |\n|---|---|---|---|\n{rows}"


def field_row(name: str, annotation: str, text: str) -> str:
    values = ", ".join(f"`{value}`" for each in ENUMS if each.__name__ in annotation.split(" | ") for value in each)
    meaning = ". ".join(part for part in (values, text) if part)
    kind = re.sub(r"^NotRequired\[(.*)\]$", r"\1, or absent", annotation).replace(" | ", " or ")
    return f"| `{name}` | {kind} | {meaning} |\n"


def api_page() -> str:
    parts = [HEAD.format(source="src/vipd/api/"), API_HEAD, requests(), API_REFUSALS]
    parts += map(answer, ANSWERS)
    parts += [LINK_HEAD, *map(answer, LINK_ANSWERS)]
    return "".join(parts)


def answer(kind: type[Any]) -> str:
    rows = "".join(field_row(*field) for field in fields_of(kind))
    about = f"{kind.__doc__}\n\n" if kind.__doc__ else ""
    return f"\n## {kind.__name__}\n\n{about}| field | type | meaning |\n|---|---|---|\n{rows}"


FRAME_HEAD: Final = """# `vipd frame --json`

What programs read. Keys that are here stay here; there may be more in a later release. Nothing else is
printed on the standard output, also where something is wrong with a frame. Where a capture ends in
damage, the frames before it are in the document, the message goes to the standard error, and the exit
code is 2. The commands themselves: [framing.md](framing.md).

```
vipd frame decode ethernet some.pcap --json | jq -r '.frames[] | select(.troubles != []) | .octets'
```

`vipd frame segment` prints a list of `Told`, one for each frame that was sent.
"""


def frame_page() -> str:
    kinds = [kind for kind in vars(documents).values() if is_typeddict(kind)]
    return "".join([HEAD.format(source="src/vipd/cli/frame/"), FRAME_HEAD, *map(answer, [*kinds, segments.Told])])


LVS_HEAD: Final = """# Differences from LVS

The kernel's own director, IPVS, and vipd were given the same packets in the same network: {cases} cases,
{packets} packets, NAT, direct routing and tunnels, IPv4 and IPv6. What came out of IPVS of {kernel}
with its default settings is kept in [tests/golden/ipvs.json](../tests/golden/ipvs.json), and a test compares
vipd's program and its [specification](specification.md) with it: every byte that leaves, the state and timeout of
the connection, and the counts of active and inactive connections.
Here is every difference that is meant. What is not here is the same; the test finds what is neither.

[What is like LVS](lvs.md) is the page to begin with. `make goldens` asks the kernel again.
"""


def lvs() -> str:
    """From the table that the tests of the goldens go by."""
    sys.path.insert(0, str(ROOT))
    from tests.golden import data
    from tests.golden.differences import CHAPTERS

    goldens = data.load()
    packets = sum(isinstance(step.does, data.Frame) for each in goldens.cases for step in each.case.steps)
    release, version = goldens.made_by["kernel"].removeprefix("Linux ").split(" ", 1)
    parts = [
        HEAD.format(source="tests/golden/differences.py"),
        LVS_HEAD.format(
            cases=len(goldens.cases),
            packets=f"{packets:,}",
            kernel=f"Linux {release} ({version[version.index('Debian') :].split(' (')[0]})",
        ),
    ]
    for chapter in CHAPTERS:
        parts.append(f"\n## {chapter.title}\n\n| | LVS | vipd | why | goldens |\n|---|---|---|---|---|\n")
        for each in chapter.differences:
            where = "<br>".join(f"`{pattern}`" for pattern in each.where)
            parts.append(f"| {each.what} | {each.lvs} | {each.vipd} | {each.why} | {where} |\n")
    return "".join(parts)


RULES_HEAD: Final = """# The rules

Every sentence of the specification (`src/vipd/spec/`), by stage and in the order of the way; `{…}` is what
it was applied to. A packet's decision comes with those that were applied to it. How to read the
specification, and how the BPF program is held against it: [specification.md](specification.md).
"""

STAGES: Final = {
    "parse": "Frame to flow: what is ours, what it is, and what is wrong with it.",
    "fragment": "Ports for fragments that have none.",
    "lookup": "Flow to connection: is it known, does it still count.",
    "connection": "How a known connection's state and expiry follow its packets.",
    "admit": "Of no known connection: for which service is it, may it come in, is it a reply.",
    "schedule": "Which real server a new connection gets.",
    "remember": "A new connection's entries.",
    "next_hop": "The way to a server, or back to a client.",
    "forward": "To the server by its method, and back under NAT.",
    "tunnel": "Into another packet.",
    "leave": "What every way out shares.",
    "icmp": "ICMP errors about a connection.",
    "answer": "What the director answers itself.",
}


def rules() -> str:
    assert STAGES.keys() == {rule.stage for rule in RULES.values()}, "STAGES is not what the specification has"
    parts = [HEAD.format(source="src/vipd/spec/"), RULES_HEAD]
    for stage, about in STAGES.items():
        rows = "".join(
            f"| `{rule.name}` | {rule.text} | {rule.source} |\n" for rule in RULES.values() if rule.stage == stage
        )
        parts.append(f"\n## {stage}\n\n{about}\n\n| rule | what follows | from |\n|---|---|---|\n{rows}")
    return "".join(parts)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true")
    check = options.parse_args().check
    wanted = {
        "configuration.md": configuration(),
        "vipd.schema.json": json.dumps(schema.json_schema(), indent=2) + "\n",
        "outcomes.md": outcomes(),
        "cli.md": commands(),
        "api.md": api_page(),
        "differences-from-lvs.md": lvs(),
        "rules.md": rules(),
        "frame-json.md": frame_page(),
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
