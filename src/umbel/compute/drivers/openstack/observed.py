"""What a cloud shows of a function's server, in our words. Pure.

In: a server as the client library decoded it. Out: whether it runs, and one reason where it failed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from umbel.compute.drivers.openstack import servers
from umbel.compute.drivers.openstack.servers import ENDED, REASON, ServerRecord
from umbel.compute.model import FunctionState

_MOST_TEXT = 300
_OFF = {"SHUTOFF", "ERROR", "DELETED", "SOFT_DELETED", "SHELVED", "SHELVED_OFFLOADED"}
_HELD = {"PAUSED", "SUSPENDED", "UNKNOWN", "RESCUE"}
_SUSPENDED = {"PAUSED", "SUSPENDED"}
SWITCHED_OFF = "its cloud switched its server off, or its guest crashed"


class ServerPower(Enum):
    """Whether a server runs."""

    BUILDING = "building"
    ON = "on"
    HELD = "held"  # it does not run now, and may again
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class SeenServer:
    """A function's server as its cloud shows it. `server_id` tells it from an earlier one of the
    function; `machine` is its hypervisor, where the cloud says it. `is_explained`: the reason is
    the function's own, or was kept. `is_silent`: its hypervisor does not answer its cloud."""

    record: ServerRecord
    server_id: str
    made_at: str
    power: ServerPower
    reason: str = ""
    is_explained: bool = False
    is_suspended: bool = False
    is_silent: bool = False
    machine: str = ""
    status: str = ""

    @property
    def state(self) -> FunctionState:
        """The function's."""
        if self.power is ServerPower.OFF:
            return FunctionState.FAILED
        is_ready = self.record.is_ready and self.power is not ServerPower.BUILDING
        return FunctionState.ACTIVE if is_ready else FunctionState.BOOTING


def seen(server: Any) -> SeenServer | None:
    """The function's server; None for one without a record of ours."""
    metadata = server.metadata if isinstance(server.metadata, dict) else {}
    record = servers.parse(metadata)
    if record is None or not server.id:
        return None
    status = str(server.status or "")
    power = _power(status)
    kept = metadata.get(REASON) or ""
    found = ""
    if kept or power is ServerPower.OFF:
        power, found = ServerPower.OFF, kept or fault(server) or SWITCHED_OFF
    return SeenServer(
        record=record,
        server_id=server.id,
        made_at=str(server.created_at or ""),
        power=power,
        reason=found,
        is_explained=bool(kept) or found != SWITCHED_OFF,
        is_suspended=status in _SUSPENDED,
        is_silent=status == "UNKNOWN" or server.host_status in {"DOWN", "UNKNOWN"},
        machine=str(server.compute_host or ""),
        status=status,
    )


def _power(status: str) -> ServerPower:
    if status in {"BUILD", "REBUILD"}:
        return ServerPower.BUILDING
    if status in _OFF:
        return ServerPower.OFF
    return ServerPower.HELD if status in _HELD else ServerPower.ON


def fault(server: Any) -> str:
    """Why the cloud could not start a server, as it says; empty where it says nothing."""
    found = server.fault if isinstance(server.fault, dict) else {}
    said = found.get("message")
    text = " ".join(said.split())[:_MOST_TEXT] if isinstance(said, str) else ""
    if "No valid host" in text:
        return f"its cloud has no room for it: {text}"
    return f"its cloud could not start it: {text}" if text else ""


def ended(console: str) -> str:
    """How the function ended, as its guest says on its console; empty while it has not."""
    _, mark, rest = console.rpartition(ENDED)
    line = rest.splitlines()[0].strip() if mark and rest.strip() else ""
    return servers.reason(line)
