"""Nodes of Kubernetes clusters, for operators: they come and go while the platform runs.

In: what operators ask. Out: rows. A node is looked over before it is added. When it goes, nothing
of ours is left in its cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from umbel.compute.clusters.model import (
    ClusterFacts,
    ClusterNode,
    ClusterNodeInUse,
    ClusterNodeUnfit,
    Credentials,
    check,
)
from umbel.compute.clusters.store import ClusterStore
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)


class ClusterAccess(Protocol):
    """Reaches clusters; drivers/kubernetes/access.py does through their API servers."""

    async def look_over(self, there: ClusterNode) -> ClusterFacts:
        """What the cluster says of its node. Raises ClusterUnreachable, ClusterDenied,
        ClusterFailed, ClusterNodeUnfit."""

    async def clear(self, there: ClusterNode) -> None:
        """Leave nothing of ours there. Raises ClusterNodeInUse while functions are there."""


@dataclass(kw_only=True)
class ClusterService:
    """The clusters' nodes."""

    store: ClusterStore
    access: ClusterAccess

    async def list(self) -> Sequence[ClusterNode]:
        """Every one, by name."""
        return list((await self.store.all()).values())

    async def add(self, node: ClusterNode) -> tuple[ClusterNode, ClusterFacts]:
        """A cluster's node comes. Raises BadCluster, ClusterNodeExists and what `look_over`
        raises."""
        check(node)
        await self.store.check_new(node)
        facts = await self.access.look_over(node)
        found = replace(node, address=next(iter(facts.addresses), ""))
        await self.store.add(found)
        log.info("cluster's node added", node=node.name, machine=node.machine)
        return found, facts

    async def replace_credentials(self, name: str, credentials: Credentials) -> ClusterFacts:
        """Sign in by other credentials from now on, while functions run on; for instance before
        those of now expire. Raises NoSuchClusterNode, ClusterNodeUnfit where they lead to another
        cluster, and what `look_over` raises: those of before stay then."""
        node = replace(await self.store.get(name), credentials=credentials)
        facts = await self.access.look_over(node)
        if node.address not in facts.addresses:
            found = ", ".join(facts.addresses)
            problem = f"its {node.machine} has the addresses {found}, and {name} has {node.address}"
            raise ClusterNodeUnfit(
                f"{name}: this is another cluster: {problem}", node=name, problems=[problem]
            )
        await self.store.replace_credentials(node)
        log.info("cluster's credentials replaced", node=name)
        return facts

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A cluster's node goes, whose node here must be gone. `force` forgets one that does not
        answer. Raises NoSuchClusterNode, ClusterNodeInUse and what connecting raises."""
        node = await self.store.get(name)
        if name in nodes:
            message = f"{name} is a node: drain and remove it first"
            raise ClusterNodeInUse(message, node=name)
        try:
            await self.access.clear(node)
        except UmbelError as error:
            if not force or isinstance(error, ClusterNodeInUse):
                raise
            log.warning("cluster's node forgotten", node=name, reason=error.message)
        await self.store.remove(name)
