"""The VIM of the operator's own machines.

In: start and stop from above, the machines' rows. Out: instances of all machines and `on_change`
calls. Each machine has a session (link.py) with a program that keeps functions there
(compute/remote). A machine that does not answer is lost; its functions are shown as last seen.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from umbel.compute.drivers.ssh.surroundings import Surroundings
from umbel.compute.links import Links
from umbel.compute.machines.model import Machine
from umbel.compute.model import Function, HostUsage, Instance, Node
from umbel.compute.ports import CannotRun
from umbel.compute.remote.messages import Measure, Measured, Running, Seen, Start, Stop
from umbel.kit.errors import UmbelError, Unavailable

if TYPE_CHECKING:
    from umbel.compute.drivers.ssh.link import Link

log = structlog.get_logger(__name__)


class Machines(Protocol):
    """The machines there are, of all pools; machines/store.py has them in rows."""

    async def all(self) -> Mapping[str, Machine]:
        """By their nodes' names."""


class SshVim:
    """Runs functions of one pool's nodes. `lost_nodes` did not answer when last asked."""

    def __init__(self, pool: str, machines: Machines, around: Surroundings) -> None:
        self.lost_nodes: frozenset[str] = frozenset()
        self._pool = pool
        self._links = Links(pool, self._installed, self._link)
        self._machines = machines
        self._around = around
        self._seen: dict[str, dict[str, Instance]] = {}
        self._watchers: list[Callable[[str], None]] = []

    async def start(self, owner: str, function: Function, node: Node) -> None:
        links = await self._follow()
        link = links.get(node.name)
        if link is None:
            message = f"{node.name} is no machine of the pool {self._pool}, or not installed yet"
            raise CannotRun(message, node=node.name)
        there = self._translated(function, link.machine)
        await link.call(lambda id_: Start(id=id_, owner=owner, function=there, node=node))

    async def stop(self, function_id: str) -> None:
        links = await self._follow()
        having = [name for name, seen in self._seen.items() if function_id in seen]
        failures: list[UmbelError] = []
        # One after the other, and the first at once: a start that follows must not overtake it.
        for name in having or links:
            if name in links:
                try:
                    await self._stop_at(links[name], function_id)
                except UmbelError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    async def running(self) -> dict[str, Instance]:
        links = await self._follow()
        answers = await asyncio.gather(*map(self._running_at, links.values()))
        lost = {name for name, answers in zip(links, answers, strict=True) if not answers}
        self.lost_nodes = frozenset(lost)
        return {id_: one for name in links for id_, one in self._seen.get(name, {}).items()}

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        links = await self._follow()
        known = [node for node in nodes if node.name in links and node.name not in self.lost_nodes]
        found = await asyncio.gather(*(self._usage(links[node.name], node) for node in known))
        return {name: usage for one in found for name, usage in one.items()}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()
        await self._links.close()

    async def _follow(self) -> Mapping[str, "Link"]:
        """The links to exactly the machines that have a bundle there are, as they are now."""
        links = await self._links.follow()
        self._seen = {name: self._seen.get(name, {}) for name in links}
        return links

    async def _installed(self) -> Mapping[str, Machine]:
        return {name: one for name, one in (await self._machines.all()).items() if one.bundle}

    def _link(self, machine: Machine) -> "Link":
        # What speaks SSH takes a quarter of a second to load; without machines it is not needed.
        from umbel.compute.drivers.ssh.link import Link  # noqa: PLC0415

        def on_loss() -> None:
            for id_ in self._seen.get(machine.name, {}):
                self._notify(id_)

        return Link(machine, self._around, self._notify, on_loss)

    async def _stop_at(self, link: "Link", function_id: str) -> None:
        await link.call(lambda id_: Stop(id=id_, function_id=function_id))
        self._seen.get(link.machine.name, {}).pop(function_id, None)

    async def _running_at(self, link: "Link") -> bool:
        """Whether the machine answered."""
        try:
            answer = await link.call(lambda id_: Running(id=id_))
        except UmbelError:
            return False  # the link has logged why
        assert isinstance(answer, Seen)
        self._seen[link.machine.name] = dict(answer.instances)
        return True

    async def _usage(self, link: "Link", node: Node) -> Mapping[str, HostUsage]:
        try:
            answer = await link.call(lambda id_: Measure(id=id_, nodes=(node,)))
        except Unavailable as error:
            log.warning("machine not measured", machine=node.name, reason=error.message)
            return {}
        assert isinstance(answer, Measured)
        return answer.usage

    def _translated(self, function: Function, machine: Machine) -> Function:
        """The function with the machine's names for our interpreter and files."""
        names = {str(path): there for path, there in self._around.remote_files(machine).items()}
        names[sys.executable] = machine.layout.python(machine.bundle)
        described = function.description
        command = tuple(names.get(word, word) for word in described.command)
        return replace(function, description=replace(described, command=command))

    def _notify(self, function_id: str) -> None:
        for on_change in list(self._watchers):
            on_change(function_id)
