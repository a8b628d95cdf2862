"""What happens in the network, for its watchers: values only, each with its kind's name.

In: what the fabric sees of switches, ports and links, and what compute sees of functions. Out:
Watchers get every event once, in order; `body` is an event's fields as JSON.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class SwitchUp:
    """A node's switch connected and can be programmed."""

    kind: ClassVar[str] = "switch_up"
    node: str
    datapath_id: int


@dataclass(frozen=True, kw_only=True)
class SwitchDown:
    """Its connection is gone; it keeps what it holds."""

    kind: ClassVar[str] = "switch_down"
    node: str
    datapath_id: int


@dataclass(frozen=True, kw_only=True)
class PortAdded:
    """A node's switch has a new port."""

    kind: ClassVar[str] = "port_added"
    node: str
    port: int
    name: str


@dataclass(frozen=True, kw_only=True)
class PortRemoved:
    """A node's switch has that port no longer."""

    kind: ClassVar[str] = "port_removed"
    node: str
    port: int
    name: str


@dataclass(frozen=True, kw_only=True)
class FunctionAppeared:
    """A function runs on a node now: it started or moved there."""

    kind: ClassVar[str] = "function_appeared"
    node: str
    function: str
    role: str


@dataclass(frozen=True, kw_only=True)
class FunctionLeft:
    """A function runs on a node no longer: it stopped, died or moved away."""

    kind: ClassVar[str] = "function_left"
    node: str
    function: str
    role: str


@dataclass(frozen=True, kw_only=True)
class LinkUp:
    """Packets can go between two nodes, whose names are in alphabetical order."""

    kind: ClassVar[str] = "link_up"
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class LinkDown:
    """No packets go between two nodes, whose names are in alphabetical order."""

    kind: ClassVar[str] = "link_down"
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class PathChanged:
    """A stream goes another way: `links` as (from, to), nearer the root first; none when it is
    carried no longer. `error` tells why it is not carried as it should be; empty: it is."""

    kind: ClassVar[str] = "path_changed"
    stream: str
    links: tuple[tuple[str, str], ...] = ()
    error: str = ""


Event = (
    SwitchUp
    | SwitchDown
    | PortAdded
    | PortRemoved
    | FunctionAppeared
    | FunctionLeft
    | LinkUp
    | LinkDown
    | PathChanged
)

KINDS: tuple[str, ...] = (
    SwitchUp.kind,
    SwitchDown.kind,
    PortAdded.kind,
    PortRemoved.kind,
    FunctionAppeared.kind,
    FunctionLeft.kind,
    LinkUp.kind,
    LinkDown.kind,
    PathChanged.kind,
)
"""Every kind's name, in the order of the list above."""

Watcher = Callable[[Event], None]
"""Called with each event, in order, on the event loop; it must not block."""


def subject(event: Event) -> str:
    """What an event is about: a node, a link as `a-b`, or a stream."""
    if isinstance(event, LinkUp | LinkDown):
        return f"{event.a}-{event.b}"
    return event.stream if isinstance(event, PathChanged) else event.node


def body(event: Event) -> Mapping[str, object]:
    """An event's fields, without its kind, as JSON takes them."""
    return asdict(event)
