"""What a controller tells of switches, by datapath id, and how it refuses. Values only."""

from collections.abc import Callable
from dataclasses import dataclass

from umbel.kit.errors import Invalid, NotFound, Unavailable


class SwitchRefused(Invalid):
    """The switch refuses the change."""

    code = "umbel.switch_refused"


class SwitchGone(Unavailable):
    """The switch is not connected or did not answer in time."""

    code = "umbel.switch_gone"


class UnknownSwitch(NotFound):
    """No switch of that datapath id is connected."""

    code = "umbel.unknown_switch"


@dataclass(frozen=True, kw_only=True)
class Port:
    """A switch's port. `live` is what failover groups go by."""

    number: int
    name: str
    live: bool


@dataclass(frozen=True, kw_only=True)
class SwitchConnected:
    """The switch can be changed now."""

    dpid: int


@dataclass(frozen=True, kw_only=True)
class SwitchDisconnected:
    """Its connection is gone; it keeps what it holds."""

    dpid: int


@dataclass(frozen=True, kw_only=True)
class PortStatus:
    """A port came, went (then it is `gone` and not live) or changed its life."""

    dpid: int
    port: Port
    gone: bool = False


@dataclass(frozen=True, kw_only=True)
class PacketArrived:
    """A rule sent a packet up: the Ethernet frame, from its first byte."""

    dpid: int
    frame: bytes


SwitchEvent = SwitchConnected | SwitchDisconnected | PortStatus | PacketArrived
OnSwitchEvent = Callable[[SwitchEvent], None]
"""Called with each event, in order; it must not block."""

Admit = Callable[[int], bool]
"""Whether a switch of that datapath id is one of ours."""

Home = Callable[[int], str]
"""The address of the switch of that datapath id; empty where it is not known."""
