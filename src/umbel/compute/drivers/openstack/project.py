"""What is done in a project of a cloud for the functions of one node: servers, their ports and
floating addresses, the node's security group, and the guests' images.

In: functions. Out: what the cloud shows of them. Neighbours: client.py for threads and errors;
servers.py for what is asked.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from umbel.compute.clouds.model import CloudFailed, CloudNode, CloudUnreachable
from umbel.compute.drivers.openstack import addresses, glance, observed, servers
from umbel.compute.drivers.openstack.client import CloudClient
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.find import look_up
from umbel.compute.drivers.openstack.observed import SeenServer, ServerPower
from umbel.compute.drivers.openstack.servers import MARK, PortAddress, ServerOrder, ServerRecord
from umbel.compute.images.model import Image, ImageInUse, NoSuchImage, StoredImage
from umbel.compute.images.ports import Sent
from umbel.compute.model import Node
from umbel.compute.ports import CannotRun
from umbel.kit.errors import UmbelError

if TYPE_CHECKING:
    from openstack.connection import Connection

_MOST_SERVERS = 2000
_LOOK_EVERY_S = 0.3
_CLAIM_S = 30.0
"""How long one who makes a server may take until it is listed."""


class Project:
    """The project, for one of its nodes. It raises CloudUnreachable, CloudDenied, CloudFailed."""

    def __init__(self, client: CloudClient, there: CloudNode, around: CloudContext) -> None:
        self.there = there
        self._client = client
        self._around = around
        self._mark = servers.node_mark(around.installation, there.name)
        self._copying = asyncio.Lock()
        self._claims: dict[str, tuple[int, float]] = {}
        """Others' claims of functions' ports: the port's revision, and since when it is known."""

    # -- servers ----------------------------------------------------------------------------

    async def servers(self, without: Collection[str] = ()) -> dict[str, SeenServer]:
        """Each function's server, but for those `without` which it is: the oldest that runs, where
        there are several."""
        found: dict[str, SeenServer] = {}
        for one in await self._listed():
            if one.server_id in without:
                continue
            had = found.get(one.record.id)
            if had is None or _rank(one) < _rank(had):
                found[one.record.id] = one
        return found

    async def servers_of(self, function_id: str) -> list[SeenServer]:
        """Every server of the function."""
        return [one for one in await self._listed() if one.record.id == function_id]

    async def _listed(self) -> list[SeenServer]:
        def listed(to: "Connection") -> list[SeenServer]:
            found: list[SeenServer] = []
            for server in to.compute.servers(details=True, tags=f"{MARK},{self._mark}"):
                one = observed.seen(server)
                if one is not None and len(found) < _MOST_SERVERS:
                    found.append(one)
            return found

        return await self._client.call(listed)

    async def create_server(
        self,
        order: ServerOrder,
        image: Image,
        last: ServerRecord | None,
        files: Mapping[str, tuple[str, str]],
    ) -> SeenServer:
        """Make the function's server. Raises CannotRun, MachineFull."""
        there, installation = self.there, self._around.installation
        flavor = await self._client.call(lambda to: _flavor(to, there))
        if problem := servers.too_small(order.function, image, flavor):
            raise CannotRun(f"{there.name}: {problem}", node=there.name)
        image_id, _ = await self.put_image(image)
        await self.ensure_group(order.node)
        port, at = await self._claimed_port(order.function.id)
        ids = {"image": image_id, "flavor": str(flavor["id"]), "port": str(port.id)}
        try:
            record = servers.made(order, image, at, last)
            script = servers.user_data(record, at, order, image, files)
            body = servers.server(record, order, installation, ids, script)
            made = await self._client.call(lambda to: to.compute.create_server(**body))
        except UmbelError:
            await self.delete_port(order.function.id)  # with its claim
            raise
        await self._client.call(lambda to: addresses.release(to, port))
        seen = observed.seen(await self._client.call(lambda to: to.compute.get_server(made.id)))
        if seen is None:
            raise CloudUnreachable(f"{there.name}: its cloud lost a new server", node=there.name)
        return seen

    async def end_server(self, seen: SeenServer) -> None:
        """Have the function end by itself, as far as there is time, and remove its server."""
        if seen.power is ServerPower.ON:
            await self.switch_off(seen)
            deadline_s = self._around.clock.monotonic_s() + self._around.limits.grace_s
            while self._around.clock.monotonic_s() < deadline_s:
                now = await self._client.call(lambda to: _status(to, seen.server_id))
                if now != "ACTIVE":
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
        await self.delete_server(seen)

    async def delete_server(self, seen: SeenServer) -> None:
        """Remove the server, and wait until it is gone. Its port stays."""
        limits, clock = self._around.limits, self._around.clock
        await self._client.call(lambda to: to.compute.delete_server(seen.server_id))
        deadline_s = clock.monotonic_s() + limits.stop_s
        while await self._client.call(lambda to: _status(to, seen.server_id)):
            if clock.monotonic_s() > deadline_s:
                message = (
                    f"{self.there.name}: its cloud did not end {seen.record.id} within"
                    f" {limits.stop_s:g} s: its hypervisor may be away"
                )
                raise CloudUnreachable(message, node=self.there.name)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def switch_off(self, seen: SeenServer) -> None:
        """Switch the server off; not an error where it is off."""
        await self._act(seen, lambda to: to.compute.stop_server(seen.server_id))

    async def become(self, seen: SeenServer, status: str) -> None:
        """Have a server that runs paused (PAUSED), or continue (ACTIVE); idempotent."""

        def act(to: "Connection") -> None:
            if status == "PAUSED":
                to.compute.pause_server(seen.server_id)
            else:
                to.compute.unpause_server(seen.server_id)

        limits, clock = self._around.limits, self._around.clock
        deadline_s = clock.monotonic_s() + limits.call_s
        if await self._client.call(lambda to: _status(to, seen.server_id)) != status:
            await self._act(seen, act)
        while await self._client.call(lambda to: _status(to, seen.server_id)) != status:
            if clock.monotonic_s() > deadline_s:
                message = f"{self.there.name}: {seen.record.id} did not become {status}"
                raise CloudFailed(message, node=self.there.name)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def keep(self, seen: SeenServer, metadata: Mapping[str, str]) -> None:
        """Note something with the server."""
        await self._act(seen, lambda to: to.compute.set_server_metadata(seen.server_id, **metadata))

    async def fault(self, seen: SeenServer) -> str:
        """What the cloud says of a server that it could not start; empty where it says nothing."""
        return await self._client.call(
            lambda to: observed.fault(to.compute.get_server(seen.server_id))
        )

    async def console(self, seen: SeenServer, lines: int) -> str:
        """The end of what the guest wrote on its console; empty where there is none any more."""

        def read(to: "Connection") -> str:
            found = to.compute.get_server_console_output(seen.server_id, length=lines)
            return str((found or {}).get("output") or "")

        return await self._act(seen, read) or ""

    async def _act(self, seen: SeenServer, work: "Callable[[Connection], Any]") -> Any:
        """What `work` answers; None where the server is gone, or in a state that refuses it."""
        from openstack import exceptions  # noqa: PLC0415 -- as client.py

        def tried(to: "Connection") -> Any:
            try:
                return work(to)
            except (exceptions.NotFoundException, exceptions.ConflictException):
                return None

        return await self._client.call(tried)

    # -- addresses --------------------------------------------------------------------------

    async def _ensure_port(self, function_id: str) -> tuple[Any, PortAddress]:
        """The function's port, which an earlier server of it may have had, and its address."""
        name = servers.server_name(self._around.installation, function_id)
        return await self._client.call(
            lambda to: addresses.ensure(to, self.there, name, self._mark)
        )

    async def _claimed_port(self, function_id: str) -> tuple[Any, PortAddress]:
        """The same, for one server alone. Raises CloudUnreachable while somebody else makes one; a
        claim that nothing comes of does not count for ever."""
        port, at = await self._ensure_port(function_id)
        if addresses.claimed(port):
            now_s = self._around.clock.monotonic_s()
            revision, since_s = self._claims.get(function_id, (None, now_s))
            if revision != port.revision_number or now_s - since_s < _CLAIM_S:
                since_s = since_s if revision == port.revision_number else now_s
                self._claims[function_id] = (port.revision_number, since_s)
                raise addresses.taken(self.there.name)
        self._claims.pop(function_id, None)
        name = self.there.name
        return await self._client.call(lambda to: addresses.claim(to, port, name)), at

    async def delete_port(self, function_id: str) -> None:
        """Remove the function's port, and its floating address."""
        name = servers.server_name(self._around.installation, function_id)
        await self._client.call(lambda to: addresses.remove(to, name))

    async def keep_address(self) -> str:
        """The address that is kept for the node in the network."""
        _, at = await self._client.call(
            lambda to: addresses.ensure(to, self.there, self._mark, self._mark, is_reached=False)
        )
        return at.address

    async def ensure_group(self, node: Node | None) -> None:
        """Have the node's security group there, which lets in what comes to its ports; to none,
        before there is a node."""
        rules = servers.rules(node) if node is not None else []
        about = _about(self._around.installation)
        await self._client.call(lambda to: _group(to, self._mark, about, rules))

    # -- images -----------------------------------------------------------------------------

    async def put_image(self, image: Image, sent: Sent = lambda _d, _t: None) -> tuple[str, int]:
        """Have the image there: its id, and how many bytes were missing. Raises ImageCorrupt."""
        async with self._copying:  # several servers of one image send it once
            images = self._around.images
            name = glance.name(self._around.installation, image.id)
            return await self._client.call(
                lambda to: glance.put(to, image, images, name, sent), self._around.limits.copy_s
            )

    async def images(self) -> list[StoredImage]:
        """The images that are there, and the functions that began from them."""
        return await self._client.call(lambda to: glance.stored(to, self._around.installation))

    async def remove_image(self, image_id: str) -> None:
        """The image is gone. Raises NoSuchImage, ImageInUse."""
        async with self._copying:
            there = {one.id: one for one in await self.images()}
            if image_id not in there:
                message = f"{self.there.name} has no image {image_id}"
                raise NoSuchImage(message, image=image_id)
            if users := there[image_id].used_by:
                message = f"{', '.join(users)} began from {image_id}: stop them first"
                raise ImageInUse(message, image=image_id, functions=list(users))
            name = glance.name(self._around.installation, image_id)
            await self._client.call(lambda to: glance.remove(to, name))

    async def try_image(self) -> None:
        """Find out whether an image could be sent."""
        await self._client.call(lambda to: glance.try_one(to, f"{self._mark}-trial"))

    # -- the end ----------------------------------------------------------------------------

    async def clear(self) -> None:
        """Remove what is there for the node, and the images, unless another node has them."""
        installation = self._around.installation
        is_last = await self._client.call(lambda to: _clear(to, self._mark, installation))
        if is_last:
            await self._client.call(lambda to: glance.clear(to, installation))


