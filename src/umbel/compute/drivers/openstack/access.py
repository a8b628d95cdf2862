"""Looks a project of a cloud over before its node is added, and clears it when that goes.

In: a node. Out: facts, or all that is wrong at once: services, a flavour, a network, a zone, quota
or rights that are missing.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from umbel.compute.clouds.model import CloudFacts, CloudNode, CloudNodeInUse, CloudNodeUnfit
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.find import look_up
from umbel.compute.ports import CannotRun
from umbel.kit.errors import UmbelError

if TYPE_CHECKING:
    from openstack.connection import Connection

    from umbel.compute.drivers.openstack.client import CloudClient
    from umbel.compute.drivers.openstack.project import Project

_SERVICES = ("compute", "image", "network")


class OpenStackAccess:
    """Reaches clouds through openstacksdk, which is loaded then."""

    def __init__(self, around: CloudContext) -> None:
        self._around = around

    async def look_over(self, there: CloudNode) -> CloudFacts:
        """What the cloud says of the project; an address is kept there for the node. Raises
        CloudUnreachable, CloudDenied, CloudFailed and CloudNodeUnfit."""
        async with self._connected(there) as (client, project):
            problems = await client.call(lambda to: list(_missing_services(to, there)))
            for look in () if problems else _LOOKS:
                problems += await self._found(client, there, look)
            problems += self._image_problems()
            address = "" if problems else await self._tried(project, problems)
            if problems:
                message = f"{there.name} cannot run functions: {'; '.join(problems)}"
                raise CloudNodeUnfit(message, problems=problems)
            return await client.call(lambda to: _facts(to, there, address))

    async def clear(self, there: CloudNode) -> None:
        """Leave nothing of ours there. Raises CloudNodeInUse while functions are there."""
        async with self._connected(there) as (_, project):
            if found := await project.servers():
                message = f"{there.name} still has functions: {', '.join(sorted(found))}"
                raise CloudNodeInUse(message, node=there.name)
            await project.clear()

    async def _found(
        self,
        client: "CloudClient",
        there: CloudNode,
        look: "Callable[[Connection, CloudNode], Iterator[str]]",
    ) -> list[str]:
        """What is missing, of one kind; a right to ask may be, too."""
        try:
            return await client.call(lambda to: list(look(to, there)))
        except UmbelError as error:
            return [error.message]

    def _image_problems(self) -> list[str]:
        if self._around.images.list():
            return []
        return ["there is no image of guests here: umbel image build media"]

    async def _tried(self, project: "Project", problems: list[str]) -> str:
        """The address that is kept for the node. What cannot be made is a problem, and nothing is
        left."""
        try:
            await project.try_image()
            await project.ensure_group(None)
            return await project.keep_address()
        except UmbelError as error:
            problems.append(error.message)
            await project.clear()
        return ""

    @asynccontextmanager
    async def _connected(self, there: CloudNode) -> "AsyncIterator[tuple[CloudClient, Project]]":
        try:
            from umbel.compute.drivers.openstack.client import CloudClient  # noqa: PLC0415
            from umbel.compute.drivers.openstack.project import Project  # noqa: PLC0415
        except ImportError as error:
            message = f"{there.name} needs openstacksdk: install umbel[openstack] ({error})"
            raise CannotRun(message, node=there.name) from error
        client = CloudClient(there, self._around.limits.call_s)
        try:
            yield client, Project(client, there, self._around)
        finally:
            await client.close()


def _missing_services(to: "Connection", there: CloudNode) -> Iterator[str]:
    region, interface = there.credentials.region or None, there.credentials.interface
    for service in _SERVICES:
        at = to.session.get_endpoint(service_type=service, region_name=region, interface=interface)
        if not at:
            where = f" in the region {region}" if region else ""
            yield f"the cloud has no {interface} {service} service{where}"


def _flavor_problems(to: "Connection", there: CloudNode) -> Iterator[str]:
    if look_up(to.compute.find_flavor, there.flavor) is None:
        known = ", ".join(sorted(one.name for one in to.compute.flavors())[:20])
        yield f"there is no flavour {there.flavor}; there are {known or 'none'}"


def _network_problems(to: "Connection", there: CloudNode) -> Iterator[str]:
    network = look_up(to.network.find_network, there.network)
    if network is None:
        known = ", ".join(sorted(one.name for one in to.network.networks())[:20])
        yield f"there is no network {there.network}; there are {known or 'none'}"
    elif not any(one.ip_version == 4 for one in to.network.subnets(network_id=network.id)):
        yield f"the network {there.network} has no subnet of IPv4"
    if there.external:
        external = look_up(to.network.find_network, there.external)
        if external is None or not external.is_router_external:
            yield f"{there.external} is no external network that this project sees"


def _place_problems(to: "Connection", there: CloudNode) -> Iterator[str]:
    if there.zone:
        zones = {one.name for one in to.compute.availability_zones() if one.state["available"]}
        if there.zone not in zones:
            yield f"there is no zone {there.zone} that is available; there are {', '.join(zones)}"
    if there.machine:
        machines = {one.name for one in to.compute.hypervisors()}
        if there.machine not in machines:
            yield f"there is no hypervisor {there.machine}; there are {', '.join(machines)}"


def _quota_problems(to: "Connection", there: CloudNode) -> Iterator[str]:
    left = _left(to)
    for what, count in left.items():
        if count <= 0:
            yield f"the project has used its quota of {what}"


_LOOKS = (_flavor_problems, _network_problems, _place_problems, _quota_problems)
_NO_LIMIT = float("inf")
_MOST = {"servers": "maxTotalInstances", "cores": "maxTotalCores", "memory": "maxTotalRAMSize"}
_USED = {"servers": "totalInstancesUsed", "cores": "totalCoresUsed", "memory": "totalRAMUsed"}


def _left(to: "Connection") -> dict[str, float]:
    """How much is left of the project's quota of each kind."""
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 -- as client.py

    # The library's own decoding warns of fields that nobody asked for.
    answer = to.compute.get("/limits")
    raise_from_response(answer)
    limits = answer.json()["limits"]["absolute"]

    def left(kind: str) -> float:
        most, used = limits.get(_MOST[kind], -1), limits.get(_USED[kind], 0)
        return _NO_LIMIT if most < 0 else most - used

    return {kind: left(kind) for kind in _MOST}


def _facts(to: "Connection", there: CloudNode, address: str) -> CloudFacts:
    """What is left of the quota; where there is no limit, as much as of one server."""
    left, flavor = _left(to), look_up(to.compute.find_flavor, there.flavor)
    most = left["servers"] if left["servers"] < _NO_LIMIT else 1
    cores = min(left["cores"], most * flavor.vcpus)
    memory_mb = min(left["memory"], most * flavor.ram)
    version = to.session.get_endpoint_data(
        service_type="compute", region_name=there.credentials.region or None
    )
    newest = version.max_microversion if version is not None else None
    return CloudFacts(
        version=".".join(map(str, newest)) if newest else "",
        address=address,
        cores=float(cores),
        memory_mb=int(memory_mb),
    )
