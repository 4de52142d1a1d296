"""`python -m tests.fuzz.run TARGET SECONDS`: a target under the fuzzer. `TARGET FILE`: a finding again, without it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
WORK: Final = Path("build/fuzz")
SLOW: Final = 10
"Seconds; an input that takes longer is a finding."


def targets() -> list[str]:
    return sorted(path.stem for path in (HERE / "targets").glob("*.py") if path.stem != "__init__")


def load(target: str) -> tuple[Callable[[bytes], None], list[bytes]]:
    module = importlib.import_module(f"tests.fuzz.targets.{target}")
    return module.check, module.SEEDS


def fuzz(target: str, seconds: int) -> None:
    """Never returns: the fuzzer ends the process, with another status than 0 where it found something."""
    import atheris

    with atheris.instrument_imports(include=["vipd"]):
        check, seeds = load(target)
    corpus = WORK / target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-timeout={SLOW}", f"-artifact_prefix={WORK / target}/", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", "-print_final_stats=1", str(corpus)], check)
    atheris.Fuzz()


def main() -> None:
    match sys.argv[1:]:
        case ["--list"]:
            print("\n".join(targets()))
        case [target, seconds] if seconds.isdecimal():
            fuzz(target, int(seconds))
        case [target, file]:
            load(target)[0](Path(file).read_bytes())
            print(f"{target}: {file} is no finding any more")
        case _:
            sys.exit(f"a target ({', '.join(targets())}), then seconds or a file that the fuzzer wrote")


if __name__ == "__main__":
    main()
