"""Secrets come from a file of root's own or the environment, are never shown, and never let a peer be us."""

from __future__ import annotations

from pathlib import Path

import pytest

from vipd.errors import ConfigError, EnvironmentProblem
from vipd.link.secrets import OURS, THEIRS, ours, parse_secrets, read_secrets, taken, theirs
from vipd.model.secret import Secret

TEXT = """\
# who          secret
paris          s3cret#1
"rome central" "with two  spaces"

  # a comment, too
oslo           'it''s'
"""


def test_each_line_gives_a_name_its_secret() -> None:
    found = parse_secrets(TEXT, "secrets")
    assert {name: secret.reveal() for name, secret in found.items()} == {
        "paris": b"s3cret#1",
        "rome central": b"with two  spaces",
        "oslo": b"its",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("paris", "secrets:1:1: 1 words; a name and its secret are expected"),
        ("paris hidden 10.0.0.1", "secrets:1:1: 3 words"),
        ("# one\nparis 'hidden", "secrets:2:1: no closing quotation; quotes are as in a shell"),
        ("paris hidden\nparis hidden2", "secrets:2:1: a second secret for 'paris'"),
        ("paris ''", "name and secret are 1 to 255 bytes each"),
        ("paris " + 256 * "hidden", "name and secret are 1 to 255 bytes each"),
    ],
)
def test_a_mistake_is_told_by_its_line_and_nothing_of_it_is_shown(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_secrets(text, "secrets")
    assert said in str(refused.value)
    assert "hidden" not in str(refused.value)


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_private_file_is_read(tmp_path: Path) -> None:
    assert read_secrets(private(tmp_path / "secrets", TEXT)).keys() == {"paris", "rome central", "oslo"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "secrets", TEXT)
    path.chmod(mode)
    with pytest.raises(EnvironmentProblem, match=f"chmod 600 {path}"):
        read_secrets(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(private(tmp_path / "secrets", TEXT))
    with pytest.raises(EnvironmentProblem, match="a link is not followed"):
        read_secrets(tmp_path / "link")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the secrets cannot be read: No such file"):
        read_secrets(tmp_path / "secrets")


@pytest.mark.parametrize(("content", "said"), [(b"paris \xff", "no UTF-8 at byte 6"), (bytes(2 << 20), "larger than")])
def test_a_file_that_is_none_of_secrets_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "secrets"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=said):
        read_secrets(path)


def test_a_secret_of_the_environment_is_found_there_once() -> None:
    environment = {OURS: "hidden", THEIRS: ""}
    assert taken(environment, OURS) == Secret(b"hidden")
    assert (taken(environment, OURS), taken(environment, THEIRS), environment) == (None, None, {})


def test_we_prove_ourselves_by_the_file_first_and_else_by_the_environment() -> None:
    file = {"us": Secret(b"file")}
    assert ours("us", file, Secret(b"environment"), None) == Secret(b"file")
    assert ours("them", file, Secret(b"environment"), None) == Secret(b"environment")
    with pytest.raises(ConfigError, match=f"/s has no line for 'them', and {OURS} is not set"):
        ours("them", file, None, Path("/s"))


def test_nobody_may_pass_for_us() -> None:
    file = {"us": Secret(b"1"), "paris": Secret(b"2"), "rome": Secret(b"3")}
    assert theirs("us", None, "link", file, None).keys() == {"paris", "rome"}
    assert theirs("us", "paris", "link", file, None).keys() == {"paris"}
    with pytest.raises(ConfigError, match="no secret for 'us'"):
        theirs("us", "us", "link", file, None)


def test_the_environments_secret_is_that_of_the_peer_named_or_of_the_links_name() -> None:
    assert theirs("us", None, "link", {}, Secret(b"1")) == {"link": Secret(b"1")}
    assert theirs("us", "paris", "link", {}, Secret(b"1")) == {"paris": Secret(b"1")}
    with pytest.raises(ConfigError, match=f"no secret for anybody but ourselves is in --secrets FILE or in {THEIRS}"):
        theirs("us", None, "link", {"us": Secret(b"1")}, None)
