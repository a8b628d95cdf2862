"""The question of moves and its answer. Units: cores, MB, Mbit/s, W, s."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from umbel.kit.errors import Conflict, Invalid


class BadMoves(Invalid):
    """The nodes, the functions or a limit cannot be used."""

    code = "umbel.bad_moves"


class NoMoves(Conflict):
    """No choice of moves does what is asked for."""

    code = "umbel.no_moves"


class MoveGoal(StrEnum):
    """What the moves are for. Among the best ones, those of the fewest bytes are chosen."""

    DRAIN = "drain"  # nothing is left on the nodes that are to be empty
    BALANCE = "balance"  # the fullest node is as little full as possible
    POWER = "power"  # the nodes that are on need as little power as possible


@dataclass(frozen=True, kw_only=True)
class Host:
    """A node. One that is `closed` gets nothing, one that is `drained` keeps nothing either.
    Functions of nodes with the same `storage` find their disks there; `images` are the base images
    that a node has. `idle_w` is needed while anything runs there, `full_w` with all cores busy."""

    name: str
    cores: float
    memory_mb: float
    idle_w: float = 0.0
    full_w: float = 0.0
    closed: bool = False
    drained: bool = False
    storage: str = ""
    images: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class HostedFunction:
    """A running function. Its memory travels, and of its disk what the target has not: all of
    `disk_mb`, or `changed_mb` where the base image is there. A `pinned` one stays.
    `hosts`: where it may run, anywhere if empty. Its move may take `within_s`."""

    name: str
    host: str
    cores: float
    memory_mb: float
    disk_mb: float = 0.0
    changed_mb: float = 0.0
    image: str = ""
    pinned: bool = False
    hosts: frozenset[str] = frozenset()
    within_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class MoveProblem:
    """Nodes, functions, and what must hold after the moves: `apart` lists functions that must not
    share a node, `together` those that must. `mbps` is the free rate between two nodes, `rate_mbps`
    where it names none."""

    hosts: tuple[Host, ...]
    functions: tuple[HostedFunction, ...]
    goal: MoveGoal = MoveGoal.BALANCE
    apart: tuple[frozenset[str], ...] = ()
    together: tuple[frozenset[str], ...] = ()
    mbps: Mapping[tuple[str, str], float] = field(default_factory=dict)
    rate_mbps: float = 1000.0
    most_moves: int | None = None
    most_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """One step: `mb` travel, in `seconds` at the free rate."""

    function: str
    source: str
    target: str
    mb: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the nodes are used: the largest share of cores or memory of one node, and all power."""

    fullest: float
    watts: float
    used: Mapping[str, tuple[float, float]]
    """Cores and memory in MB, by node."""


@dataclass(frozen=True, kw_only=True)
class MovePlan:
    """The moves in an order in which each target has room when its turn comes. `bound`: no choice
    has a better objective (fullest share, W, or MB), and `objective` is what this one has."""

    moves: tuple[Move, ...]
    before: Standing
    after: Standing
    objective: float
    bound: float
    run_s: float

    @property
    def mb(self) -> float:
        """What travels in all."""
        return sum(move.mb for move in self.moves)

    @property
    def gap(self) -> float:
        """How far the objective may be from the best, as a share of it."""
        return max(0.0, self.objective - self.bound) / max(abs(self.objective), 1e-9)


@dataclass(frozen=True, kw_only=True)
class MoveEffort:
    """When to be content: seconds of solving, and how far from the best, as a share of it."""

    time_s: float = 5.0
    gap_share: float = 0.01


def travelling_mb(function: HostedFunction, source: Host, target: Host) -> float:
    """What a move sends: memory, and the part of the disk that the target has not."""
    if source.name == target.name:
        return 0.0
    if source.storage and source.storage == target.storage:
        return function.memory_mb
    has_base = bool(function.image) and function.image in target.images
    return function.memory_mb + (function.changed_mb if has_base else function.disk_mb)