def _rank(seen: SeenServer) -> tuple[bool, str]:
    return (seen.power is ServerPower.OFF, seen.made_at)


def _status(to: "Connection", server_id: str) -> str:
    """The server's; empty where it is gone."""
    found = look_up(lambda id_, **_: to.compute.get_server(id_), server_id)
    status = str(found.status) if found is not None else ""
    return "" if status in {"DELETED", "SOFT_DELETED"} else status


def _flavor(to: "Connection", there: CloudNode) -> dict[str, Any]:
    found = look_up(to.compute.find_flavor, there.flavor)
    if found is None:
        raise CannotRun(f"{there.name}: there is no flavour {there.flavor}", node=there.name)
    return {"id": found.id, "cores": found.vcpus, "memory_mb": found.ram, "disk_gb": found.disk}


def _group(to: "Connection", name: str, about: str, rules: list[dict[str, Any]]) -> None:
    """The security group of that name, with exactly these rules for what comes in."""
    group = look_up(to.network.find_security_group, name)
    if group is None:
        group = to.network.create_security_group(name=name, description=about)
    had = [rule for rule in group.security_group_rules if rule["direction"] == "ingress"]
    for rule in rules:
        if not any(rule.items() <= _plain(one).items() for one in had):
            to.network.create_security_group_rule(security_group_id=group.id, **rule)
    for one in had:
        if not any(rule.items() <= _plain(one).items() for rule in rules):
            to.network.delete_security_group_rule(one["id"])


def _plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {**rule, "ether_type": rule.get("ethertype", rule.get("ether_type"))}


def _clear(to: "Connection", mark: str, installation: str) -> bool:
    """Remove the node's ports and its security group; whether no other node's is there."""
    for port in list(to.network.ports()):
        if addresses.owner(port) == mark:
            addresses.remove(to, port.name)
    groups = [
        one for one in to.network.security_groups() if one.description == _about(installation)
    ]
    for group in groups:
        if group.name == mark:
            to.network.delete_security_group(group.id)
    return all(group.name == mark for group in groups)


def _about(installation: str) -> str:
    return f"Umbel's functions of {installation}"
