"""What a director remembers: connections, loads, cursors, next hops, fragments. Values, and a difference to them.

A packet reads a state and writes a draft, so that what it changed is known exactly and a state that is
only looked at, such as a running director's, stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from vipd.model.director import Address

K = TypeVar("K")
K_contra = TypeVar("K_contra", contravariant=True)
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

BUCKET: Final = 16
"Places of a bucket of the connection table."


class Flow(NamedTuple):
    """As the packet shows it: a client's from the client to the VIP, a reply's from the server to the client."""

    source: Address
    source_port: int
    destination: Address
    destination_port: int
    protocol: int


class Entry(NamedTuple):
    """A connection, by its client's flow."""

    server: int
    service: int
    state: str
    "As model.director.STATES names them."
    expires: int
    "In ticks; over from the next tick on."
    reply: Flow | None = None
    "NAT: the other entry, of what the server sends back."
    two_way: bool = False
    "A reply was seen."
    bucket: int = 0


class ReplyEntry(NamedTuple):
    """Under NAT, a connection by its server's flow. It lives as long as the client's entry."""

    server: int
    service: int
    client: Flow
    "The client's entry."
    service_port: int
    "The port that the client knows."
    look_at: int
    "From the tick after this one on, a reply looks at the client's entry again."
    return_hop: int = 0
    "Place in the return hops of the way to the client; 0: none."
    bucket: int = 0


class Load(NamedTuple):
    """Connections of a server."""

    active: int = 0
    inactive: int = 0


class Traffic(NamedTuple):
    """Of a server, in total; bytes of IP."""

    connections: int = 0
    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0


class Hop(NamedTuple):
    """The way to an address, as the kernel told it. `kind` is one of nexthop's."""

    kind: str
    ifindex: int = 0
    mtu: int = 0
    destination: bytes = bytes(6)
    source: bytes = bytes(6)
    gateway: bool = False
    resolved_at: int = 0
    "Nanoseconds; 0: not resolved."


class FragmentKey(NamedTuple):
    source: Address
    destination: Address
    identification: int
    protocol: int


class Ports(NamedTuple):
    """Of a datagram whose first fragment was seen."""

    source: int
    destination: int
    seen_at: int
    "Nanoseconds."


class Table(Protocol[K_contra, V_co]):
    """What can be looked up: a dict, or a reader of a running director's map."""

    def get(self, key: K_contra, /) -> V_co | None: ...


class Tables(Protocol):
    """What a packet may look up, each table by its key; what is not there was never heard of, or is 0."""

    @property
    def connections(self) -> Table[Flow, Entry | ReplyEntry]: ...
    @property
    def taken(self) -> Table[int, int]:
        """Places that are taken, by bucket of the connection table."""

    @property
    def loads(self) -> Table[int, Load]: ...
    @property
    def traffic(self) -> Table[int, Traffic]: ...
    @property
    def cursors(self) -> Table[int, int]:
        """How often a service's round robin chose."""

    @property
    def next_hops(self) -> Table[int, Hop]:
        """By server."""

    @property
    def return_hops(self) -> Table[int, Hop]:
        """By place."""

    @property
    def fragments(self) -> Table[FragmentKey, Ports]: ...


@dataclass(slots=True)
class State:
    """Tables in memory."""

    connections: dict[Flow, Entry | ReplyEntry] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    loads: dict[int, Load] = field(default_factory=dict)
    traffic: dict[int, Traffic] = field(default_factory=dict)
    cursors: dict[int, int] = field(default_factory=dict)
    next_hops: dict[int, Hop] = field(default_factory=dict)
    return_hops: dict[int, Hop] = field(default_factory=dict)
    fragments: dict[FragmentKey, Ports] = field(default_factory=dict)

    def apply(self, draft: Draft) -> None:
        """Take over what a packet changed."""
        for name in Draft.__slots__:
            table, layer = getattr(self, name), getattr(draft, name)
            for key, value in layer.changed.items():
                if value is None:
                    table.pop(key, None)
                else:
                    table[key] = value


class Layer(Generic[K, V]):
    """A table with changes on top."""

    __slots__ = ("base", "changed")

    def __init__(self, base: Table[K, V]) -> None:
        self.base = base
        self.changed: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        return self.changed[key] if key in self.changed else self.base.get(key)

    def put(self, key: K, value: V | None) -> None:
        """None takes the key away."""
        self.changed[key] = value


class Draft:
    """A state with one packet's changes on top; the same tables, by the same names."""

    __slots__ = (
        "connections",
        "cursors",
        "fragments",
        "loads",
        "next_hops",
        "return_hops",
        "taken",
        "traffic",
    )

    def __init__(self, state: Tables) -> None:
        self.connections: Layer[Flow, Entry | ReplyEntry] = Layer(state.connections)
        self.taken: Layer[int, int] = Layer(state.taken)
        self.loads: Layer[int, Load] = Layer(state.loads)
        self.traffic: Layer[int, Traffic] = Layer(state.traffic)
        self.cursors: Layer[int, int] = Layer(state.cursors)
        self.next_hops: Layer[int, Hop] = Layer(state.next_hops)
        self.return_hops: Layer[int, Hop] = Layer(state.return_hops)
        self.fragments: Layer[FragmentKey, Ports] = Layer(state.fragments)
