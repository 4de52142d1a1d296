"""The secrets by which two ends prove who they are: from a file of root's own, or from the environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

from vipd.drivers.files import read_private
from vipd.errors import ConfigError, EnvironmentProblem, Problem
from vipd.model.secret import Secret

OURS: Final = "VIPD_LINK_SECRET"
"What we prove ourselves by."
THEIRS: Final = "VIPD_LINK_PEER_SECRET"
"What the peer must prove itself by."
_LARGEST: Final = 1 << 20
_LONGEST: Final = 255
"Octets of a name or a secret: PAP has one octet for their lengths (RFC 1334 2.2.1)."


def read_secrets(path: Path) -> dict[str, Secret]:
    """By the name of who proves itself. A line each: `NAME SECRET`, quotes as in a shell; `#` begins a comment line."""
    try:
        data = read_private(path, _LARGEST + 1, remedy=f"'chmod 600 {path}' where it holds nothing else")
    except OSError as error:
        raise EnvironmentProblem(f"{path}: the secrets cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise ConfigError([Problem("", f"larger than {_LARGEST} bytes; a line for each name is enough", str(path))])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError([Problem("", f"no UTF-8 at byte {error.start}", str(path))]) from None
    return parse_secrets(text, str(path))


def parse_secrets(text: str, file: str) -> dict[str, Secret]:
    """Says where a mistake is, and never what stands there."""
    found: dict[str, Secret] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise _mistake(file, number, f"{str(error).lower()}; quotes are as in a shell") from None
        if len(words) != 2:
            raise _mistake(file, number, f"{len(words)} words; a name and its secret are expected")
        name, secret = words
        if name in found:
            raise _mistake(file, number, f"a second secret for {name!r}; one is expected")
        if not all(1 <= len(word.encode()) <= _LONGEST for word in words):
            raise _mistake(file, number, f"name and secret are 1 to {_LONGEST} bytes each")
        found[name] = Secret(secret.encode())
    return found


def taken(environment: MutableMapping[str, str], name: str) -> Secret | None:
    """Out of the environment, where nobody shall find it again."""
    value = environment.pop(name, "")
    return Secret(value.encode(errors="surrogateescape")) if value else None


def ours(user: str, secrets: Mapping[str, Secret], given: Secret | None, file: Path | None) -> Secret:
    found = secrets.get(user) or given
    if found is None:
        where = f"{file} has no line for {user!r}, and" if file else "no --secrets FILE is given, and"
        raise _missing("user", f"{where} {OURS} is not set; the secret of {user!r} is expected in one of them")
    return found


def theirs(
    user: str | None, peer: str | None, default: str, secrets: Mapping[str, Secret], given: Secret | None
) -> dict[str, Secret]:
    """Whom we believe, by name. Never ourselves: a peer could send us our own answer back (RFC 1994 section 4)."""
    found = {name: secret for name, secret in secrets.items() if name != user and peer in (None, name)}
    name = peer or default
    if given is not None and name != user:
        found.setdefault(name, given)
    if not found:
        who = f"for {peer!r}" if peer else "for anybody but ourselves"
        raise _missing("auth", f"no secret {who} is in --secrets FILE or in {THEIRS}; the peer could not prove itself")
    return found


def _missing(option: str, message: str) -> ConfigError:
    return ConfigError([Problem(option, message)])


def _mistake(file: str, line: int, message: str) -> ConfigError:
    return ConfigError([Problem("", message, file, line, 1)])
