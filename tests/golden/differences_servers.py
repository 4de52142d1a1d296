"""Servers, connections and schedulers."""

from __future__ import annotations

from typing import Final

from tests.golden import changes as to
from tests.golden.difference import Difference

SERVERS: Final = (
    Difference(
        "TCP to a service without a server of weight above 0",
        ("any?/no-servers#syn*", "any?/only-weight-0#syn*"),
        "ICMP port unreachable",
        "TCP reset",
        "clients give up at once; many try again after ICMP",
        to.sends(to.reset),
    ),
    Difference(
        "TCP of a server that was removed",
        ("*/server/removed*#data", "*/server/removed*#data-again", "*/server/removed*#syn-after"),
        "dropped; with `expire_nodest_conn`, then reset by the director's own stack",
        "reset (`on_server_removed`)",
        "the client can go elsewhere at once",
        to.both(to.sends(to.reset), to.remembers(lambda here: here.known(to.OF_UDP))),
    ),
    Difference(
        "UDP of a server that was removed",
        ("*/server/removed*#datagram-*",),
        "dropped until the entry expires; with `expire_nodest_conn`, scheduled anew at once",
        "ICMP port unreachable once, then scheduled anew, here without another server",
        "the same",
        to.both(to.sends(to.refused), to.unknown),
    ),
    Difference(
        "connections of a server that is being removed",
        ("*/server/removed-expire-nodest-conn#remove",),
        "with `expire_nodest_conn`, end at once",
        "end with their next packet",
        "it is that packet's sender who has to be told",
        to.as_before,
    ),
    Difference(
        "connections that IPVS takes up in the middle",
        ("*/sloppy#*",),
        "with `sloppy_tcp`, remembered",
        "always forwarded, never remembered",
        "no setting is needed, and a flood of ACKs fills no table",
        to.unknown,
    ),
    Difference(
        "answer of a NAT server that belongs to no known connection",
        tuple(f"any?/unasked-answer#{name}" for name in ("ack", "syn-ack", "rst", "datagram")),
        "routed to the client with the server's own address",
        "gets the VIP as its source, where one service alone has the server and port",
        "the connection may be one that goes by consistent hash",
        to.sends(to.answered),
    ),
    Difference(
        "the same where the server is to be told",
        ("any?/server-told#data",),
        "with `nat_icmp_send`, answered with ICMP port unreachable",
        "gets the VIP as its source",
        "as above",
        to.sends(to.answered),
    ),
    Difference(
        "one client port to two services on one server's port",
        ("nat?/same-client-of-two-services#syn-of-second",),
        "both connections exist",
        "the second is dropped (`drop_collision`)",
        "their answers could not be told apart",
        to.both(to.nothing, to.as_before),
    ),
    Difference(
        "whose answer it is then",
        ("nat?/same-client-of-two-services#syn-ack",),
        "the second service's, whichever was meant",
        "the first's",
        "the client gets an answer from whom it asked",
        to.both(to.sends(to.answered), to.remembers(lambda here: here.known(to.OF_SYN))),
    ),
    Difference(
        "state of a connection to the director itself",
        ("any?/local-server#syn*", "any?/local-server#ack"),
        "follows both directions",
        "follows what comes in",
        "XDP does not see what the director sends",
        to.remembers(to.one_way_state),
    ),
    Difference(
        "order of wrr",
        ("dr?/choice/wrr#*",),
        "the heaviest first, then by turns",
        "each server's turns as far apart as can be",
        "same shares, shorter bursts",
        to.sends(to.by_turns),
    ),
    Difference(
        "which server sh and mh choose",
        ("dr?/choice/sh#*", "dr?/choice/mh#*"),
        "by hashes that everybody can compute",
        "by a keyed hash",
        "nobody can aim at a server",
        to.sends(to.by_hash),
    ),
    Difference(
        "new clients of a drained server under sh and mh",
        ("dr?/drained/sh#client-*", "dr?/drained/mh#client-*"),
        "refused with ICMP port unreachable, but with `sh-fallback` or `mh-fallback`",
        "shared out among the other servers",
        "who drains a server wants nobody to notice",
        to.sends(to.by_hash_while_drained),
    ),
)
