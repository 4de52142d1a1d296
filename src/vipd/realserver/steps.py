"""The steps that make a real server: what each is, whether it holds, how a shell would do it. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias

from vipd.model.director import Address, Network
from vipd.realserver.options import Facts

PINS: Final = "/sys/fs/bpf/vipd-real-server"
PROGRAM: Final = "decapsulator"
POINT_TO_POINT: Final = "decapsulator_point_to_point"
PROGRAMS: Final = (PROGRAM, POINT_TO_POINT)
"For frames with Ethernet headers, and for packets of devices that have none."
HELD: Final = ""
"The answer of `lack` for a step that is in force."


@dataclass(frozen=True, slots=True)
class AddLink:
    """An interface of our own, up. Tunnels take packets to `local` from any sender."""

    name: str
    kind: str
    local: Address | None = None
    step: Literal["link"] = "link"

    @property
    def key(self) -> str:
        return f"link {self.name}"

    def lack(self, facts: Facts) -> str:
        link = facts.link(self.name)
        if link is None:
            return "missing"
        if link.kind != self.kind:
            return f"is of kind {link.kind or 'none'}, not {self.kind}"
        return HELD if link.up else "is down"

    def commands(self) -> tuple[str, ...]:
        mode = {"ipip": " mode ipip", "sit": " mode ip6ip", "ip6tnl": " mode any"}.get(self.kind, "")
        remote = "::" if self.kind == "ip6tnl" else "any"
        tunnel = f"{mode} local {self.local} remote {remote}" if self.local else ""
        return (f"ip link add {self.name} type {self.kind}{tunnel}", f"ip link set {self.name} up")

    def undoing(self) -> tuple[str, ...]:
        return (f"ip link delete {self.name}",)


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """One of `accepted` is as good as `value` and is left as it is."""

    path: str
    value: int
    accepted: tuple[int, ...] = ()
    step: Literal["sysctl"] = "sysctl"

    @property
    def key(self) -> str:
        return f"sysctl {self.path}"

    def lack(self, facts: Facts) -> str:
        present = facts.sysctls.get(self.path)
        if present is None:
            return "missing"
        return HELD if present == self.value or present in self.accepted else f"is {present}, not {self.value}"

    def commands(self) -> tuple[str, ...]:
        return (self._write(self.value),)

    def undoing(self, before: int) -> tuple[str, ...]:
        return (self._write(before),)

    def _write(self, value: int) -> str:
        # sysctl reads the separator that comes first; a dot may be part of an interface's name.
        name = self.path if "." in self.path else self.path.replace("/", ".")
        return f"sysctl -q -w {shlex.quote(f'{name}={value}')}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """A host address that is never chosen as the source of a new connection: the VIP, or a tunnel's own."""

    address: Address
    link: str
    step: Literal["address"] = "address"

    @property
    def key(self) -> str:
        return f"address {self.address} on {self.link}"

    def lack(self, facts: Facts) -> str:
        link = facts.link(self.link)
        return HELD if link and self.address in link.addresses else "missing"

    def commands(self) -> tuple[str, ...]:
        return (f"ip address add {self._form()}",)

    def undoing(self) -> tuple[str, ...]:
        return (f"ip address delete {self.address}/{self.address.max_prefixlen} dev {self.link}",)

    def _form(self) -> str:
        place = f"{self.address}/{self.address.max_prefixlen} dev {self.link}"
        return f"{place} scope host" if self.address.version == 4 else f"{place} preferred_lft 0 nodad noprefixroute"


