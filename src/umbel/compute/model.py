"""The values of compute: nodes, functions (VNFs), what runs them, and their life cycles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from umbel.kit.errors import NotFound
from umbel.kit.states import Table


class NoSuchNode(NotFound):
    """There is no node of this name."""

    code = "umbel.no_such_node"


class NodeKind(Enum):
    """Where a node stands in the operator's network."""

    PROVIDER_EDGE = "provider-edge"
    CORE = "core"


class FunctionState(Enum):
    """The state of a function."""

    ABSENT = "absent"
    BOOTING = "booting"
    ACTIVE = "active"
    FAILED = "failed"
    GONE = "gone"


class FunctionEvent(Enum):
    """What can happen to a function."""

    START = "start"
    READY = "ready"
    FAIL = "fail"
    STOP = "stop"


LIFE_CYCLE = Table[FunctionState, FunctionEvent](
    {
        (FunctionState.ABSENT, FunctionEvent.START): FunctionState.BOOTING,
        (FunctionState.BOOTING, FunctionEvent.READY): FunctionState.ACTIVE,
        (FunctionState.BOOTING, FunctionEvent.FAIL): FunctionState.FAILED,
        (FunctionState.BOOTING, FunctionEvent.STOP): FunctionState.GONE,
        (FunctionState.ACTIVE, FunctionEvent.FAIL): FunctionState.FAILED,
        (FunctionState.ACTIVE, FunctionEvent.STOP): FunctionState.GONE,
        (FunctionState.FAILED, FunctionEvent.START): FunctionState.BOOTING,
        (FunctionState.FAILED, FunctionEvent.STOP): FunctionState.GONE,
    }
)


class NodeState(Enum):
    """Whether a node may run functions."""

    ACTIVE = "active"
    DRAINING = "draining"  # takes nothing new; goes to standby when its last function is gone
    STANDBY = "standby"
    WAKING = "waking"


class NodeEvent(Enum):
    """What can happen to a node's state."""

    RELEASE = "release"  # it is to rest
    EMPTIED = "emptied"  # nothing runs there any more
    CLAIM = "claim"  # it is needed
    WOKEN = "woken"  # it has had the time to wake


NODE_LIFE = Table[NodeState, NodeEvent](
    {
        (NodeState.ACTIVE, NodeEvent.RELEASE): NodeState.DRAINING,
        (NodeState.DRAINING, NodeEvent.EMPTIED): NodeState.STANDBY,
        (NodeState.DRAINING, NodeEvent.CLAIM): NodeState.ACTIVE,
        (NodeState.STANDBY, NodeEvent.CLAIM): NodeState.WAKING,
        (NodeState.WAKING, NodeEvent.WOKEN): NodeState.ACTIVE,
        (NodeState.WAKING, NodeEvent.RELEASE): NodeState.STANDBY,
    }
)


class Scheduling(Enum):
    """Whether functions may be placed on a node, as its operator wants it."""

    OPEN = "open"
    CORDONED = "cordoned"  # nothing new is placed there
    DRAINING = "draining"  # and what is there moves away


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An amount of what a node has: CPU cores, memory in MiB, and Mbit/s sent."""

    cores: float = 0.0
    memory_mb: float = 0.0
    mbps: float = 0.0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            cores=self.cores + other.cores,
            memory_mb=self.memory_mb + other.memory_mb,
            mbps=self.mbps + other.mbps,
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            cores=self.cores - other.cores,
            memory_mb=self.memory_mb - other.memory_mb,
            mbps=self.mbps - other.mbps,
        )

    def fits(self, room: "Resources") -> bool:
        """Whether `room` has at least this much of each."""
        return (
            self.cores <= room.cores and self.memory_mb <= room.memory_mb and self.mbps <= room.mbps
        )

    def or_none(self) -> "Resources":
        """The same, with 0 in place of what is negative."""
        return Resources(
            cores=max(0.0, self.cores),
            memory_mb=max(0.0, self.memory_mb),
            mbps=max(0.0, self.mbps),
        )


@dataclass(frozen=True, kw_only=True)
class HostUsage:
    """What all that runs on a machine uses of it, functions included: CPU cores and memory in MiB.
    `host` names the machine: several nodes may be on one."""

    host: str
    cores: float
    memory_mb: float
    cores_used: float = 0.0
    memory_used_mb: float = 0.0


DEFAULT_POOL = "default"
"""The pool of a node that names none."""


@dataclass(frozen=True, kw_only=True)
class PowerDraw:
    """What a machine draws in watts, as its operator measured it: when no function runs there, when
    all its cores are busy, and in standby (None: as when idle)."""

    idle: float
    busy: float
    standby: float | None = None

    def at(self, share: float, *, is_resting: bool = False) -> float:
        """Watts at a share of its cores in use (0 to 1)."""
        if is_resting and self.standby is not None:
            return self.standby
        return self.idle + (self.busy - self.idle) * min(1.0, share)


@dataclass(frozen=True, kw_only=True)
class Node:
    """An edge or core machine that can run functions.

    `cores`, `memory_mb` (MiB) and `mbps` (what its functions may send in all) are what the
    operator allots to functions. `address` is its own; `prefixes` are the client networks it
    gives access to (CIDR). The VIM of its `pool` runs its functions, which listen on `ports` (first
    and last) alone; None: on any. `watts` is what it draws, where the operator measured it.
    """

    name: str
    kind: NodeKind
    address: str
    cores: float = 1.0
    memory_mb: float = 2048.0
    mbps: float = 1000.0
    prefixes: tuple[str, ...] = ()
    pool: str = DEFAULT_POOL
    ports: tuple[int, int] | None = None
    watts: PowerDraw | None = None

    @property
    def capacity(self) -> Resources:
        """What functions may use of it."""
        return Resources(cores=self.cores, memory_mb=self.memory_mb, mbps=self.mbps)


@dataclass(frozen=True, kw_only=True)
class ScheduledNode:
    """A node and what its operator wants of it. A draining node is to be empty by `evict_at_s`
    (seconds since the epoch): what is left there then is ended. None: no deadline."""

    node: Node
    scheduling: Scheduling = Scheduling.OPEN
    evict_at_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The nodes, and the one where clients enter whose address is in no node's prefixes."""

    nodes: tuple[Node, ...]
    default_access: str = ""
    pools: Mapping[str, "VimKind"] = field(default_factory=dict)


