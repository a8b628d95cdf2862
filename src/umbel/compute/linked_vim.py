"""A VIM whose nodes are reached one by one, each over a link of its own.

In: start and stop from above, the nodes as rows. Out: instances and `on_change` calls. All that
must be known of a function is kept where it runs, so a control plane that starts later continues
where a dead one left. A node that does not answer is lost by itself. Neighbour: the driver
openstack, which makes the links.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, TypeVar

import structlog

from umbel.compute.links import Links, Row
from umbel.compute.model import Function, FunctionState, Instance, Node
from umbel.compute.ports import CannotRun, FunctionTaken
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)


class NodeLink(Protocol):
    """To one node. All raise Unavailable."""

    async def instances(self) -> Mapping[str, Instance]:
        """Every function there, by id."""

    async def is_ready(self) -> bool:
        """Whether functions there can be started, and what is shown of them is as it is now."""

    async def start(self, owner: str, function: Function, node: Node) -> None:
        """Start a function that is not there, or has failed; on the ports that it had. Raises
        CannotRun and Exhausted."""

    async def remove(self, function_id: str) -> None:
        """Have the function end, and leave nothing of it there."""

    async def close(self) -> None:
        """Let go of it. Functions go on."""


Link = TypeVar("Link", bound=NodeLink)


class LinkedVim(Generic[Row, Link]):
    """Runs functions of one pool's nodes, which are `rows`; `connect` makes the link to one.
    `lost_nodes` did not answer when last asked, or cannot be asked. All calls on one event loop."""

    def __init__(
        self,
        pool: str,
        rows: Callable[[], Awaitable[Mapping[str, Row]]],
        connect: Callable[[Row], Link],
    ) -> None:
        self.lost_nodes: frozenset[str] = frozenset()
        self._pool = pool
        self._links = Links(pool, rows, connect)
        self._seen: dict[str, Mapping[str, Instance]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watchers: list[Callable[[str], None]] = []

    async def start(self, owner: str, function: Function, node: Node) -> None:
        async with self._turns[function.id]:
            links = await self._follow()
            link = links.get(node.name)
            if link is None and node.name in self._links.failed:
                raise self._links.failed[node.name]
            if link is None:
                message = f"{node.name} is no node that the pool {self._pool} reaches"
                raise CannotRun(message, node=node.name)
            self._seen[node.name] = await link.instances()
            had = self._having(function.id)
            if had is not None and had.owner != owner:
                raise FunctionTaken(function=function.id, owner=had.owner)
            if had is not None and had.state is not FunctionState.FAILED:
                return
            if had is not None and had.node != node.name:
                await self._stop_at(had.node, function.id)
            await link.start(owner, function, node)
            self._forget(node.name, function.id)

    async def stop(self, function_id: str) -> None:
        async with self._turns[function_id]:
            links = await self._follow()
            had = self._having(function_id)
            failures: list[UmbelError] = []
            for name in [had.node] if had is not None else links:
                try:
                    await self._stop_at(name, function_id)
                except UmbelError as error:
                    failures.append(error)
            if failures:
                raise failures[0]

    async def running(self) -> dict[str, Instance]:
        links = await self._follow()
        answered = await asyncio.gather(*(self._looked_at(*one) for one in links.items()))
        lost = {name for name, is_there in zip(links, answered, strict=True) if not is_there}
        self.lost_nodes = frozenset(lost | self._links.failed.keys())
        return {id_: one for name in links for id_, one in self._seen.get(name, {}).items()}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()
        await self._links.close()

    # -- for drivers ------------------------------------------------------------------------

    async def _follow(self) -> Mapping[str, Link]:
        """The links to exactly the nodes there are, as they are now."""
        links = await self._links.follow()
        self._seen = {name: self._seen.get(name, {}) for name in links}
        return links

    def _having(self, function_id: str) -> Instance | None:
        """The function, as last seen."""
        found = (seen[function_id] for seen in self._seen.values() if function_id in seen)
        return next(found, None)

    def _notify(self, function_id: str) -> None:
        for on_change in list(self._watchers):
            on_change(function_id)

    # -- inside -----------------------------------------------------------------------------

    async def _looked_at(self, name: str, link: Link) -> bool:
        """Whether the node answered; what is known of its functions is kept."""
        try:
            found, is_ready = await asyncio.gather(link.instances(), link.is_ready())
        except UmbelError as error:
            log.warning("node does not answer", node=name, reason=error.message)
            return False
        if name in self._seen:
            self._seen[name] = found
        return is_ready

    async def _stop_at(self, name: str, function_id: str) -> None:
        await self._links.now[name].remove(function_id)
        self._forget(name, function_id)

    def _forget(self, name: str, function_id: str) -> None:
        seen = self._seen.get(name, {})
        self._seen[name] = {id_: one for id_, one in seen.items() if id_ != function_id}
