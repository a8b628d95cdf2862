"""What an OpenFlow fabric is told when it is made. Values, and the shapes of what it calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from umbel.network.overlay.links import Pace
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.ports import Switchboard
from umbel.network.switching.program import Program
from umbel.network.switching.signals import Admit, Tell
from umbel.network.topology.wiring import Cable

Weave = Callable[[Mapping[str, Plugs]], Mapping[str, Program]]
"""What switches are to hold besides streams' rules, by node, told how they are plugged."""


class MakeBoard(Protocol):
    """What makes the switchboard: the controller's class."""

    def __call__(self, tell: Tell, *, admit: Admit) -> Switchboard: ...


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Where switches find the controller, what tunnels are like, and how long things are waited
    for: all switches at the start, owners of what switches hold, a database that fails, and packets
    that are on a way which is to go."""

    host: str
    port: int = 6653
    cable: Cable = field(default_factory=Cable)
    pace: Pace = field(default_factory=Pace)
    settle_s: float = 3.0
    adopt_s: float = 30.0
    retry_s: float = 1.0
    drain_s: float = 0.2
