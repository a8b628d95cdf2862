"""Nodes in OpenStack clouds, for operators: they come and go while the platform runs.

In: what operators ask. Out: rows. A project is looked over before its node is added. When the node
goes, nothing of ours is left in its project.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from umbel.compute.clouds.model import CloudFacts, CloudNode, CloudNodeInUse, check
from umbel.compute.clouds.store import CloudStore
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)


class CloudAccess(Protocol):
    """Reaches clouds; drivers/openstack/access.py does through their services."""

    async def look_over(self, there: CloudNode) -> CloudFacts:
        """What the cloud says of the project; an address is kept there for the node. Raises
        CloudUnreachable, CloudDenied, CloudFailed, CloudNodeUnfit."""

    async def clear(self, there: CloudNode) -> None:
        """Leave nothing of ours there. Raises CloudNodeInUse while functions are there."""


@dataclass(kw_only=True)
class CloudService:
    """The clouds' nodes."""

    store: CloudStore
    access: CloudAccess

    async def list(self) -> Sequence[CloudNode]:
        """Every one, by name."""
        return list((await self.store.all()).values())

    async def add(self, node: CloudNode) -> tuple[CloudNode, CloudFacts]:
        """A cloud's node comes. Raises BadCloud, CloudNodeExists and what `look_over` raises."""
        check(node)
        await self.store.check_new(node)
        facts = await self.access.look_over(node)
        found = replace(node, address=facts.address)
        await self.store.add(found)
        log.info("cloud's node added", node=node.name)
        return found, facts

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A cloud's node goes, whose node here must be gone. `force` forgets one that does not
        answer. Raises NoSuchCloudNode, CloudNodeInUse and what connecting raises."""
        node = await self.store.get(name)
        if name in nodes:
            message = f"{name} is a node: drain and remove it first"
            raise CloudNodeInUse(message, node=name)
        try:
            await self.access.clear(node)
        except UmbelError as error:
            if not force or isinstance(error, CloudNodeInUse):
                raise
            log.warning("cloud's node forgotten", node=name, reason=error.message)
        await self.store.remove(name)
