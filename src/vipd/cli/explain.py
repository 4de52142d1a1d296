"""`vipd explain`."""

from __future__ import annotations

from typing import Final

import typer

from vipd.cli import explain_options as given
from vipd.cli.app import instance_of

EXAMPLES: Final = {
    "explain": "Examples:\n\nvipd explain --from 203.0.113.7:4711 --to 192.0.2.10:80/tcp\n\n"
    "vipd explain --from 203.0.113.7 --to web --flags SYN --flags reply:SYN+ACK --flags ACK\n\n"
    "vipd explain --pcap trouble.pcap --frame 12 --live\n\n"
    "vipd explain -c vipd.yaml --to web --json | jq '.packets[].server'"
}


def explain(
    ctx: typer.Context,
    source: given.From = None,
    to: given.To = None,
    flags: given.Flags = None,
    payload: given.Payload = 0,
    ttl: given.Ttl = 64,
    packet: given.Hex = None,
    pcap: given.Pcap = None,
    frame: given.Frames = None,
    interface: given.Interface = None,
    source_mac: given.SourceMac = None,
    keep_macs: given.KeepMacs = False,
    config: given.Config = None,
    live: given.Live = False,
    drained: given.Drained = None,
    secret: given.Secret = None,
    mtu: given.Mtu = 1500,
    rules: given.Rules = False,
    octets: given.Octets = False,
    brief: given.Brief = False,
    as_json: given.Json = False,
) -> None:
    """What becomes of a packet, and why: which service, which server, what is rewritten, where it goes.

    The running director's configuration and state are read, never changed, whether its daemon
    runs or not. Decided by the executable specification of the data plane; nothing is sent.
    """
    from vipd.cli.explaining import Asked, Of, Shown, explain_to

    asked = Asked(source, to, flags or [], payload, ttl, packet, pcap, frame or [], interface, source_mac, keep_macs)
    explain_to(
        asked,
        Of(instance_of(ctx), config, secret, mtu, tuple(drained or ()), live),
        Shown(rules, octets, brief, as_json),
    )
