"""What the plan in force tells the policies: which nodes rest, its units, its power model. Pure.

The smallest node counts as one server. A vCPU is a twelfth of it: of its CPU or of what it may
send, whichever is short. `steering` makes it from the planner's answers; policies read it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from umbel.compute.model import Node, NodeKind, NodeState
from umbel.planner import presets
from umbel.planner.admission import Guide
from umbel.planner.problem import Resolution
from umbel.planner.result import Plan

VCPUS_PER_SERVER = 12


POWER = presets.PAPER_POWER


_WHOLE = 1e-9


_HEIGHTS = ((360, Resolution.R360), (720, Resolution.R720), (1080, Resolution.R1080))


Watch = tuple[str, str, str]
"""Stream, access node, and the node that serves (empty: none)."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """What one vCPU of the planner stands for: CPU cores, and Mbit/s sent."""

    cores: float
    mbps: float

    def vcpus(self, cores: float, mbps: float) -> float:
        """How many vCPUs a use of both resources counts as."""
        return max(cores / self.cores, mbps / self.mbps)

    def room(self, cores: float, mbps: float) -> float:
        """How many vCPUs are free where so much of both resources is."""
        return min(cores / self.cores, mbps / self.mbps)


@dataclass(frozen=True, kw_only=True)
class Steering:
    """The plan in force: what Algorithm 2 reads of it, what rests by it, and its units."""

    plan: Plan
    guide: Guide
    resting: frozenset[str]
    units: Units
    resolution: Mapping[str, Resolution] = field(default_factory=dict)


def resolution_of(height: int) -> Resolution:
    """The resolution that a picture's height counts as; of an unknown one (0), 720p."""
    if height <= 0:
        return Resolution.R720
    return next((r for most, r in _HEIGHTS if height <= most), Resolution.R2160)


def units_of(nodes: Collection[Node]) -> Units:
    """A twelfth of the smallest node's CPU, and of the least that a node may send."""
    return Units(
        cores=min(node.cores for node in nodes) / VCPUS_PER_SERVER,
        mbps=min(node.mbps for node in nodes) / VCPUS_PER_SERVER,
    )


def servers_of(node: Node, units: Units) -> int:
    """How many servers a node counts as."""
    return max(1, int(units.room(node.cores, node.mbps) / VCPUS_PER_SERVER + _WHOLE))


def watts(node: Node, units: Units, state: NodeState, used_vcpus: float) -> float:
    """What a node draws by the power model (1c, 1d). An access node at rest still switches and
    routes for its clients; a core node at rest is bypassed."""
    network_w = POWER.switch_w + POWER.router_w
    if state is NodeState.STANDBY:
        return network_w if node.kind is NodeKind.PROVIDER_EDGE else 0.0
    return network_w + POWER.server_w * servers_of(node, units) + POWER.vcpu_w * used_vcpus
