"""A director made up of a configuration file: what explain, test and replay have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vipd.config import Loaded, load
from vipd.errors import ConfigError
from vipd.explain.ends import refused
from vipd.explain.expectation import drains
from vipd.explain.imagined import MTU, imagined
from vipd.explain.scene import Scene
from vipd.model.director import Director
from vipd.model.keys import SECRET_BYTES

if TYPE_CHECKING:
    from vipd.rehearsal.live import Live

SMALLEST_MTU, LARGEST_MTU = 1280, 65_535


@dataclass(frozen=True, slots=True)
class Imagined:
    loaded: Loaded
    secret: bytes | None
    mtu: int

    @property
    def director(self) -> Director:
        return self.loaded.director

    def scene(self, drained: Iterable[str] = (), where: str = "--drained") -> Scene:
        """`drained`: servers as `vipd drain` takes them; `where`: as errors name these."""
        return imagined(self.director, self.secret, self.mtu, drains(where, drained, self.director))

    @contextmanager
    def live(self, drained: Iterable[str] = (), connections: int | None = None) -> Iterator[tuple[Scene, Live]]:
        """The same, and the BPF program in it; as root. `connections`: for how many there is room at the most."""
        from vipd.rehearsal.configured import configured

        most = self.director.connections if connections is None else min(connections, self.director.connections)
        director = replace(self.director, connections=most)
        with configured(director, self.secret, self.mtu, drains("--drained", drained, director)) as made:
            yield made


def imagine(file: Path, secret: Path | None = None, mtu: int = MTU, called: str = "--secret") -> Imagined:
    """`secret`: instead of the one that the configuration names, which need not be at hand; `called` so in errors."""
    if not SMALLEST_MTU <= mtu <= LARGEST_MTU:
        raise refused("--mtu", f"{mtu} is none; {SMALLEST_MTU} to {LARGEST_MTU} are")
    loaded = load(file)
    if secret is not None:
        return Imagined(loaded, _secret(secret, lambda what: refused(called, f"{secret}: {what}")), mtu)
    named = loaded.director.secret_file
    try:
        key = _secret(Path(named), lambda what: refused("secret_file", what)) if named else None
    except ConfigError:
        key = None
    return Imagined(loaded, key, mtu)


def require_file(secret: Path | None, mtu: int, drained: Sequence[str] = ()) -> None:
    """Of a running director, what only a file leaves open is refused, not ignored."""
    given = {"--drained": bool(drained), "--secret": secret is not None, "--mtu": mtu != MTU}
    for option in filter(given.get, given):
        raise refused(option, "goes with -c FILE: a running director has its own")


def _secret(path: Path, wrong: Callable[[str], ConfigError]) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(SECRET_BYTES + 1)
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from None
    if len(found) != SECRET_BYTES:
        raise wrong(f"a secret is {SECRET_BYTES} bytes")
    return found
