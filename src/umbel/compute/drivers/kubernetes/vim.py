"""The VIM of Kubernetes clusters: each function is a pod on one of their nodes.

In: start and stop from above, the clusters' nodes as rows, what API servers tell. Out: instances
and `on_change` calls. All that must be known of a function is in its pod, so a control plane that
starts later continues where a dead one left. A node that does not answer is lost by itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from umbel.compute.clusters.model import ClusterNode
from umbel.compute.drivers.kubernetes.context import ClusterContext
from umbel.compute.drivers.kubernetes.pods import PodOrder, pod_name
from umbel.compute.drivers.kubernetes.usage import NONE, Amounts
from umbel.compute.links import Links
from umbel.compute.model import Function, FunctionState, HostUsage, Instance, Node
from umbel.compute.ports import CannotRun, FunctionTaken
from umbel.kit.errors import UmbelError

if TYPE_CHECKING:
    from umbel.compute.drivers.kubernetes.link import ClusterLink
    from umbel.compute.drivers.kubernetes.observed import SeenPod

log = structlog.get_logger(__name__)


class ClusterNodes(Protocol):
    """The clusters' nodes there are, of all pools; clusters/store.py has them in rows."""

    async def all(self) -> Mapping[str, ClusterNode]:
        """By their nodes' names."""


class KubernetesVim:
    """Runs functions of one pool's nodes. `lost_nodes` did not answer when last asked, or cannot be
    asked. All calls on one event loop."""

    def __init__(self, pool: str, nodes: ClusterNodes, around: ClusterContext) -> None:
        self.lost_nodes: frozenset[str] = frozenset()
        self._pool = pool
        self._around = around
        self._links = Links(pool, nodes.all, self._link)
        self._seen: dict[str, dict[str, SeenPod]] = {}
        self._used: dict[str, Mapping[str, Amounts]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watchers: list[Callable[[str], None]] = []

    async def start(self, owner: str, function: Function, node: Node) -> None:
        async with self._turns[function.id]:
            links = await self._follow()
            link = links.get(node.name)
            if link is None and node.name in self._links.failed:
                raise self._links.failed[node.name]
            if link is None:
                message = f"{node.name} is no cluster's node of the pool {self._pool}"
                raise CannotRun(message, node=node.name)
            self._seen[node.name] = await link.pods()
            had = self._having(function.id)
            if had is not None and had[1].record.owner != owner:
                raise FunctionTaken(function=function.id, owner=had[1].record.owner)
            if had is not None and had[1].state is not FunctionState.FAILED:
                return
            if had is not None and had[0] != node.name:
                await self._stop_at(links[had[0]], function.id)
            last = self._seen.get(node.name, {}).get(function.id)
            now_s = self._around.clock.now_s()
            order = PodOrder(
                owner=owner, function=function, node=node, there=link.there, now_s=now_s
            )
            await link.start(order, last)
            self._seen.get(node.name, {}).pop(function.id, None)

    async def stop(self, function_id: str) -> None:
        async with self._turns[function_id]:
            links = await self._follow()
            had = self._having(function_id)
            failures: list[UmbelError] = []
            for name in [had[0]] if had is not None else links:
                try:
                    await self._stop_at(links[name], function_id)
                except UmbelError as error:
                    failures.append(error)
            if failures:
                raise failures[0]

    async def running(self) -> dict[str, Instance]:
        links = await self._follow()
        answered = await asyncio.gather(*map(self._looked_at, links.values()))
        lost = {name for name, is_there in zip(links, answered, strict=True) if not is_there}
        self.lost_nodes = frozenset(lost | self._links.failed.keys())
        return {
            id_: self._instance(one, self._used.get(name, {}))
            for name in links
            for id_, one in self._seen.get(name, {}).items()
        }

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        links = await self._follow()
        known = [node.name for node in nodes if node.name in links]
        answers = await asyncio.gather(*(_host_usage(links[name]) for name in known))
        return {name: usage for name, usage in zip(known, answers, strict=True) if usage}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()
        await self._links.close()

    # -- inside -----------------------------------------------------------------------------

    async def _follow(self) -> Mapping[str, "ClusterLink"]:
        """The links to exactly the nodes there are, as they are now."""
        links = await self._links.follow()
        self._seen = {name: self._seen.get(name, {}) for name in links}
        return links

    def _link(self, there: ClusterNode) -> "ClusterLink":
        # The library loads slowly, and is there only where clusters are used.
        try:
            from umbel.compute.drivers.kubernetes.link import ClusterLink  # noqa: PLC0415
        except ImportError as error:
            message = f"{there.name} needs lightkube: install umbel[kubernetes] ({error})"
            raise CannotRun(message, node=there.name) from error
        return ClusterLink(there, self._around, self._notify)

    def _having(self, function_id: str) -> tuple[str, "SeenPod"] | None:
        """The node that has the function's pod, and the pod, as last seen."""
        for name, seen in self._seen.items():
            if function_id in seen:
                return name, seen[function_id]
        return None

    async def _looked_at(self, link: "ClusterLink") -> bool:
        """Whether the node answered; what its cluster says of its functions is kept."""
        name = link.there.name
        try:
            found, is_ready, used = await asyncio.gather(link.pods(), link.is_ready(), link.usage())
        except UmbelError as error:
            log.warning("cluster does not answer", node=name, reason=error.message)
            return False
        if name in self._seen:
            self._seen[name], self._used[name] = found, used
        return is_ready

    async def _stop_at(self, link: "ClusterLink", function_id: str) -> None:
        await link.remove(function_id)
        self._seen.get(link.there.name, {}).pop(function_id, None)

    def _instance(self, seen: "SeenPod", used: "Mapping[str, Amounts]") -> Instance:
        """What is not measured counts with what was promised."""
        record = seen.record
        is_active = seen.state is FunctionState.ACTIVE
        name = pod_name(self._around.installation, record.id)
        amounts = used.get(name, seen.requested) if is_active else NONE
        return Instance(
            id=record.id,
            owner=record.owner,
            description=record.description,
            node=record.node,
            state=seen.state,
            address=record.address,
            ports=record.ports if is_active else {},
            started_s=record.started_s,
            cpu_cores=amounts.cores,
            rss_mb=amounts.memory_mb,
            reason=seen.reason,
        )

    def _notify(self, function_id: str) -> None:
        for on_change in list(self._watchers):
            on_change(function_id)


async def _host_usage(link: "ClusterLink") -> HostUsage | None:
    try:
        return await link.host_usage()
    except UmbelError:  # its cluster does not measure machines
        return None
