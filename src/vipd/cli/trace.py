"""`vipd trace`."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from vipd.cli.app import instance_of
from vipd.model.outcome import OUTCOMES
from vipd.model.trace import FRAME_BYTES

if TYPE_CHECKING:
    from vipd.cli.trace_view import Capture, Interfaces, Wall
    from vipd.model.instance import Instance
    from vipd.model.trace import Asked, TraceCounts, Traced

EXAMPLES: Final = {
    "trace": "Examples:\n\nvipd trace --client 198.51.100.7\n\n"
    "vipd trace --outcome drop --outcome reply --pcap lost.pcapng\n\n"
    "vipd trace --service web --sample 100 --json | jq .reason\n\n"
    "vipd trace --outcome drop_malformed --pcap - | tshark -r - -V"
}
_BEAT: Final = 0.5
"Seconds between two signs of life; the data plane waits for two seconds."
_RATE: Final = 1000
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Several = list[str] | None


def _outcome_names() -> list[str]:
    return list(OUTCOMES)


_Client = Annotated[
    str | None, typer.Option(help="Only from or to this address or network.", metavar="ADDRESS[/PREFIX]")
]
_Service = Annotated[
    Several,
    typer.Option(
        help="Only of this service: its name, VIP, VIP:PORT or VIP:PORT/TRANSPORT. Repeatable.", metavar="SERVICE"
    ),
]
_Server = Annotated[Several, typer.Option(help="Only to or from this real server. Repeatable.", metavar="ADDRESS")]
_Outcome = Annotated[
    Several,
    typer.Option(
        help="Only with this outcome: a name, a pattern as 'drop_*', or forward, route, pass, reply, drop. Repeatable.",
        metavar="OUTCOME",
        autocompletion=_outcome_names,
    ),
]
_Sample = Annotated[int, typer.Option(min=1, max=2**32 - 1, help="One of so many of those that fit.")]
_Rate = Annotated[int, typer.Option(min=0, max=10**6, help="At most so many a second; 0: no limit.")]
_Count = Annotated[int, typer.Option(min=0, help="End after so many packets; 0: go on.")]
_Seconds = Annotated[
    float, typer.Option("--for", min=0, help="End after so many seconds; 0: go on.", metavar="SECONDS")
]
_Pcap = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write each frame as it came to a pcapng file, too; '-' is stdout.")
]
_Snaplen = Annotated[
    int | None,
    typer.Option(min=14, max=FRAME_BYTES, help="Bytes of each frame, for --pcap (2048) and --json (none)."),
]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def trace(
    ctx: typer.Context,
    client: _Client = None,
    service: _Service = None,
    server: _Server = None,
    outcome: _Outcome = None,
    sample: _Sample = 1,
    rate: _Rate = _RATE,
    count: _Count = 0,
    seconds: _Seconds = 0,
    pcap: _Pcap = None,
    snaplen: _Snaplen = None,
    as_json: _Json = False,
) -> None:
    """Show packets as they pass, each with what became of it and why; Ctrl-C ends it with a summary.

    Packets are picked in the kernel, and none ever waits: what cannot be shown in time is
    lost, counted and said. Goes on without a daemon, and beside it; only one can trace an instance.
    """
    from vipd.cli.trace_options import network_of, outcomes_of

    if pcap == "-" and (as_json or sys.stdout.isatty()):
        raise typer.BadParameter("'-' needs stdout for itself: vipd trace --pcap - | tshark -r -", param_hint="--pcap")
    if not math.isfinite(seconds):
        raise typer.BadParameter("a number of seconds is needed", param_hint="--for")
    request = _Request(
        instance=instance_of(ctx),
        services=tuple(service or ()),
        servers=tuple(server or ()),
        fields={
            "client": network_of(client) if client is not None else None,
            "outcomes": outcomes_of(outcome) if outcome else frozenset(OUTCOMES),
            "sample": sample,
            "rate": rate,
            "frame": snaplen or (FRAME_BYTES if pcap is not None else 0),
        },
        until=_Until(count or math.inf, seconds or math.inf),
    )
    _trace(request, pcap, as_json)


@dataclass(frozen=True, slots=True)
class _Until:
    packets: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Request:
    instance: Instance
    services: tuple[str, ...]
    servers: tuple[str, ...]
    fields: dict[str, Any]
    until: _Until


def _trace(request: _Request, pcap: str | None, as_json: bool) -> None:
    from vipd.cli.trace_view import Capture, Interfaces, Wall, summary
    from vipd.daemon.tracing import interface_names, tracing
    from vipd.errors import DataplaneError

    with ExitStack() as stack:
        ended = stack.enter_context(_ended())
        tracer = stack.enter_context(tracing(request.instance))
        asked = _asked(request, tracer)
        capture = None
        if pcap is not None:
            capture = Capture(None if pcap == "-" else Path(pcap))
            stack.callback(capture.close)
        show = _Show(capture, as_json, pcap == "-", Interfaces(interface_names), Wall())
        tracer.start(asked)
        began = time.monotonic()
        _say(f"tracing instance {request.instance.name!r}: {_in_words(request)}; Ctrl-C ends it")
        stands = _follow(tracer, request.until, show, ended)
        counts = tracer.counts()
        lines = summary(time.monotonic() - began, counts, show.told)
    show.end(counts)
    for each in lines:
        _say(each)
    if not stands:
        raise DataplaneError("the data plane that was traced is gone: it was taken down, or made anew by 'vipd run'")


def _asked(request: _Request, tracer: Any) -> Asked:
    from vipd.cli.trace_options import servers_of, services_of
    from vipd.model.trace import Asked

    def named() -> dict[str, list[str]]:
        from vipd.cli.source import status_of

        return {service.name: service.listen for service in status_of(request.instance).services}

    return Asked(
        services=services_of(request.services, tracer.endpoints(), named) if request.services else None,
        servers=servers_of(request.servers, tracer.servers()) if request.servers else None,
        **request.fields,
    )


def _in_words(request: _Request) -> str:
    fields = request.fields
    words = [
        f"client {fields['client']}" if fields["client"] else "",
        f"service {', '.join(request.services)}" if request.services else "",
        f"server {', '.join(request.servers)}" if request.servers else "",
        f"{len(fields['outcomes'])} of {len(OUTCOMES)} outcomes" if len(fields["outcomes"]) < len(OUTCOMES) else "",
    ]
    limits = [
        f"one of {fields['sample']}" if fields["sample"] > 1 else "",
        f"at most {fields['rate']} a second" if fields["rate"] else "",
    ]
    return "; ".join(filter(None, (", ".join(filter(None, words)) or "every packet", *limits)))


def _follow(tracer: Any, until: _Until, show: _Show, ended: Callable[[], bool]) -> bool:
    """To the end that was asked for; False where the data plane went away first."""
    now = began = time.monotonic()
    beat_at, lost, stands = began + _BEAT, 0, True
    while stands and not ended() and show.total < until.packets and now < began + until.seconds:
        show.packets(tracer.poll(max(0.0, min(beat_at, began + until.seconds) - now)), until.packets)
        now = time.monotonic()
        if now < beat_at:
            continue
        beat_at = now + _BEAT
        if not tracer.beat():
            _say("this process stood still for more than two seconds; what passed meanwhile was not traced")
        stands = tracer.stands()
        show.wall.look()
        lost = show.lost(tracer.counts().lost, lost)
    tracer.stop()
    while show.total < until.packets and (rest := tracer.poll(0)):
        show.packets(rest, until.packets)
    return stands


@dataclass(slots=True)
class _Show:
    capture: Capture | None
    as_json: bool
    silent: bool
    "Stdout is the capture."
    interfaces: Interfaces
    wall: Wall
    told: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def packets(self, found: list[Traced], most: float) -> None:
        from vipd.cli.trace_view import as_json, line

        write = as_json if self.as_json else line
        for packet in found:
            if self.total >= most:
                break
            self.total += 1
            self.told[packet.outcome] += 1
            at_ns = self.wall.ns(packet)
            if self.capture:
                self.capture.add(packet, at_ns, self.interfaces)
            if not self.silent:
                sys.stdout.write(write(packet, at_ns, self.interfaces) + "\n")
        if self.capture:
            self.capture.flush()
        sys.stdout.flush()

    def lost(self, now: int, before: int) -> int:
        if now > before:
            _say(f"{now - before:,} packets were lost here: too many to show; --sample, --rate or a filter means fewer")
            self._json({"type": "lost", "packets": now - before})
        return now

    def end(self, counts: TraceCounts) -> None:
        from dataclasses import asdict

        self._json({"type": "summary", **asdict(counts), "told": self.total, "outcomes": dict(self.told)})

    def _json(self, value: dict[str, Any]) -> None:
        import json

        if self.as_json:
            sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
            sys.stdout.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _ended() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or a signal to end came; the second one does not wait for us."""
    came: list[int] = []

    def note(number: int, _: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, note) for number in _ENDS}
    try:
        yield lambda: bool(came)
    finally:
        for number, former in before.items():
            signal.signal(number, former)
