"""Storage functions on machines over SSH: OpenSSH's own server, real functions, real disks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import databases
from support.ssh_worlds import SshWorld, ssh_world
from support.sshd import ABSENT
from support.storage_worlds import chunks
from support.waiting import until
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.machines.model import HOSTS_POOL
from umbel.compute.model import Inventory
from umbel.compute.service import Compute
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.kit.leases import Leases
from umbel.repository.drivers.remote import RemoteStorage
from umbel.repository.model import StorageFailed
from umbel.storage.functions import described
from umbel.storage.model import ShardPlace
from umbel.storage.service import OWNER, StorageFunctions

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(ABSENT), reason=ABSENT)]

DATA = bytes(range(256)) * 8000


@dataclass(kw_only=True)
class Machines:
    world: SshWorld
    functions: StorageFunctions
    returns: list[None]

    def storage(self, number: int) -> RemoteStorage:
        return self.functions.storages[(self.world.pe1, self.world.pe2)[number].name]

    async def until_answering(self, *numbers: int) -> None:
        async def answering() -> list[int]:
            found = await self.functions.list()
            return [one.place.number for one in found if one.usage is not None]

        await until(answering, lambda found: found == list(numbers), within_s=120)


@pytest.fixture
async def machines(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Machines]:
    clock, database, returns = SystemClock(), Database(sqlite_url, durable=False), list[None]()
    await databases.prepare(database)
    async with ssh_world(tmp_path) as world:
        nodes = (world.pe1, world.pe2)
        functions = StorageFunctions(
            compute=Compute(
                Inventory(nodes=nodes),
                FakeVim(clock),
                clock,
                owners=[OWNER],
                pools={HOSTS_POOL: world.vim},
            ),
            leases=Leases(database, clock, "test", 60.0),
            places=[ShardPlace(node=one.name, number=at) for at, one in enumerate(nodes)],
            description=described(tmp_path / "disks", 64),
            limit_bytes=64 << 20,
            function_id=lambda node: f"storage-{node}",
            secret_of=lambda id_: f"secret of {id_}",
        )
        functions.on_return = lambda: returns.append(None)
        running = asyncio.create_task(functions.run())
        try:
            made = Machines(world=world, functions=functions, returns=returns)
            await made.until_answering(0, 1)
            yield made
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.gather(*(one.close() for one in functions.storages.values()))
            await database.close()


async def read(storage: RemoteStorage) -> bytes:
    async with aclosing(storage.read("blob_a", 0, len(DATA))) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_machine_that_ssh_does_not_reach_serves_its_shard_until_it_is_dead(
    machines: Machines, tmp_path: Path
) -> None:
    world, name = machines.world, machines.world.pe2.name
    for number in (0, 1):
        await machines.storage(number).write("blob_a", chunks(DATA))
    disks = {one.parents[2].name for one in (tmp_path / "disks").rglob("blob_a")}
    assert disks == {world.pe1.name, name}
    server = world.servers[name]
    server.stop()

    async def is_lost() -> bool:
        return machines.functions.compute.is_lost(name)

    await until(is_lost, within_s=120)
    assert await read(machines.storage(1)) == DATA
    returns = len(machines.returns)
    world.kill(f"storage-{name}")

    async def reason() -> str:
        try:
            await machines.storage(1).size("blob_a")
        except StorageFailed as error:
            return error.message
        return ""

    await until(reason, lambda said: said == f"{name} does not answer", within_s=120)
    assert await read(machines.storage(0)) == DATA
    server.start()
    await machines.until_answering(0, 1)
    assert await read(machines.storage(1)) == DATA
    assert len(machines.returns) > returns
