"""From the words of `vipd explain` to packets, and from these to what is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import typer

from vipd.anatomy import show as words
from vipd.cli.explain_json import as_json
from vipd.cli.explain_view import Shown, show
from vipd.cli.frame.choices import Form
from vipd.cli.frame.source import Capture, Octets, of_file, of_text
from vipd.cli.imagining import imagine, require_file
from vipd.cli.output import console
from vipd.errors import BusyError, WireError
from vipd.explain.captured import Taken, taken
from vipd.explain.conversation import Conversation, ends_of, require_flags, said_of
from vipd.explain.ends import refused
from vipd.explain.question import arrived, brought, interface_of, require_payload
from vipd.explain.scene import Scene
from vipd.explain.verdict import Answers
from vipd.explain.walk import Walk
from vipd.model.instance import Instance
from vipd.wire.ethernet import mac_bytes

__all__ = ["Asked", "Of", "Shown", "explain_to"]

_SYN: Final = "SYN"
_ATTEMPTS: Final = 5
"Where traffic changes what is looked at."
_ROOM: Final = 10_000
"Connections: the packets of a question do not fill even a small table, and a large one takes memory and time."


@dataclass(frozen=True, slots=True)
class Asked:
    source: str | None
    to: str | None
    flags: list[str]
    payload: int
    ttl: int
    packet: str | None
    pcap: str | None
    frames: list[int]
    interface: str | None
    source_mac: str | None
    keep_macs: bool


@dataclass(frozen=True, slots=True)
class Of:
    """Whose decisions are wanted."""

    instance: Instance
    config: Path | None
    secret: Path | None
    mtu: int
    drained: tuple[str, ...] = ()
    "As `vipd drain` takes them."
    live: bool = False
    "The BPF program is asked too."


def explain_to(asked: Asked, of: Of, shown: Shown) -> None:
    """Prints what becomes of each packet."""
    _require_one_question(asked)
    if of.config is None:
        require_file(of.secret, of.mtu, of.drained)
    for attempt in range(_ATTEMPTS):
        try:
            answers = _answers(asked, of)
            break
        except BusyError:
            if attempt == _ATTEMPTS - 1:
                raise
    if shown.as_json:
        origin = str(of.config) if of.config else f"instance {of.instance.name}"
        print(json.dumps(as_json(answers, origin), indent=2))
    else:
        show(console(), answers, shown)
    if any(verdict and verdict.wrong for verdict in answers.verdicts):
        raise typer.Exit(1)


def _answers(asked: Asked, of: Of) -> Answers:
    if of.config is not None:
        made = imagine(of.config, of.secret, of.mtu)
        if not of.live:
            scene = made.scene(of.drained)
            return Answers(scene, list(_walks(asked, scene)))
        with made.live(of.drained, _ROOM) as (scene, program):
            walks = list(_walks(asked, scene))
            return Answers(scene, walks, [program.ask(done) for done in walks])
    from vipd.cli.source import service_names
    from vipd.rehearsal.running import require_privileges, running

    require_privileges()
    with running(of.instance, service_names(of.instance)) as found:
        walks = list(_walks(asked, found.scene))
        if not of.live:
            return Answers(found.scene, walks)
        from vipd.rehearsal.live import live

        with live(found) as program:
            return Answers(found.scene, walks, [program.ask(done) for done in walks])


def _require_one_question(asked: Asked) -> None:
    ways = {"--to": asked.to, "--packet": asked.packet, "--pcap": asked.pcap}
    chosen = [name for name, value in ways.items() if value is not None]
    if not chosen:
        raise refused("", "which packet is it about? one of --to SERVICE, --packet HEX and --pcap FILE is needed")
    if len(chosen) > 1:
        raise refused(chosen[1], f"{chosen[0]} tells already which packet it is about")
    if asked.to is None and (asked.source or asked.flags or asked.payload):
        raise refused(chosen[0], "the packet is whole already; --from, --flags and --payload go with --to")
    if asked.frames and asked.pcap is None:
        raise refused("--frame", "counts the frames of --pcap FILE")


def _walks(asked: Asked, scene: Scene) -> Iterator[Walk]:
    if not scene.configuration.interfaces:
        raise refused("", "the director looks at no interface: no packet comes in")
    interface = interface_of("--interface", asked.interface, scene) if asked.interface else None
    mac = _mac(asked.source_mac)
    talk = Conversation(scene)
    if asked.to is not None:
        yield from _said(asked, asked.to, talk, interface, mac)
        return
    for octets, is_packet, notes in _brought(asked):
        if is_packet:
            packet = arrived(octets, scene, interface, mac)
        else:
            packet = brought(octets, scene, interface, mac, asked.keep_macs)
        yield talk.put(packet).noting(*notes)


def _mac(text: str | None) -> bytes | None:
    try:
        return mac_bytes(text) if text else None
    except WireError as error:
        raise refused("--source-mac", f"{error}; 02:00:00:00:00:07 is one") from None


def _said(asked: Asked, to: str, talk: Conversation, interface: int | None, mac: bytes | None) -> Iterator[Walk]:
    """What a client sends to a service; perhaps what comes back, and so on."""
    ends = ends_of(asked.source, to, talk.scene)
    first = replace(ends.wanted, payload=require_payload("--payload", asked.payload), ttl=asked.ttl)
    require_flags("--flags", asked.flags, first)
    done: Walk | None = None
    for text in asked.flags or [_SYN]:
        said = said_of("--flags", text)
        wanted = replace(first, flags=said.flags)
        if not said.reply:
            done = talk.ask(wanted, interface, mac)
        elif done is None:
            raise refused("--flags", "a reply is to something: the client's packet comes first")
        else:
            done = talk.answer("--flags", wanted, done)
        yield done.noting(*ends.notes)


def _brought(asked: Asked) -> Iterator[tuple[bytes, bool, tuple[str, ...]]]:
    """Frame or packet; whether the latter is certain; what was taken to be so."""
    if asked.pcap is not None:
        yield from _captured(asked.pcap, asked.frames or [1])
        return
    assert asked.packet is not None
    source = of_text("--packet", asked.packet, Form.HEX)
    assert isinstance(source, Octets)
    for octets in source.pieces:
        yield octets, False, ()


def _captured(file: str, wanted: list[int]) -> list[Taken]:
    found: dict[int, Taken] = {}
    count = 0
    with of_file(file, Form.CAPTURE) as source:
        assert isinstance(source, Capture)
        for count, frame in enumerate(islice(source.frames(), max(wanted)), 1):
            if count in wanted:
                try:
                    found[count] = taken(frame)
                except WireError as error:
                    raise refused(file, f"frame {count}: {error}") from None
    missing = [number for number in wanted if number not in found]
    if missing:
        raise refused("--frame", f"{file} has no frame {missing[0]}, but {words.count(count, 'frame')}")
    return [found[number] for number in wanted]
