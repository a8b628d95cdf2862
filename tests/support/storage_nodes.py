"""A control plane whose repository keeps shards on nodes: real processes, each with its disk.

A node is an address of this machine. One that is lost does not answer, and what ran there is dead;
its disk stays.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.storage_worlds import chunks
from support.waiting import until
from umbel.bootstrap.drivers import Drivers
from umbel.bootstrap.system import System, assemble
from umbel.compute.drivers.process import ProcessVim
from umbel.compute.model import Function, FunctionState, Instance, Node
from umbel.kit.clock import SystemClock
from umbel.kit.config import Settings
from umbel.kit.errors import Unavailable
from umbel.media.drivers.fake import FakeMedia
from umbel.network.drivers.loopback import LoopbackFabric
from umbel.network.service import NetworkDrivers
from umbel.repository.drivers.shards import ShardStorage
from umbel.repository.service import Source


class MachinesVim(ProcessVim):
    """Processes, of which the nodes in `lost_nodes` are away."""

    lost_nodes: frozenset[str] = frozenset()

    async def start(self, owner: str, function: Function, node: Node) -> None:
        if node.name in self.lost_nodes:
            raise Unavailable(f"{node.name} does not answer")
        await super().start(owner, function, node)


@dataclass(kw_only=True)
class StorageNodes:
    """The control plane, and what may happen to its nodes."""

    folder: Path
    vim: MachinesVim
    system: System
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> ShardStorage:
        storage = self.system.repository.storage
        assert isinstance(storage, ShardStorage)
        return storage

    async def put(self, data: bytes) -> str:
        """A new item with these bytes."""
        item = await self.system.repository.create("pr_city", {})
        await self.system.repository.write(item.id, Source(chunks=chunks(data), size=len(data)))
        content = await self.system.repository.content(item.id)
        self.parts[item.id] = content.parts[0].blob
        return item.id

    async def get(self, item: str) -> bytes:
        """The item's bytes."""
        repository = self.system.repository
        async with aclosing(repository.read(await repository.content(item))) as pieces:
            return b"".join([piece async for piece in pieces])

    def shards(self, item: str) -> set[str]:
        """The nodes on whose disks the item's shards are."""
        found = self.folder.glob(f"storage/*/*/blobs/*/{self.parts[item]}")
        return {one.parents[2].name for one in found if one.parent.name != "drafts"}

    async def instance(self, node: str) -> Instance | None:
        """The node's storage function."""
        running = await self.vim.running()
        of_node = (one for one in running.values() if one.node == node)
        return next((one for one in of_node if one.owner == "storage"), None)

    def pid(self, instance: Instance) -> int:
        """Its process."""
        record = self.vim._records.get(instance.id)
        assert record is not None
        return record.pid

    async def kill(self, node: str) -> Instance:
        """kill -9 of the node's function, as it was."""
        instance = await self.instance(node)
        assert instance is not None
        os.kill(self.pid(instance), signal.SIGKILL)
        return instance

    async def lose(self, *nodes: str) -> None:
        """These nodes are away."""
        self.vim.lost_nodes |= set(nodes)
        for node in nodes:
            await self.kill(node)
        await self.until_answering(without=self.vim.lost_nodes)

    async def return_all(self) -> None:
        """They are back, with their disks."""
        self.vim.lost_nodes = frozenset()
        await self.until_answering()

    async def until_answering(self, without: frozenset[str] = frozenset()) -> None:
        """Wait until exactly the other nodes answer."""
        functions = self.system.storage_functions
        wanted = {place.node for place in functions.places} - without

        async def answering() -> set[str]:
            return {one.place.node for one in await functions.list() if one.usage is not None}

        await until(answering, lambda found: found == wanted, within_s=90)

    async def until_shards_at(self, item: str, nodes: set[str]) -> None:
        """Wait until the item has a shard on each of these nodes."""

        async def found() -> set[str]:
            return self.shards(item)

        await until(found, lambda there: there >= nodes, within_s=90)

    async def until_gone(self, node: str) -> None:
        """Wait until nothing runs at the node."""

        async def state() -> FunctionState | None:
            instance = await self.instance(node)
            return None if instance is None else instance.state

        await until(state, lambda seen: seen is None)


@asynccontextmanager
async def storage_nodes(
    folder: Path, nodes: Sequence[str], parity: int
) -> AsyncIterator[StorageNodes]:
    """A control plane over the folder, whose functions go on after it."""
    settings = Settings(
        data_dir=folder,
        repository_shards=",".join(f"node://{one}" for one in nodes),
        repository_parity=parity,
        storage_mb=64,
    )
    clock = SystemClock()
    vim = MachinesVim(folder, clock)
    drivers = Drivers(vim=vim, media=FakeMedia(), network=NetworkDrivers(fabric=LoopbackFabric()))
    system = await assemble(settings, drivers=drivers, clock=clock, owner="the one plane")
    loops = [
        asyncio.create_task(run()) for run in (system.storage_functions.run, system.repository.run)
    ]
    try:
        yield StorageNodes(folder=folder, vim=vim, system=system)
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await system.close()


async def stop_functions(folder: Path) -> None:
    """End what a control plane left running."""
    vim = MachinesVim(folder, SystemClock())
    await asyncio.gather(*map(vim.stop, await vim.running()))
    await vim.close()