@dataclass(frozen=True, slots=True)
class AddTable:
    """A whole nft table of our own; `body` is what stands between its braces."""

    family: Literal["inet", "arp"]
    name: str
    body: str
    step: Literal["table"] = "table"

    @property
    def key(self) -> str:
        return f"table {self.family} {self.name}"

    @property
    def emptying(self) -> str:
        """Right whether there is such a table or not."""
        return f"table {self.family} {self.name}\ndelete table {self.family} {self.name}\n"

    @property
    def text(self) -> str:
        """One transaction: no packet sees the table missing or doubled."""
        return f"{self.emptying}table {self.family} {self.name} {{\n{self.body}}}\n"

    def lack(self, facts: Facts, listed: str | None = None) -> str:
        present = facts.tables.get(f"{self.family} {self.name}")
        if present is None:
            return "missing"
        return HELD if listed is None or present == listed else "was changed by somebody else"

    def commands(self) -> tuple[str, ...]:
        return (f"nft -f - <<'END'\n{self.text}END",)

    def undoing(self) -> tuple[str, ...]:
        return (f"nft delete table {self.family} {self.name}",)


@dataclass(frozen=True, slots=True)
class Decapsulate:
    """Our XDP program on each interface; takes tunnels to `addresses` that carry packets for `vips`."""

    instance: str
    interfaces: tuple[str, ...]
    addresses: tuple[Address, ...]
    vips: tuple[Address, ...]
    directors: tuple[Network, ...]
    "Believed outer sources; never empty, any is `::/0`."
    program: str = field(compare=False)
    "The compiled object."
    point_to_point: tuple[str, ...] = ()
    "Those of the interfaces that have no Ethernet headers."
    step: Literal["decapsulate"] = "decapsulate"

    @property
    def key(self) -> str:
        return "decapsulation"

    @property
    def pins(self) -> str:
        return f"{PINS}/{self.instance}"

    def program_for(self, interface: str) -> str:
        return POINT_TO_POINT if interface in self.point_to_point else PROGRAM

    def lack(self, facts: Facts) -> str:
        held = facts.attached
        if held is None:
            return "missing"
        off = set(self.interfaces) - held.interfaces
        if off:
            return f"is not on {', '.join(sorted(off))}"
        pairs = ((self.addresses, held.addresses), (self.vips, held.vips), (self.directors, held.directors))
        same = all(frozenset(wanted) == present for wanted, present in pairs)
        return HELD if same else "its tables were changed by somebody else"

    def commands(self) -> tuple[str, ...]:
        pins = self.pins
        tables = {"addresses": map(packed, self.addresses), "vips": map(packed, self.vips)}
        return (
            "mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf",
            f"mkdir -p {pins}",
            f"bpftool prog loadall {shlex.quote(self.program)} {pins} pinmaps {pins}",
            *(f"mv {pins}/{name} {pins}/prog_{name}" for name in PROGRAMS),
            *(
                f"bpftool map update pinned {pins}/{table} key hex {key.hex(' ')} value hex 01"
                for table, keys in {**tables, "directors": map(prefix, self.directors)}.items()
                for key in keys
            ),
            *(
                f"bpftool net attach xdp pinned {pins}/prog_{self.program_for(name)} dev {name}"
                for name in self.interfaces
            ),
        )

    def undoing(self) -> tuple[str, ...]:
        links = f"for link in {self.pins}/link_*; do"
        return (
            f'{links} [ ! -e "$link" ] || bpftool link detach pinned "$link"; done',
            *(f"ip link set dev {name} xdp off" for name in self.interfaces),
            f"rm -r {self.pins}",
        )


Step: TypeAlias = AddLink | SetSysctl | AddAddress | AddTable | Decapsulate


def packed(address: Address) -> bytes:
    """16 bytes, IPv4 as ::ffff:a.b.c.d (bpf/abi.h, struct addr)."""
    return bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def unpacked(raw: bytes) -> Address:
    return ip_address(raw[12:] if raw.startswith(bytes(10) + b"\xff\xff") else raw)


def prefix(network: Network) -> bytes:
    """bpf/realserver.bpf.c, struct director_key."""
    length = network.prefixlen + (96 if network.version == 4 else 0)
    return length.to_bytes(4, "little") + packed(network.network_address)
