"""What one switch holds: rules, groups and meters, and changes of them. Values only.

No type of the OpenFlow codec appears here; names are those of OpenFlow 1.3.5.
"""

from dataclasses import dataclass
from enum import StrEnum


class Field(StrEnum):
    """A packet's fields that rules look at or set, by their OpenFlow names."""

    IN_PORT = "in_port"
    METADATA = "metadata"
    ETH_DST = "eth_dst"
    ETH_SRC = "eth_src"
    ETH_TYPE = "eth_type"
    IP_PROTO = "ip_proto"
    IP_DSCP = "ip_dscp"
    IPV4_SRC = "ipv4_src"
    IPV4_DST = "ipv4_dst"
    TCP_SRC = "tcp_src"
    TCP_DST = "tcp_dst"
    UDP_SRC = "udp_src"
    UDP_DST = "udp_dst"
    ARP_SPA = "arp_spa"
    ARP_TPA = "arp_tpa"


Value = int | str


Match = tuple[tuple[Field, Value], ...]
"""What a rule asks of a packet: fields in the order of Field, each with its exact value.
Addresses are texts, the rest numbers. For a network of IPv4 addresses: `10.203.0.0/16`."""


BACK = 0xFFFFFFF8
"""The port that a packet came in by, whichever that is (OpenFlow 1.3.5, section 4.5: IN_PORT)."""


CONTROLLER = 0xFFFFFFFD
"""The port by which a packet goes up to the controller."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Send a copy by a port. The one it came in by is reported as `BACK`, or nothing is sent."""

    port: int


@dataclass(frozen=True, kw_only=True)
class SetField:
    """Rewrite one field."""

    field: Field
    value: Value


@dataclass(frozen=True, kw_only=True)
class UseGroup:
    """Let a group of the same switch go on with a copy."""

    group: int


@dataclass(frozen=True, kw_only=True)
class Translate:
    """Rewrite the packets of known connections, both ways, as their first one was, and go on in
    `table`. With an `address` and `port`, a connection that is not known yet becomes so, and is led
    there. It is the last action of a rule (Open vSwitch's `ct` with `nat`, ovs-actions(7))."""

    table: int
    address: str = ""
    port: int = 0


Action = Output | SetField | UseGroup | Translate


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry of a flow table. `meter` 0 is none, `metadata` 0 writes none, `goto` None ends
    the pipeline; `actions` are applied at once, in order."""

    table: int
    priority: int
    match: Match = ()
    actions: tuple[Action, ...] = ()
    meter: int = 0
    metadata: int = 0
    goto: int | None = None

    @property
    def key(self) -> tuple[int, int, Match]:
        """What tells it from other rules of the switch (OpenFlow 1.3.5, section 5.2)."""
        return (self.table, self.priority, self.match)


class GroupKind(StrEnum):
    """Every bucket gets a copy (ALL), or the first live one gets the packet (FAILOVER)."""

    ALL = "all"
    FAILOVER = "ff"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Actions of a group on its own copy. `watch` is the port whose life is the bucket's; 0: it
    is always alive."""

    actions: tuple[Action, ...]
    watch: int = 0


@dataclass(frozen=True, kw_only=True)
class Group:
    """One entry of the group table."""

    id: int
    kind: GroupKind
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Drops what is over `kbps`, after a burst of `burst_kb` kilobits."""

    id: int
    kbps: int
    burst_kb: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything one switch is to hold."""

    rules: frozenset[Rule] = frozenset()
    groups: frozenset[Group] = frozenset()
    meters: frozenset[Meter] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Put:
    """Add the entry; one with its key or id is replaced, which no packet notices (`new` tells
    whether there was none: OpenFlow tells adding from modifying groups and meters)."""

    entry: Rule | Group | Meter
    new: bool = True


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Take the entry away."""

    entry: Rule | Group | Meter


Change = Put | Delete