class VimKind(Enum):
    """The technology that runs a pool's functions."""

    PROCESS = "process"
    HOSTS = "hosts"  # the operator's own machines, over SSH
    LIBVIRT = "libvirt"  # guests of hypervisors
    KUBERNETES = "kubernetes"  # pods on nodes of clusters
    OPENSTACK = "openstack"  # servers in projects of clouds
    FAKE = "fake"  # in memory, for trying a network out: no function carries anything


class Transport(Enum):
    """The transport protocol of a port."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port that a function listens on. `number` 0: any free one."""

    name: str
    transport: Transport = Transport.TCP
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """A liveness probe of the TCP port `port`: HTTP GET of `path` is answered with status 200;
    with an empty path a connection is accepted."""

    port: str
    path: str = ""


class Readiness(Enum):
    """How it is known that a started function is ready."""

    REPORTED = "reported"  # it writes {ready_file}: JSON with its `pid` and `ports` by name
    PROBED = "probed"  # it passes its health check; without one, it runs


class Reservation(Enum):
    """How long a function's resources are promised to it."""

    UNTIL_MEASURED = "until-measured"  # while it starts; then it counts with what it uses
    ALWAYS = "always"  # also while it uses less


class MoveKind(Enum):
    """How a running function's state reaches the other node."""

    SHARED_STORAGE = "shared-storage"  # its disk is reachable from both nodes
    FULL_TRANSFER = "full-transfer"  # its disk is copied too


@dataclass(frozen=True, kw_only=True)
class Move:
    """A running function is being copied from one node to another, or was a moment ago."""

    source: str
    target: str
    is_copying: bool


@dataclass(frozen=True, kw_only=True)
class MoveProgress:
    """How much of a running function's state has reached the other node, of how much (MiB, of which
    `disk_mb` of its disk), at which rate, and how fast it writes its memory; None: it is not
    known."""

    copied_mb: float
    total_mb: float
    disk_mb: float = 0.0
    mbps: float | None = None
    dirty_mbps: float | None = None


@dataclass(frozen=True, kw_only=True)
class MoveResult:
    """What a move cost: MiB that were copied, of which `disk_mb` of the function's disk and what
    that is based on, and seconds in which the function did not run; None: it is not known."""

    copied_mb: float
    disk_mb: float = 0.0
    gap_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Description:
    """A kind of function: what is started, and what it needs (ETSI: VNFD).

    Exactly one of `image` and `command` is given; a VIM refuses what it cannot start. The words of
    `command` and the values of `environment` may contain `{id}`, `{node}`, `{address}`,
    `{ready_file}` and `{ports[NAME]}`; the last is 0 for a port that a function with REPORTED
    readiness never had.
    """

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    resources: Resources = Resources()
    reservation: Reservation = Reservation.ALWAYS
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    readiness: Readiness = Readiness.PROBED
    health: HealthCheck | None = None


@dataclass(frozen=True, kw_only=True)
class Function:
    """A wanted function: one process, container or guest of a description on a node.

    `environment` is added to the description's, for what differs by function, such as a secret.
    """

    id: str
    node: str
    description: Description
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A function as observed on its node.

    `owner` is who wanted it, `description` the name of its description; `ports` are what it
    listens on by name, empty unless ACTIVE; `started_s` is seconds since the epoch; cpu_cores is
    CPU used over the last sampling period (1.0 = one core), rss_mb resident memory in MiB;
    `reason` is why it failed. `is_suspended`: it is a guest whose processors an operator stopped.
    """

    id: str
    owner: str
    description: str
    node: str
    state: FunctionState
    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    started_s: float = 0.0
    cpu_cores: float = 0.0
    rss_mb: float = 0.0
    reason: str = ""
    is_suspended: bool = False


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A guest's memory and disk as they were at `taken_s`, seconds since the epoch."""

    name: str
    taken_s: float
