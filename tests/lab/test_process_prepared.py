"""A process that is prepared becomes the next function, and cannot be told from another."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.processes import is_dead
from support.vim_worlds import OWNER, PE1, PE2, ProcessWorld, process_world, until, until_state
from umbel.bootstrap.drivers import PREPARED_MEDIA
from umbel.compute.drivers.process import ProcessVim, procfs
from umbel.compute.model import FunctionState, Instance
from umbel.delivery.loop.functions import MEDIA_COMMAND

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
WITHIN_S = 60.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path, MEDIA_COMMAND) as it:
        yield it


async def ready(vim: ProcessVim, function_id: str) -> Instance:
    return await until_state(vim, function_id, FunctionState.ACTIVE, within_s=WITHIN_S)


async def with_one_prepared(world: ProcessWorld) -> tuple[ProcessVim, int]:
    """A VIM whose acquirer runs, and the process that is prepared for the next function."""
    vim = world.open(preparation=PREPARED_MEDIA)
    await vim.start(OWNER, world.acquirer, PE1)
    assert vim.prepared_pid == 0  # a function that starts is not disturbed
    await ready(vim, world.acquirer.id)
    await until(lambda: vim.prepared_pid > 0, within_s=WITHIN_S)
    return vim, vim.prepared_pid


def words_of(pid: int) -> list[str]:
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    return [word for word in line.split("\0") if word]


async def test_it_becomes_the_next_function_and_shows_what_it_is(world: ProcessWorld) -> None:
    vim, prepared = await with_one_prepared(world)
    await vim.start(OWNER, world.edge, PE2)
    await ready(vim, world.edge.id)
    pid = world.pid(world.edge.id)
    assert pid == prepared
    words = words_of(pid)
    assert words[: len(MEDIA_COMMAND)] == list(MEDIA_COMMAND)
    assert words[words.index("--id") + 1] == world.edge.id
    assert Path(f"/proc/{pid}/comm").read_text().strip() == world.edge.id
    assert "media server up" in world.records.log_path(world.edge.id).read_text()
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)
    # The next one is prepared, and what is stopped or killed is collected.
    await until(lambda: vim.prepared_pid not in {0, prepared}, within_s=WITHIN_S)
    await vim.stop(world.edge.id)
    assert procfs.read(pid) is None


async def test_a_killed_function_is_replaced_by_it_on_the_same_ports(world: ProcessWorld) -> None:
    vim, prepared = await with_one_prepared(world)
    before = (await vim.running())[world.acquirer.id].ports
    world.kill(world.acquirer.id)
    await until_state(vim, world.acquirer.id, FunctionState.FAILED)
    await vim.start(OWNER, world.acquirer, PE1)
    assert (await ready(vim, world.acquirer.id)).ports == before
    assert world.pid(world.acquirer.id) == prepared


async def test_a_successor_finds_it_although_its_record_is_lost(world: ProcessWorld) -> None:
    vim, prepared = await with_one_prepared(world)
    await vim.start(OWNER, world.edge, PE2)
    before = await ready(vim, world.edge.id)
    await vim.close()
    (world.state_dir / "functions" / f"{world.edge.id}.json").unlink()
    after = await ready(world.open(), world.edge.id)
    assert (after.owner, after.node, after.ports) == (OWNER, "pe2", before.ports)
    assert world.pid(world.edge.id) == prepared


async def test_one_that_has_died_is_not_used(world: ProcessWorld) -> None:
    vim, prepared = await with_one_prepared(world)
    os.kill(prepared, 9)
    os.waitid(os.P_PID, prepared, os.WEXITED | os.WNOWAIT)
    await vim.start(OWNER, world.edge, PE2)
    await ready(vim, world.edge.id)
    assert world.pid(world.edge.id) != prepared
    await until(lambda: procfs.read(prepared) is None)


async def test_it_ends_with_the_control_plane(world: ProcessWorld) -> None:
    vim, prepared = await with_one_prepared(world)
    await vim.close()
    assert is_dead(prepared)


async def test_it_ends_when_its_input_does(world: ProcessWorld) -> None:
    """As the kernel closes it for a control plane that is killed."""
    vim, prepared = await with_one_prepared(world)
    os.close(vim._prepared._waiting.stdin)
    await until(lambda: is_dead(prepared), within_s=WITHIN_S)
    vim._prepared._waiting = None
    assert vim.prepared_pid == 0
