"""Where the program starts and every error ends: as one message and an exit code."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from types import TracebackType

from vipd.errors import ConfigError, DirectorError, EnvironmentProblem


def main() -> None:
    """Exit codes: 0 done, 1 failed, 2 the input or this machine must be mended first, 130 interrupted."""
    sys.excepthook = _say_it_is_ours
    _require_streams()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a sign of ours shows another one.
        sys.stdout.reconfigure(errors="replace")
    try:
        from vipd.cli.app import app

        try:
            app(prog_name="vipd")
        finally:
            # At exit it would be too late to tell why that failed.
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Who read our output has enough.
        _say_no_more()
        sys.exit(1)
    except ConfigError as error:
        sys.exit(_fail(str(error), 2))
    except EnvironmentProblem as error:
        sys.exit(_fail(f"vipd: {error}", 2))
    except DirectorError as error:
        sys.exit(_fail(f"vipd: {error}", 1))
    except OSError as error:
        _say_no_more()
        place = f"{error.filename}: " if error.filename else ""
        sys.exit(_fail(f"vipd: {place}{error.strerror or error}", 1))


def _require_streams() -> None:
    """Where one was closed, the next file that is opened would take its place, and what is written to it."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _say_no_more() -> None:
    """What is left in the buffer is not written to our output at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _say_it_is_ours(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if os.environ.get("VIPD_DEBUG"):
        sys.__excepthook__(kind, error, trace)
        return
    reason = f"{kind.__name__}: {error}" if str(error) else kind.__name__
    print(f"vipd: a mistake of vipd's own: {reason}; VIPD_DEBUG=1 shows where, please report it", file=sys.stderr)


if __name__ == "__main__":
    main()
