"""Every error that vipd raises on purpose, by who is at fault. Knows nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class DirectorError(Exception):
    """The root of all errors that a user may see; its text is the whole message."""


class WireError(DirectorError):
    """Bytes from the network that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration.

    `path` is the place in the document (`services.web.servers[1].weight`), `line` and
    `column` count from 1 and are 0 where the file is not at hand.
    """

    path: str
    message: str
    "What is wrong; then, after a semicolon, what is allowed."
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else (f"{self.file}: " if self.file else "")
        return f"{place}{self.path}: {self.message}" if self.path else f"{place}{self.message}"


class ConfigError(DirectorError):
    """A configuration that cannot be used; carries every mistake found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def require(fulfilled: bool, path: str, message: str) -> None:
    """For values that are valid once built: ConfigError about the field unless it is as it should be."""
    if not fulfilled:
        raise ConfigError([Problem(path, message)])


class DataplaneError(DirectorError):
    """The kernel refused a step; the message names the step and says how to mend it."""


class EnvironmentProblem(DirectorError):
    """This machine lacks something that vipd needs: a capability, a kernel version, a device."""


class BusyError(DirectorError):
    """What was looked at changed meanwhile; asking anew may do."""


class LineError(DirectorError):
    """A line that cannot be opened, or that ended; it may be tried anew."""
