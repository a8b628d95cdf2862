"""The VIM of OpenStack clouds: each function is a server in a project, with an address of its own.

In: start and stop from above, the clouds' nodes as rows, what clouds show. Out: instances and
`on_change` calls.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from umbel.compute.clouds.model import CloudNode
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.stored_images import CloudImages
from umbel.compute.guest_start import image_of
from umbel.compute.hypervisors.model import NoSuchGuest
from umbel.compute.linked_vim import LinkedVim
from umbel.compute.model import Function, Node
from umbel.compute.ports import CannotRun

if TYPE_CHECKING:
    from umbel.compute.drivers.openstack.link import CloudLink


class CloudNodes(Protocol):
    """The clouds' nodes there are, of all pools; clouds/store.py has them in rows."""

    async def all(self) -> Mapping[str, CloudNode]:
        """By their nodes' names."""


class OpenStackVim(LinkedVim[CloudNode, "CloudLink"]):
    """Runs functions of one pool's nodes."""

    def __init__(self, pool: str, nodes: CloudNodes, around: CloudContext) -> None:
        super().__init__(pool, nodes.all, self._link)
        self._around = around
        self.images = CloudImages(self._follow)

    async def start(self, owner: str, function: Function, node: Node) -> None:
        image_of(function)
        await super().start(owner, function, node)

    # -- what only guests can do ------------------------------------------------------------

    async def suspend(self, function_id: str) -> None:
        await (await self._link_of(function_id)).suspend(function_id)

    async def resume(self, function_id: str) -> None:
        await (await self._link_of(function_id)).resume(function_id)

    async def console(self, function_id: str) -> str:
        return await (await self._link_of(function_id)).console(function_id)

    # -- inside -----------------------------------------------------------------------------

    async def _link_of(self, function_id: str) -> "CloudLink":
        await self.running()
        had = self._having(function_id)
        if had is None:
            raise NoSuchGuest(f"No server runs {function_id}", function=function_id)
        return self._links.now[had.node]

    def _link(self, there: CloudNode) -> "CloudLink":
        # The library loads slowly, and is there only where clouds are used.
        try:
            from umbel.compute.drivers.openstack.link import CloudLink  # noqa: PLC0415
        except ImportError as error:
            message = f"{there.name} needs openstacksdk: install umbel[openstack] ({error})"
            raise CannotRun(message, node=there.name) from error
        return CloudLink(there, self._around, self._notify)
