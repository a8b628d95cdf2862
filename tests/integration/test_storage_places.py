"""Which nodes get a storage function: those that are named and can keep what they are given."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import databases
from support.waiting import until
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.model import Function, FunctionState, Inventory, Node, NodeKind
from umbel.compute.service import Compute
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.kit.leases import Leases
from umbel.repository.model import StorageFailed
from umbel.storage.functions import described
from umbel.storage.model import ShardPlace
from umbel.storage.service import OWNER, StorageFunctions

NODES = tuple(
    Node(name=name, kind=NodeKind.CORE, address=f"127.0.9.{number}")
    for number, name in enumerate(("a", "b", "guest"), 1)
)
DESCRIPTION = described(Path("/nowhere"), 1)


def unfit(node: Node) -> str:
    return "Its disk goes with it" if node.name == "guest" else ""


class Planes:
    """Control planes over the same nodes, one after the other."""

    def __init__(self, database: Database) -> None:
        self.clock = SystemClock()
        self.vim = FakeVim(self.clock, boot_s=0.0)
        self.database = database

    @asynccontextmanager
    async def named(self, *names: str, owner: str = "one") -> AsyncIterator[StorageFunctions]:
        functions = StorageFunctions(
            compute=Compute(
                Inventory(nodes=NODES), self.vim, self.clock, owners=[OWNER, "another"]
            ),
            leases=Leases(self.database, self.clock, owner, 60.0),
            places=[ShardPlace(node=one, number=at) for at, one in enumerate(names)],
            description=DESCRIPTION,
            limit_bytes=1 << 20,
            function_id=lambda node: f"storage-{node}",
            secret_of=lambda id_: id_,
            unfit=unfit,
        )
        running = asyncio.create_task(functions.run())
        try:
            yield functions
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.gather(*(one.close() for one in functions.storages.values()))

    async def active(self) -> set[str]:
        running = (await self.vim.running()).values()
        return {one.id for one in running if one.state is FunctionState.ACTIVE}


@pytest.fixture
async def planes(sqlite_url: str) -> AsyncIterator[Planes]:
    database = Database(sqlite_url, durable=False)
    await databases.prepare(database)
    yield Planes(database)
    await database.close()


async def test_those_that_can_keep_shards_have_a_function_and_others_a_reason(
    planes: Planes,
) -> None:
    async with planes.named("a", "guest", "nowhere", "b") as functions:
        await until(planes.active, lambda seen: seen == {"storage-a", "storage-b"})
        found = await functions.list()
        assert [(one.place.node, one.place.number) for one in found] == [
            ("a", 0),
            ("guest", 1),
            ("nowhere", 2),
            ("b", 3),
        ]
        assert [one.usage for one in found] == [None] * 4, "nothing listens in this world"
        assert found[1].problem == "Its disk goes with it"
        assert found[2].problem != ""
        with pytest.raises(StorageFailed, match="does not run"):
            await functions.storages["guest"].size("blob_a")


async def test_a_node_that_is_not_named_any_more_has_none(planes: Planes) -> None:
    other = Function(id="other", node="a", description=DESCRIPTION)
    async with planes.named("a", "b") as functions:
        await functions.compute.ensure("another", {other.id: other})
        await until(planes.active, lambda seen: seen == {"storage-a", "storage-b", "other"})
    async with planes.named("b"):
        await until(planes.active, lambda seen: seen == {"storage-b", "other"})
    async with planes.named():
        await until(planes.active, lambda seen: seen == {"other"})


async def test_one_control_plane_runs_them_and_each_finds_them(planes: Planes) -> None:
    async with planes.named("a") as first:
        await until(planes.active, lambda seen: seen == {"storage-a"})
        async with planes.named("a", "b", owner="two") as second:
            assert (await first.locate("a")).address == "127.0.9.1"
            assert await second.locate("a") == await first.locate("a")
            with pytest.raises(StorageFailed):
                await second.locate("b")  # the first is the one that starts functions
        assert await planes.active() == {"storage-a"}
