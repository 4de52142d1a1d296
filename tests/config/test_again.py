"""Loading a changed file again is loading it: the same configuration, the same messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipd.config import Loaded, Reloading, loads
from vipd.errors import ConfigError, Problem

HEAD = """\
interfaces: [eth0, "eth1"]
connections: 4096
services:
"""
BLOCKS = (
    """\
  web:
    listen: ["192.0.2.10:80/tcp", 192.0.2.10:443/tcp]
    method: nat
    servers:
      - 10.0.0.1
      - {address: 10.0.0.2, weight: 3}
      - address: 10.0.0.3
        weight: 2

""",
    """\
  web6:   # by way of IPv6
    listen: "[2001:db8::10]:80/tcp"
    method: dr
    scheduler: mh
    maglev_slots: 1009
    servers: ["2001:db8:1::1", "2001:db8:1::2"]
  # about the next one
""",
    """\
  names-only:
    listen: 192.0.2.11:*/udp
    on_server_removed: keep
    servers: [{address: 10.0.1.1, method: tun},
              {address: 10.0.1.2, method: tun, tunnel_source: 192.0.2.99}]
""",
)
TAIL = """\
vips:
  192.0.2.10: {interface: eth0}
timeouts: {established: 10m}
"""
TEXT = HEAD + "".join(BLOCKS) + TAIL
PATHS = ("", "interfaces", "services.web.servers[2].weight", "services.web6", "services.names-only.servers[1]", "vips")
FRAGMENTS = (
    *"\n \t:-,[]{}\"'#&*|>?!%@`~0a\r\ufeff\x85é",
    "  ", "    ", "\n  b:\n", "\n  web:\n", "- 10.0.0.9\n", "      - 10.0.0.9\n",
    "      - {address: 10.0.0.8, weight: 0}\n", "<<: *a\n", "\u2028",
    "    method: tun\n", "    clamp_mss: false\n", "# x: y\n", "    # deep\n", "---\n", "...\n", "&a ", "*a",
    "    scheduler: rr\n", "\nvips:\n", "weight: 70000", "10.0.0.1", "192.0.2.10:80/tcp", "null", "|\n", ">-\n",
)  # fmt: skip


def outcome(text: str, again: Reloading, path: Path) -> Loaded | tuple[Problem, ...]:
    path.write_text(text, newline="")
    try:
        return again.load(path)
    except ConfigError as error:
        return error.problems


def told(found: Loaded | tuple[Problem, ...]) -> object:
    """All that can be seen of it."""
    if not isinstance(found, Loaded):
        return found
    places = [found.locate(path) for path in PATHS]
    return found.director, list(found.director.vips), found.file, found.text, found.warnings, found.starts, places


def plainly(text: str, path: Path) -> object:
    try:
        return told(loads(text.removeprefix("\ufeff"), str(path)))
    except ConfigError as error:
        return error.problems


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Where in the text, how much goes, what comes: anywhere, or whole lines."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(TEXT)))
        if draw(st.booleans()):
            start = TEXT.rfind("\n", 0, start) + 1
        gone = draw(st.sampled_from([0, 0, 1, 2, 5, 24]))
        found.append((start, gone, "".join(draw(st.lists(st.sampled_from(FRAGMENTS), max_size=2)))))
    return found


@given(edits())
@settings(deadline=None, max_examples=1500)
def test_whatever_is_edited_the_result_is_that_of_a_full_load(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "vipd.yaml"
    again = Reloading(loads(TEXT, str(path)))
    text = TEXT
    for start, gone, new in changes:
        text = text[:start] + new + text[start + gone :]
        assert told(outcome(text, again, path)) == plainly(text, path)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_valid_changes_of_one_service_after_another(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "vipd.yaml"
    again = Reloading(loads(TEXT, str(path)))
    blocks = list(BLOCKS)
    for _ in range(4):
        number = data.draw(st.integers(0, 2))
        lines = blocks[number].splitlines(keepends=True)
        place = data.draw(st.integers(1, len(lines)))
        lines.insert(place, data.draw(st.sampled_from([each for each in FRAGMENTS if each.endswith("\n")])))
        text = HEAD + "".join([*blocks[:number], *lines, *blocks[number + 1 :]]) + TAIL
        found = outcome(text, again, path)
        assert told(found) == plainly(text, path)
        if isinstance(found, Loaded):
            blocks[number] = "".join(lines)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("weight: 3", "weight: 4", 0),
        ("        weight: 2\n", "        weight: 2\n      - 10.0.0.4\n", 0),
        ("      - 10.0.0.1\n", "", 0),
        ("maglev_slots: 1009", "maglev_slots: 2003", 1),
        ("10.0.1.2, method: tun", "10.0.1.2, method: dr", None),
        ("192.0.2.99}]\n", "192.0.2.98}]\n    hash_port: true\n", 2),
        ("192.0.2.10:443", "192.0.2.10:444", None),
        ("connections: 4096", "connections: 8192", None),
        ("maglev_slots: 1009", "maglev_slots: 251", 1),
    ],
)
def test_services_that_did_not_change_are_the_same_objects(
    tmp_path: Path, old: str, new: str, changed: int | None
) -> None:
    """Which tells that nothing but the changed service was read; None: all was."""
    path = tmp_path / "vipd.yaml"
    before = loads(TEXT, str(path))
    again = Reloading(before)
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    found = outcome(text, again, path)
    assert told(found) == plainly(text, path)
    if isinstance(found, Loaded):
        kept = [a is b for a, b in zip(before.director.services, found.director.services, strict=True)]
        assert kept == [changed is not None and number != changed for number in range(3)]
    else:
        assert changed is None


def test_a_text_that_is_used_twice_is_read_as_a_whole(tmp_path: Path) -> None:
    """What is marked in one service's lines may be used in another's."""
    path = tmp_path / "vipd.yaml"
    text = TEXT.replace("servers:\n      - 10.0.0.1\n", "servers:\n      - &first 10.0.0.1\n")
    text = text.replace("address: 10.0.1.1", "address: *first")
    again = Reloading(loads(text, str(path)))
    changed = text.replace("&first 10.0.0.1", "&first 10.0.0.7")
    found = outcome(changed, again, path)
    assert isinstance(found, Loaded)
    assert str(found.director.services[2].servers[0].address) == "10.0.0.7"
    assert told(found) == plainly(changed, path)


def test_too_many_servers_are_refused_wherever_they_come_from(tmp_path: Path) -> None:
    path = tmp_path / "vipd.yaml"
    listen = ", ".join(f"192.0.2.10:{port}/tcp" for port in range(1, 1001))
    lines = "".join(f"      - 10.1.0.{number}\n" for number in range(1, 66))
    text = f"interfaces: [eth0]\nservices:\n  a:\n    listen: [{listen}]\n    method: nat\n    servers:\n{lines}"
    again = Reloading(loads(text, str(path)))
    assert isinstance(outcome(text.replace("10.1.0.1\n", "10.1.1.1\n"), again, path), Loaded)
    found = outcome(text + "      - 10.1.0.99\n", again, path)
    assert not isinstance(found, Loaded)
    assert "at most 65535" in str(found[0])
