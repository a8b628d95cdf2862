"""What an OpenFlow fabric is made with. Values, and the shape of what it calls."""

from dataclasses import dataclass, field
from typing import Protocol

from umbel.network.overlay.liveness import LivenessTimers
from umbel.network.switching.ports import Switchboard
from umbel.network.switching.signals import Admit, Home, OnSwitchEvent
from umbel.network.topology.wiring import TunnelSettings


class MakeBoard(Protocol):
    """What makes the switchboard: the controller's class."""

    def __call__(
        self, on_switch_event: OnSwitchEvent, *, admit: Admit, home: Home
    ) -> Switchboard: ...


@dataclass(frozen=True, kw_only=True)
class OpenFlowSettings:
    """Where switches find the controller, what tunnels are like, and how long things are waited
    for: all switches at the start, owners of what switches hold, a database that fails, and packets
    that are on a way which is to go. With `routes_nodes` nodes' kernels
    send what is between access networks over the links."""

    host: str
    port: int = 6653
    tunnels: TunnelSettings = field(default_factory=TunnelSettings)
    liveness: LivenessTimers = field(default_factory=LivenessTimers)
    settle_s: float = 3.0
    adopt_s: float = 30.0
    retry_s: float = 1.0
    drain_s: float = 0.2
    routes_nodes: bool = False
