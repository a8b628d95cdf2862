"""What there really is at one moment, in plain values: the checkers' only input.

In: `world.World.snapshot`. Out: a Snapshot. No type of the product appears here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One function of a wanted tree; the root has no parent."""

    function: str
    role: str
    node: str
    parent: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """A viewer's stored right to watch."""

    id: str
    stream: str
    function: str
    node: str


@dataclass(frozen=True, kw_only=True)
class Process:
    """A function's process on a node; a dead one is not alive, a booting one is."""

    function: str
    node: str
    role: str
    is_alive: bool
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a function does with a stream: where it takes it, where it sends it, Mbit/s in."""

    role: str
    address: str
    port: int
    targets: frozenset[tuple[str, int]]
    mbps: float
    viewers: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a node has: cores, MiB, Mbit/s."""

    cores: float
    memory_mb: float
    mbps: float


@dataclass(frozen=True, kw_only=True)
class Held:
    """A session that the API acknowledged and whose viewer has not left."""

    id: str
    viewer: str
    stream: str
    function: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything, at `now_s`."""

    now_s: float
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By stream, and for the `fleet` of functions: the control planes that act as its owner."""
    processes: tuple[Process, ...] = ()
    trees: Mapping[str, tuple[Branch, ...]] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    """By event: its state as stored."""
    carried: Mapping[str, Mapping[str, Carried]] = field(default_factory=dict)
    """By function that is alive, by stream."""
    wired: frozenset[str] = frozenset()
    """The streams that the network carries."""
    rooms: Mapping[str, Room] = field(default_factory=dict)
    standby: frozenset[str] = frozenset()
    """The nodes that the fleet's owner has in standby."""
    held: Mapping[str, Held] = field(default_factory=dict)
    publishing: frozenset[str] = frozenset()
    """The events whose encoder pushes now."""
    over: frozenset[str] = frozenset()
    """The events of which the API acknowledged the end."""
    ends_s: Mapping[str, float] = field(default_factory=dict)
    """By event that the API acknowledged: when it is to end."""
    pushed: frozenset[str] = frozenset()
    """The events whose encoders should be pushing."""
    waiting: tuple[str, ...] = ()
    """Viewers who want in and hold no session."""
    costs: Mapping[str, Room] = field(default_factory=dict)
    """By role: what a function takes of its node."""
    viewer_cores: float = 0.0
    mbps: Mapping[str, float] = field(default_factory=dict)
    """By stream: its rate once it flows."""
    violations: tuple[str, ...] = ()
    """Steps for a stream, or for the fleet, by a control plane while another owned it."""
    crashes: tuple[str, ...] = ()
    """Errors that nobody expected."""

    def event_of(self, stream: str) -> str:
        """The event to which a stream belongs."""
        return stream.partition("-")[0]

    def is_over(self, stream: str) -> bool:
        """Whether the stream's event has ended."""
        return self.events.get(self.event_of(stream), "ended") in ("ended", "cancelled")
