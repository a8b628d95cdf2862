"""Functions whose records are lost or cannot be read: adopted by their own marks, or ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from support.processes import children, command_of, is_dead
from support.vim_worlds import OWNER, PE2, ProcessWorld, process_world, until, until_state
from umbel.compute.drivers.process import launch
from umbel.compute.model import FunctionState

pytestmark = pytest.mark.lab
Spoil = Callable[[Path], object]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path) as it:
        yield it


def record_path(world: ProcessWorld) -> Path:
    return world.state_dir / "functions" / f"{world.edge.id}.json"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_shape(path: Path) -> None:
    path.write_text(json.dumps({"id": 7}))


async def started(world: ProcessWorld) -> int:
    await world.vim.start(OWNER, world.edge, PE2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    return world.pid(world.edge.id)


@pytest.mark.parametrize("spoil", [cut, empty, other_shape, Path.unlink])
async def test_a_function_without_a_readable_record_is_adopted(
    world: ProcessWorld, spoil: Spoil
) -> None:
    pid = await started(world)
    before = (await world.vim.running())[world.edge.id]
    await world.vim.close()
    spoil(record_path(world))
    successor = world.open()
    await successor.start(OWNER, world.edge, PE2)
    after = await until_state(successor, world.edge.id, FunctionState.ACTIVE)
    assert (after.owner, after.description, after.node) == (OWNER, "edge", "pe2")
    assert (after.ports, after.started_s) == (before.ports, before.started_s)
    assert world.pid(world.edge.id) == pid
    ready = str(world.records.ready_path(world.edge.id)).encode()
    assert [one.pid for one in children() if ready in command_of(one.pid)] == [pid]
    await successor.stop(world.edge.id)
    assert is_dead(pid)


async def test_a_function_ready_as_the_control_plane_died_is_probed_where_it_listens(
    world: ProcessWorld,
) -> None:
    pid = await started(world)
    await world.vim.close()
    noted = world.records.get(world.edge.id)
    assert noted is not None
    world.records.put(replace(noted, ports=dict.fromkeys(noted.ports, 0)))
    successor = world.open()
    found = (await successor.running())[world.edge.id]
    assert found.ports == noted.ports
    assert world.records.get(world.edge.id).ports == noted.ports
    assert world.pid(world.edge.id) == pid


async def test_a_record_that_breaks_while_it_is_watched_starts_no_second(
    world: ProcessWorld,
) -> None:
    pid = await started(world)
    empty(record_path(world))
    await world.vim.start(OWNER, world.edge, PE2)
    assert (await world.vim.running())[world.edge.id].state is FunctionState.ACTIVE
    neighbour = world.open()
    assert (await neighbour.running())[world.edge.id].owner == OWNER
    assert world.pid(world.edge.id) == pid


async def test_a_broken_record_without_a_process_is_removed_and_logged_once(
    world: ProcessWorld,
) -> None:
    pid = await started(world)
    await world.vim.close()
    world.kill(world.edge.id)
    await until(lambda: is_dead(pid), what="its end")
    empty(record_path(world))
    successor = world.open()
    with capture_logs() as logged:
        assert await successor.running() == {}
        assert await successor.running() == {}
    assert [entry["event"] for entry in logged] == ["unreadable function record removed"]
    await successor.start(OWNER, world.edge, PE2)
    await until_state(successor, world.edge.id, FunctionState.ACTIVE)


async def test_a_function_of_an_earlier_release_is_adopted_by_its_record(
    world: ProcessWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment has no record."""
    monkeypatch.setattr(launch, "RECORD", "NOT_WRITTEN_THEN")
    pid = await started(world)
    monkeypatch.undo()
    await world.vim.close()
    successor = world.open()
    assert (await successor.running())[world.edge.id].state is FunctionState.ACTIVE
    assert not is_dead(pid)


async def test_a_process_whose_mark_cannot_be_read_is_ended(world: ProcessWorld) -> None:
    empty(record_path(world))
    ready = str(world.records.ready_path(world.edge.id))
    environment = {**os.environ, launch.READY_FILE: ready, launch.RECORD: "nonsense"}
    with subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"],
        env=environment,
        start_new_session=True,
    ) as lost:
        try:
            successor = world.open()
            assert await successor.running() == {}
            await until(lambda: lost.poll() == -signal.SIGKILL, what="ended")
        finally:
            lost.kill()
    assert not record_path(world).exists()
