"""The disks of a pool's hypervisors, for volumes: which hypervisor is asked, and how long it may
take. It loads libvirt when it is first used. Neighbour: disks.py has libvirt's own words."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from umbel.compute.drivers.libvirt.context import GuestLimits
from umbel.compute.hypervisors.model import NoSuchGuest, NoSuchHypervisor

if TYPE_CHECKING:
    from umbel.compute.drivers.libvirt.link import HypervisorLink


class HypervisorDisks:
    """Disks at hypervisors. `links` answers those there are; `resting` where a guest is, and raises
    NoSuchGuest, and GuestMoving for one that is being moved."""

    def __init__(
        self,
        links: Callable[[], Awaitable[Mapping[str, "HypervisorLink"]]],
        resting: Callable[[str], Awaitable["HypervisorLink"]],
        limits: GuestLimits,
    ) -> None:
        self._links = links
        self._resting = resting
        self._limits = limits

    async def create(self, node: str, disk: str, size_mb: int) -> None:
        link = await self._at(node)
        work = self._limits.copy_s
        await link.call(lambda c: _words().create(c, link.pool_folder, disk, size_mb), work)

    async def copy(self, node: str, disk: str, to: str) -> None:
        link, work = await self._at(node), self._limits.copy_s
        if (function_id := (await self.attached(node)).get(disk)) is not None:
            link = await self._resting(function_id)
        await link.call(
            lambda c: _words().copy(c, link.pool_folder, disk, to, work), work + self._limits.call_s
        )

    async def remove(self, node: str, disk: str) -> None:
        link = await self._at(node)
        await link.call(lambda c: _words().remove(c, link.pool_folder, disk))

    async def attached(self, node: str) -> Mapping[str, str]:
        found: Mapping[str, str] = await (await self._at(node)).call(lambda c: _words().attached(c))
        return found

    async def attach(self, disk: str, function_id: str) -> None:
        link = await self._resting(function_id)
        await link.call(lambda c: _words().attach(c, link.pool_folder, disk, function_id))

    async def detach(self, disk: str, function_id: str) -> None:
        try:
            link = await self._resting(function_id)
        except NoSuchGuest:
            return
        within_s = self._limits.release_s
        await link.call(
            lambda c: _words().detach(c, disk, function_id, within_s),
            within_s + self._limits.call_s,
        )

    async def _at(self, node: str) -> "HypervisorLink":
        links = await self._links()
        if node not in links:
            raise NoSuchHypervisor(f"{node} is no hypervisor of this pool", hypervisor=node)
        return links[node]


def _words() -> Any:
    from umbel.compute.drivers.libvirt import disks  # noqa: PLC0415 -- it loads libvirt

    return disks
