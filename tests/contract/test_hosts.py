"""What every VIM that measures its nodes' machines says of them."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.vim_worlds import FakeWorld, World, process_world, until
from umbel.compute.model import HostUsage
from umbel.compute.ports import MeasuresHosts

_BURN = "while True: pass"


@pytest.fixture(params=["fake", pytest.param("stand-in", marks=pytest.mark.lab)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "fake":
        made = FakeWorld()
        for node in (made.pe1, made.pe2):
            made.vim.set_host(
                node.name, HostUsage(host="h1", cores=4, memory_mb=8000, memory_used_mb=2000)
            )
        yield made
        return
    async with process_world(tmp_path) as real:
        yield real


@contextmanager
def foreign_work(world: World) -> Iterator[None]:
    """Something that is none of our functions keeps a core busy."""
    if isinstance(world, FakeWorld):
        busy = HostUsage(host="h1", cores=4, memory_mb=8000, cores_used=1, memory_used_mb=2000)
        world.vim.set_host(world.pe1.name, busy)
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _BURN]) as burner:
        try:
            yield
        finally:
            burner.kill()


async def used(world: World) -> HostUsage:
    vim = world.vim
    assert isinstance(vim, MeasuresHosts)
    return (await vim.hosts([world.pe1]))[world.pe1.name]


async def test_a_machine_has_cpu_and_memory_of_which_some_is_used(world: World) -> None:
    seen = await used(world)
    assert seen.host
    assert seen.cores >= 1
    assert 0 <= seen.cores_used <= seen.cores
    assert 0 < seen.memory_used_mb < seen.memory_mb


async def test_nodes_of_one_machine_name_the_same(world: World) -> None:
    vim = world.vim
    assert isinstance(vim, MeasuresHosts)
    seen = await vim.hosts([world.pe1, world.pe2])
    assert set(seen) == {world.pe1.name, world.pe2.name}
    assert len({usage.host for usage in seen.values()}) == 1
    assert await vim.hosts([]) == {}


async def test_work_that_is_no_function_of_ours_shows(world: World) -> None:
    async def is_busy() -> bool:
        return (await used(world)).cores_used > 0.3

    with foreign_work(world):
        await until(is_busy, within_s=30, what="foreign work shows")
        assert await world.vim.running() == {}
