"""Whatever a file holds, it loads or is refused in words: no other error, no harm."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vipd.config import load, loads
from vipd.errors import ConfigError, Problem


def refusal(text: str) -> tuple[Problem, ...]:
    """Nothing for a good file; an error of any other kind fails the test."""
    try:
        loads(text)
    except ConfigError as error:
        return error.problems
    return ()


def test_terminal_control_in_a_file_does_not_reach_the_terminal() -> None:
    text = '"\\e[2J\\u202e": 1\ninterfaces: ["\\e[31m"]\n'
    for line in refusal(text):
        assert str(line).isprintable()


def test_a_message_stays_short_whatever_the_name() -> None:
    for line in refusal(f"{'n' * 10_000}: {'v' * 10_000}\ninterfaces: [{'e' * 10_000}]\n"):
        assert len(str(line)) < 400


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02", b"\xff\xfe\x00a", b"\x7fELF\x02\x01\x01" + bytes(64), b"interfaces: \xc3\x28", b"a: \x1b[2J",
        b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000, b"? " * 50_000, b"&a [" * 1000, b"a: &x [*x, *x]",
        b"a: " + b"9" * 100_000, b"a: " + b"-" * 100_000, b"\xef\xbb\xbf", b"%YAML 3.0\n---\n",
        b"!!python/object:os.system x",
        b"a: |\n" + b" x\n" * 100_000, b'"\\ud800": 1', b'interfaces: ["\\ud83d\\ude00"]', b"{a: b}: c",
        b"[a, b]: c",
        b"interfaces: {a: b}\nservices: [a]\nvips: 3\ntimeouts: []\ntunnel: x\n",
        b"services: {a: 1, b: [], c: null, d: 'x'}",
        b"services: {a: {listen: {}, servers: {}}}",
        b"services: {a: {listen: [[[]]], servers: [[[]], {}, {address: {}}]}}",
        b"vips: {'': {}, x: 1, 10.0.0.1: []}", b"1: 2\nnull: 3\ntrue: 4\n", b"interfaces: [1, null, true, {}, []]\n",
    ],
    ids=range(28),
)  # fmt: skip
def test_garbage_is_a_mistake_of_the_file_and_nothing_else(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "vipd.yaml"
    file.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert all(problem.file == str(file) for problem in caught.value.problems)
    assert all(str(problem).isprintable() for problem in caught.value.problems)


def test_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    (found,) = refusal("\n".join(lines))
    assert "aliases make it more than" in found.message


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="is larger than 64 MiB"):
        load(Path("/dev/zero"))


def mutated(text: str, chance: random.Random) -> str:
    """One to three edits of the kinds that people and editors make."""
    for _ in range(chance.randint(1, 3)):
        lines = text.split("\n")
        at = chance.randrange(len(lines))
        place = chance.randrange(len(text))
        match chance.randrange(9):
            case 0:
                del lines[at]
                text = "\n".join(lines)
            case 1:
                lines.insert(at, chance.choice(lines))
                text = "\n".join(lines)
            case 2:
                lines[at] = " " * chance.randrange(6) + lines[at].lstrip()
                text = "\n".join(lines)
            case 3:
                text = text[:place] + text[place + 1 :]
            case 4:
                text = text[:place] + chance.choice(" :,[]{}'\"&*!|>%@-#?\t\n0aé\x85\u2028") + text[place:]
            case 5:
                text = text[:place] + text[place + chance.randrange(40) :]
            case 6:
                wild = [
                    "null",
                    "-1",
                    "1e999",
                    ".nan",
                    "true",
                    "[]",
                    "{}",
                    "''",
                    "0x10",
                    "10.0.0.1",
                    "&a b",
                    "*a",
                    "2001:db8::1",
                ]
                words = text.split(" ")
                words[chance.randrange(len(words))] = chance.choice(wild)
                text = " ".join(words)
            case 7:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
                text = "\n".join(lines)
            case _:
                text = text[:place]
        text = text or " "
    return text


def test_a_thousand_mutated_files_load_or_are_refused_in_words() -> None:
    whole = (Path(__file__).parents[2] / "examples" / "vipd.yaml").read_text()
    chance = random.Random(20)
    refused = 0
    for _ in range(1000):
        problems = refusal(mutated(whole, chance))
        refused += bool(problems)
        assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
        assert all(str(problem).isprintable() for problem in problems)
    assert 300 < refused < 1000


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.sampled_from(
    ["interfaces", "services", "vips", "timeouts", "tunnel", "source", "listen", "servers", "address", "port", "weight",
     "method", "udp", "192.0.2.1", "web"]
)  # fmt: skip
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@given(st.dictionaries(KEYS, TREES, max_size=6))
@settings(deadline=None, max_examples=300)
@example({"services": {"web": {"listen": None, "servers": None}}})
def test_any_tree_of_plain_values_is_loaded_or_refused_in_words(tree: object) -> None:
    import yaml

    text = yaml.safe_dump(tree, allow_unicode=False)
    assert all(str(problem).isprintable() for problem in refusal(text))
