"""A control plane that was killed leaves its leases to its successor at once."""

import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from umbel import bootstrap
from umbel.kit import instances
from umbel.kit.config import Settings

FLEET = "fleet"
HOLDER = f"""
import asyncio, sys
from pathlib import Path
from umbel import bootstrap
from umbel.kit.config import Settings

async def main():
    async with bootstrap.opened(Settings(data_dir=Path(sys.argv[1]))) as system:
        print(await system.delivery.controller.leases.acquire({FLEET!r}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
PRESENT = """
import sys
from pathlib import Path
from umbel.kit import instances

with instances.present(Path(sys.argv[1]), sys.argv[2]):
    print(True, flush=True)
    sys.stdin.read()
"""


@asynccontextmanager
async def running(program: str, *words: str) -> AsyncIterator[Process]:
    """The program, once it has said True; killed at the end."""
    process = await create_subprocess_exec(
        *(sys.executable, "-c", program, *words), stdin=PIPE, stdout=PIPE
    )
    try:
        said = b""
        while said.strip() != b"True":
            said = await process.stdout.readline()
            assert said, "it ended"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_leases_of_a_killed_control_plane_are_free_at_once(tmp_path: Path) -> None:
    async with running(HOLDER, str(tmp_path)) as predecessor:
        async with bootstrap.opened(Settings(data_dir=tmp_path)) as second:
            assert not await second.delivery.controller.leases.acquire(FLEET)
        predecessor.kill()
        await predecessor.wait()
        async with bootstrap.opened(Settings(data_dir=tmp_path)) as successor:
            assert await successor.delivery.controller.leases.acquire(FLEET)


async def test_an_instance_is_ended_once_its_process_is(tmp_path: Path) -> None:
    async with (
        running(PRESENT, str(tmp_path), "one") as one,
        running(PRESENT, str(tmp_path), "two"),
    ):
        with instances.ended(tmp_path) as found:
            assert found == []
        one.kill()
        await one.wait()
        with pytest.raises(ZeroDivisionError), instances.ended(tmp_path) as found:
            assert found == ["one"]
            with instances.ended(tmp_path) as at_the_same_time:
                assert at_the_same_time == []
            raise ZeroDivisionError  # the tidying failed: another tries again
        with instances.ended(tmp_path) as found:
            assert found == ["one"]
        with instances.ended(tmp_path) as found:
            assert found == []


async def test_an_instance_that_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    async with running(PRESENT, str(tmp_path), "one") as one:
        one.stdin.close()
        assert await one.wait() == 0
    assert list(tmp_path.iterdir()) == []
