"""What compute talks about: nodes, functions (VNFs) and their life cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from umbel.kit.states import Table


class Role(Enum):
    """What a function is for."""

    ACQUIRER = "acquirer"
    FORWARDER = "forwarder"
    TRANSCODER = "transcoder"
    EDGE = "edge"


class NodeKind(Enum):
    """Where a node stands in the operator's network."""

    PROVIDER_EDGE = "provider-edge"
    CORE = "core"


class FunctionState(Enum):
    """Where a function is in its life."""

    ABSENT = "absent"
    BOOTING = "booting"
    ACTIVE = "active"
    FAILED = "failed"
    GONE = "gone"


class FunctionEvent(Enum):
    """What can happen to a function."""

    SPAWN = "spawn"
    READY = "ready"
    FAIL = "fail"
    TERMINATE = "terminate"


LIFE_CYCLE = Table[FunctionState, FunctionEvent](
    {
        (FunctionState.ABSENT, FunctionEvent.SPAWN): FunctionState.BOOTING,
        (FunctionState.BOOTING, FunctionEvent.READY): FunctionState.ACTIVE,
        (FunctionState.BOOTING, FunctionEvent.FAIL): FunctionState.FAILED,
        (FunctionState.BOOTING, FunctionEvent.TERMINATE): FunctionState.GONE,
        (FunctionState.ACTIVE, FunctionEvent.FAIL): FunctionState.FAILED,
        (FunctionState.ACTIVE, FunctionEvent.TERMINATE): FunctionState.GONE,
        (FunctionState.FAILED, FunctionEvent.SPAWN): FunctionState.BOOTING,
        (FunctionState.FAILED, FunctionEvent.TERMINATE): FunctionState.GONE,
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


@dataclass(frozen=True, kw_only=True)
class Node:
    """An edge or core machine that can run functions.

    `cores` CPU cores, `memory_mb` MiB and `mbps` (what its functions may send in all) are what
    the operator allots to functions. `address` is its own; `prefixes` are the client networks it
    gives access to (CIDR).
    """

    name: str
    kind: NodeKind
    address: str
    cores: float = 1.0
    memory_mb: float = 2048.0
    mbps: float = 1000.0
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Function:
    """A wanted function: one media server process (or guest) of a role on a node."""

    id: str
    role: Role
    node: str


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A function as observed on its node.

    `ports` names what it listens on (`control`, `http`, `udp`, `rtmp`), empty unless ACTIVE;
    `started_s` is seconds since the epoch; cpu_cores is CPU used over the last sampling period
    (1.0 = one core), rss_mb resident memory in MiB; `reason` is why it failed.
    """

    id: str
    role: Role
    node: str
    state: FunctionState
    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    started_s: float = 0.0
    cpu_cores: float = 0.0
    rss_mb: float = 0.0
    reason: str = ""
