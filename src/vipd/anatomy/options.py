"""Lists of options as IPv4 and TCP have them (RFC 791 3.1, RFC 9293 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vipd.anatomy.scan import Scanner

END, NOTHING = 0, 1
"The two kinds that have no length."


def options(scan: Scanner, kinds: Mapping[int, str], value: Callable[[Scanner, int, int], None] | None = None) -> None:
    """Until the list says that it ends. `value` reads what an option has: kind and octets."""
    while scan.left:
        kind = scan.peek(1)[0]
        name = kinds.get(kind, f"option {kind}")
        if kind in (END, NOTHING):
            scan.bits(name, 8)
            if kind == END:
                return
            continue
        with scan.group(name):
            scan.bits("kind", 8)
            size = scan.bits("length", 8, fault=lambda n: "" if n >= 2 else "at least 2 expected")
            if size < 2:
                return
            with scan.group("", size - 2):
                if value is not None:
                    value(scan, kind, size - 2)
