"""A guest as a value: what is kept of it in its domain, and what is made of a function for it."""

import ipaddress
import json
import math
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from umbel.compute import guest_start
from umbel.compute.hypervisors.iscsi import Lun
from umbel.compute.hypervisors.model import Hypervisor, NoGuestAddress
from umbel.compute.images.model import Image
from umbel.compute.model import Function, HealthCheck, Node, Readiness

_NAME_PREFIX = "umbel-"


@dataclass(frozen=True, kw_only=True)
class GuestRecord:
    """A function's guest. `ports` are fixed when it is started, for the guest has an address of its
    own. While it is copied, `moving_to` is the target node; at `left_at` something of a move that
    is over may be left. Its disk is `lun`, or a file. It holds no environment: that may be
    secret."""

    id: str
    owner: str
    description: str
    node: str
    image: str
    address: str
    vcpus: int = 1
    memory_mb: int = 128
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: Readiness = Readiness.PROBED
    health: HealthCheck | None = None
    started_s: float = 0.0
    is_ready: bool = False
    reason: str = ""
    moving_to: str = ""
    left_at: tuple[str, ...] = ()
    lun: Lun | None = None

    @property
    def domain(self) -> str:
        """Its domain's name."""
        return f"{_NAME_PREFIX}{self.id}"

    @property
    def uuid(self) -> str:
        """Always the same one for an id, so that two of them cannot be defined."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"umbel:guest:{self.id}"))

    @property
    def mac(self) -> str:
        """The Ethernet address: locally administered, with the IPv4 address in it. Switches know
        by it whose port is whose (network/switching/port_map.py)."""
        packed = ipaddress.IPv4Address(self.address).packed
        return ":".join(f"{byte:02x}" for byte in (0x52, 0x54, *packed))


_GUEST = TypeAdapter(GuestRecord)


def serialize(guest: GuestRecord) -> str:
    """The guest as text, in ASCII: XML has no way to write some characters."""
    return json.dumps(_GUEST.dump_python(guest, mode="json"))


def parse(text: str) -> GuestRecord | None:
    """The guest out of its text; None where it is none."""
    try:
        return _GUEST.validate_json(text)
    except ValueError:
        return None


def domain_name(function_id: str) -> str:
    """The name of the function's domain."""
    return f"{_NAME_PREFIX}{function_id}"


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who wants which function on which node, and since when (seconds since the epoch)."""

    owner: str
    function: Function
    node: Node
    now_s: float


def made(
    order: Order,
    image: Image,
    hypervisor: Hypervisor,
    last: GuestRecord | None,
    taken: Collection[str],
) -> GuestRecord:
    """The guest of a function; on the address and ports that its last one had, else on the first
    address not `taken`. Raises NoGuestAddress, and CannotRun where the node has too few ports."""
    function, described = order.function, order.function.description
    # One that was moved keeps its address, although that is of another hypervisor's range.
    subnet = hypervisor.network.subnet
    is_usable = last is not None and ipaddress.ip_address(last.address) in subnet
    had = last.address if last is not None and is_usable else ""
    ports = last.ports if last is not None else {}
    return GuestRecord(
        id=function.id,
        owner=order.owner,
        description=described.name,
        node=order.node.name,
        image=image.id,
        address=had or _free(hypervisor, taken),
        vcpus=max(1, math.ceil(described.resources.cores)),
        memory_mb=max(image.memory_mb, math.ceil(described.resources.memory_mb)),
        ports=guest_start.ports(function, order.node, ports),
        readiness=described.readiness,
        health=described.health,
        started_s=order.now_s,
    )


def _free(hypervisor: Hypervisor, taken: Collection[str]) -> str:
    for address in hypervisor.network.addresses():
        if address not in taken:
            return address
    raise NoGuestAddress(f"{hypervisor.name} has no address left for a guest", node=hypervisor.name)
