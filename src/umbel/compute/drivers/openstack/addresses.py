"""The ports of functions in a cloud's network, and the floating addresses of these.

In: names. Out: ports, addresses. A port's description says which node's it is, and who is just
making a server with it: two servers with one port would take it from each other.
"""

import secrets
from typing import TYPE_CHECKING, Any

from umbel.compute.clouds.model import CloudNode, CloudUnreachable
from umbel.compute.drivers.openstack.find import look_up
from umbel.compute.drivers.openstack.servers import PortAddress
from umbel.compute.ports import CannotRun

if TYPE_CHECKING:
    from openstack.connection import Connection


def _network(to: "Connection", there: CloudNode) -> Any:
    found = look_up(to.network.find_network, there.network)
    if found is None:
        raise CannotRun(f"{there.name}: there is no network {there.network}", node=there.name)
    return found


def ensure(
    to: "Connection", there: CloudNode, name: str, group: str, *, is_reached: bool = True
) -> tuple[Any, PortAddress]:
    """The port of that name with the security group `group`, and its address: a floating one, too,
    where it `is_reached` from elsewhere. Raises CannotRun."""
    network = _network(to, there)
    known = look_up(to.network.find_security_group, group)
    groups = [known.id] if known is not None else []
    ours: dict[str, Any] = {"description": group}
    if network.is_port_security_enabled:
        ours["security_groups"] = groups
    port = next(iter(to.network.ports(name=name, network_id=network.id)), None)
    if port is None:
        port = to.network.create_port(name=name, network_id=network.id, **ours)
    elif owner(port) != group:  # its address was reserved, or it was of another node
        port = to.network.update_port(port.id, **ours)
    address, subnet = _address(to, there, port)
    public = _floating(to, there, port.id) if is_reached and there.external else ""
    prefix = int(subnet.cidr.partition("/")[2])
    at = PortAddress(
        address=address, prefix=prefix, gateway=subnet.gateway_ip or "", public_address=public
    )
    return port, at


def _address(to: "Connection", there: CloudNode, port: Any) -> tuple[str, Any]:
    for fixed in port.fixed_ips or ():
        subnet = to.network.get_subnet(fixed["subnet_id"])
        if subnet.ip_version == 4:
            return fixed["ip_address"], subnet
    message = f"{there.name}: the network {there.network} gives no IPv4 address"
    raise CannotRun(message, node=there.name)


def _floating(to: "Connection", there: CloudNode, port_id: str) -> str:
    had = next(iter(to.network.ips(port_id=port_id)), None)
    if had is None:
        external = look_up(to.network.find_network, there.external)
        if external is None:
            message = f"{there.name}: there is no network {there.external}"
            raise CannotRun(message, node=there.name)
        had = to.network.create_ip(floating_network_id=external.id, port_id=port_id)
    return str(had.floating_ip_address)


def remove(to: "Connection", name: str) -> None:
    """Leave no port of that name, and no floating address of it."""
    for port in to.network.ports(name=name):
        for floating in to.network.ips(port_id=port.id):
            to.network.delete_ip(floating.id)
        to.network.delete_port(port.id)


def owner(port: Any) -> str:
    """The mark of the node that the port is of."""
    return str(port.description or "").partition(" ")[0]


def claimed(port: Any) -> bool:
    """Whether somebody is making a server with the port, or died before it was there."""
    return " " in str(port.description or "")


def claim(to: "Connection", port: Any, node: str) -> Any:
    """Say that a server is being made with the port. Raises CloudUnreachable where somebody else
    was faster."""
    from openstack.exceptions import PreconditionFailedException  # noqa: PLC0415 -- as client.py

    description = f"{owner(port)} {secrets.token_hex(4)}"
    seen = port.revision_number
    try:
        return to.network.update_port(port.id, if_revision=seen, description=description)
    except PreconditionFailedException as error:
        raise taken(node) from error


def release(to: "Connection", port: Any) -> None:
    """The server is there, or is not made."""
    to.network.update_port(port.id, description=owner(port))


def taken(node: str) -> CloudUnreachable:
    """Somebody else makes the function's server."""
    message = f"{node}: another control plane is starting the function there; it is tried again"
    return CloudUnreachable(message, node=node)
