"""The process driver's own duties, with real processes that are killed, stopped and recycled."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from support import testbed
from support.processes import (
    children,
    command_of,
    descriptors_of,
    half_dead,
    is_dead,
    is_unharmed,
    state_of,
    stranger,
    workers_of,
)
from support.testbed import Testbed
from support.vim_worlds import (
    HURRIED,
    OWNER,
    PE1,
    PE2,
    ProcessWorld,
    process_world,
    until,
    until_state,
)
from umbel.compute import probe
from umbel.compute.drivers.process import launch, procfs
from umbel.compute.drivers.process.records import BadFunctionId
from umbel.compute.model import (
    FunctionState,
)
from umbel.delivery.loop.functions import MEDIA_COMMAND
from umbel.kit import netns
from umbel.kit.errors import Unavailable
from umbel.kit.starting import StartLimits

pytestmark = pytest.mark.lab
PATIENT = replace(HURRIED, probe_every_s=60.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path) as real:
        yield real


async def test_death_is_seen_at_once_without_asking(world: ProcessWorld) -> None:
    vim = world.open(limits=PATIENT)  # no health probe falls into this test
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    told = asyncio.Event()
    vim.watch(lambda _id: told.set())
    pid = world.pid(world.edge.id)
    world.kill(world.edge.id)
    async with asyncio.timeout(60):
        await told.wait()
    assert procfs.read(pid) is None, "a zombie is left"


async def test_one_whose_last_thread_still_dies_is_alive() -> None:
    """As in the moment after SIGKILL: the first thread is a zombie, another holds the sockets."""
    with half_dead() as process:
        await until(lambda: state_of(process.pid) == "Z", what="the first thread has ended")
        seen = procfs.read(process.pid)
        assert seen is not None
        assert seen.alive
        procfs.kill_exactly(seen)
        await until(lambda: is_dead(process.pid), what="dead")
        procfs.reap_exactly(process.pid, seen.start_ticks)
        assert procfs.read(process.pid) is None


async def test_concurrent_spawns_start_one_process(world: ProcessWorld) -> None:
    await asyncio.gather(*(world.vim.start(OWNER, world.edge, PE2) for _ in range(5)))
    ready = str(world.records.ready_path(world.edge.id)).encode()
    started = [p for p in children() if ready in command_of(p.pid)]
    assert [process.pid for process in started] == [world.pid(world.edge.id)]


async def test_a_dead_predecessors_functions_are_adopted(world: ProcessWorld) -> None:
    await world.vim.start(OWNER, world.edge, PE2)
    await world.vim.start(OWNER, world.acquirer, PE1)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    pid, victim = world.pid(world.edge.id), world.pid(world.acquirer.id)
    await world.vim.close()
    world.kill(world.acquirer.id)
    await until(lambda: is_dead(victim), what="dead while nobody watches")
    successor = world.open()
    seen = await successor.running()
    assert seen[world.edge.id].state is FunctionState.ACTIVE
    assert seen[world.acquirer.id].state is FunctionState.FAILED
    await successor.start(OWNER, world.edge, PE2)
    assert world.pid(world.edge.id) == pid
    assert procfs.read(victim) is None, "a zombie is left"


async def test_one_that_started_in_its_predecessors_last_moment_is_found(
    world: ProcessWorld,
) -> None:
    await world.vim.start(OWNER, world.edge, PE2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    pid = world.pid(world.edge.id)
    await world.vim.close()
    record = world.records.get(world.edge.id)
    assert record is not None
    world.records.put(replace(record, pid=0, start_ticks=0))  # killed before it noted the pid
    successor = world.open()
    assert (await successor.running())[world.edge.id].state is FunctionState.ACTIVE
    await successor.stop(world.edge.id)
    assert procfs.read(pid) is None


async def test_a_recycled_pid_is_not_taken_for_ours(world: ProcessWorld) -> None:
    await world.vim.start(OWNER, world.edge, PE2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    record = world.records.get(world.edge.id)
    assert record is not None
    await world.vim.stop(world.edge.id)
    await world.vim.close()
    with stranger() as other:
        world.records.put(replace(record, pid=other.pid))
        world.records.ready_path(world.edge.id).write_text(
            json.dumps({"id": world.edge.id, "pid": other.pid, "ports": dict(record.ports)})
        )
        successor = world.open()
        assert (await successor.running())[world.edge.id].state is FunctionState.FAILED
        await successor.start(OWNER, world.edge, PE2)
        await until_state(successor, world.edge.id, FunctionState.ACTIVE)
        await successor.stop(world.edge.id)
        assert is_unharmed(other)


async def test_a_stopped_function_is_found_by_its_health(world: ProcessWorld) -> None:
    told: list[str] = []
    await world.vim.start(OWNER, world.edge, PE2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    world.vim.watch(told.append)
    pid = world.pid(world.edge.id)
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: told == [world.edge.id], what="told of the silent function")
    seen = (await world.vim.running())[world.edge.id]
    assert seen.state is FunctionState.FAILED
    assert seen.reason == "3 health probes in a row missed"
    assert procfs.read(pid) is None


async def test_an_answer_that_is_not_200_is_a_miss(world: ProcessWorld) -> None:
    world.edge = world.described("edge", "pe2", "sick")
    vim = world.open()
    await vim.start(OWNER, world.edge, PE2)
    seen = await until_state(vim, world.edge.id, FunctionState.FAILED)
    assert "health" in seen.reason


async def test_a_healthy_function_is_left_in_peace(world: ProcessWorld) -> None:
    vim = world.open(limits=replace(HURRIED, probe_every_s=0.01, probe_deadline_s=5.0))
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    pid = world.pid(world.edge.id)
    first = procfs.read(pid)
    assert first is not None

    def has_answered_many() -> bool:
        now = procfs.read(pid)
        assert now is not None, "killed though healthy"
        return now.cpu_ticks >= first.cpu_ticks + 5

    await until(has_answered_many, what="many probes answered")


async def test_one_that_never_gets_ready_is_killed(world: ProcessWorld) -> None:
    world.edge = world.described("edge", "pe2", "never-ready")
    vim = world.open(limits=replace(HURRIED, start=StartLimits(asleep_s=0.5)))
    await vim.start(OWNER, world.edge, PE2)
    assert (await vim.running())[world.edge.id].state is FunctionState.BOOTING
    pid = world.pid(world.edge.id)
    seen = await until_state(vim, world.edge.id, FunctionState.FAILED)
    assert seen.reason == "not ready after 0.5 s of sleep"
    await until(lambda: procfs.read(pid) is None, what="killed")


async def test_one_that_dies_at_boot_tells_its_status(world: ProcessWorld) -> None:
    world.edge = world.described("edge", "pe2", "dies")
    vim = world.open()
    await vim.start(OWNER, world.edge, PE2)
    assert (
        await until_state(vim, world.edge.id, FunctionState.FAILED)
    ).reason == "exited with status 7"


async def test_one_that_ignores_sigterm_is_killed(world: ProcessWorld) -> None:
    world.edge = world.described("edge", "pe2", "deaf")
    vim = world.open(limits=replace(HURRIED, stop_within_s=0.3))
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    pid = world.pid(world.edge.id)
    await vim.stop(world.edge.id)
    assert procfs.read(pid) is None


async def test_a_taken_port_falls_back_to_a_fresh_one(world: ProcessWorld) -> None:
    await world.vim.start(OWNER, world.acquirer, PE1)
    before = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    world.kill(world.acquirer.id)
    await until_state(world.vim, world.acquirer.id, FunctionState.FAILED)
    with socket.create_server((PE1.address, before.ports["rtmp"])):
        await world.vim.start(OWNER, world.acquirer, PE1)
        after = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    assert after.ports["rtmp"] != before.ports["rtmp"]
    assert after.ports["control"] == before.ports["control"]
    assert after.ports["udp"] == before.ports["udp"]


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_workers_count_and_go_with_their_function(world: ProcessWorld, how: str) -> None:
    world.edge = world.described("edge", "pe2", "busy")
    vim = world.open()
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    in_session, own_session = workers_of(world, world.edge.id)
    try:

        async def is_measured() -> bool:
            seen = (await vim.running())[world.edge.id]
            return seen.cpu_cores > 0.05 and seen.rss_mb > 15

        await until(is_measured, what="the worker's CPU counted")
        if how == "kill":
            world.kill(world.edge.id)
            await until_state(vim, world.edge.id, FunctionState.FAILED)
        else:
            await vim.stop(world.edge.id)
        await until(lambda: is_dead(in_session), what="worker of the session dead")
        active = [one for one in (await vim.running()).values() if one.cpu_cores]
        assert active == []
    finally:
        for pid in (in_session, own_session):
            if not is_dead(pid):
                os.kill(pid, signal.SIGKILL)


async def test_a_function_given_up_takes_every_worker_along(world: ProcessWorld) -> None:
    world.edge = world.described("edge", "pe2", "busy")
    vim = world.open()
    await vim.start(OWNER, world.edge, PE2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    workers = workers_of(world, world.edge.id)
    try:
        os.kill(world.pid(world.edge.id), signal.SIGSTOP)
        failed = await until_state(vim, world.edge.id, FunctionState.FAILED)
        assert failed.reason.endswith("health probes in a row missed")
        await until(lambda: all(map(is_dead, workers)), what="all workers dead")
    finally:
        for pid in workers:
            if not is_dead(pid):
                os.kill(pid, signal.SIGKILL)


async def test_a_function_gets_no_descriptor_and_no_secret_of_ours(
    world: ProcessWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_DATABASE_URL", "postgresql://u:password@h/d")
    monkeypatch.setenv("UMBEL_LOG_LEVEL", "debug")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        await world.vim.start(OWNER, world.edge, PE2)
        await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
        ours = f"socket:[{os.fstat(listener.fileno()).st_ino}]"
        assert ours in descriptors_of(os.getpid())
        assert ours not in descriptors_of(world.pid(world.edge.id))
    said = world.records.log_path(world.edge.id).read_text()
    assert said.split() == [
        "UMBEL_FUNCTION_RECORD",
        "UMBEL_LOG_LEVEL",
        "UMBEL_MEDIA_SECRET",
        "UMBEL_READY_FILE",
    ]


async def test_thirty_lives_leave_nothing_behind(world: ProcessWorld) -> None:
    async def live() -> None:
        await world.vim.start(OWNER, world.edge, PE2)
        await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
        await world.vim.stop(world.edge.id)

    await live()  # whatever is opened once is open now
    held = len(descriptors_of(os.getpid()))
    mine = {process.key for process in children()}
    for _ in range(30):
        await live()
    # The sampling thread may read a file of /proc just now.
    await until(lambda: len(descriptors_of(os.getpid())) <= held, what="descriptors closed")
    assert {process.key for process in children()} <= mine
    assert world.records.ids() == []
    assert not list((world.state_dir / "ready").iterdir())
    assert world.records.log_path(world.edge.id).exists()


async def test_a_neighbours_function_is_seen_and_may_go(world: ProcessWorld) -> None:
    neighbour = world.open()
    told: list[str] = []
    neighbour.watch(told.append)
    await world.vim.start(OWNER, world.edge, PE2)
    await until_state(neighbour, world.edge.id, FunctionState.ACTIVE)
    await world.vim.stop(world.edge.id)
    await until(lambda: told[-1:] == [world.edge.id], what="neighbour told")
    assert await neighbour.running() == {}


async def test_a_program_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    world = ProcessWorld(tmp_path, command=[str(tmp_path / "nothing")])
    try:
        with pytest.raises(Unavailable, match="edge-pe2-1"):
            await world.vim.start(OWNER, world.edge, PE2)
        assert await world.vim.running() == {}
    finally:
        await world.end()


async def test_an_id_that_would_leave_the_folder_is_refused(world: ProcessWorld) -> None:
    with pytest.raises(BadFunctionId):
        await world.vim.start(OWNER, replace(world.edge, id="../escape"), PE2)


async def test_files_that_are_not_ours_are_passed_over(world: ProcessWorld) -> None:
    for name in ("odd name.json", "broken.json", "list.json"):
        (world.state_dir / "functions" / name).write_text("[1, 2" if name[0] == "b" else "[]")
    assert await world.vim.running() == {}


def test_it_works_on_uvloop_too(tmp_path: Path) -> None:
    async def live() -> None:
        async with process_world(tmp_path) as world:
            told = asyncio.Event()
            await world.vim.start(OWNER, world.edge, PE2)
            await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
            world.vim.watch(lambda _id: told.set())
            world.kill(world.edge.id)
            async with asyncio.timeout(60):
                await told.wait()
            failed = (await world.vim.running())[world.edge.id]
            assert (failed.state, failed.reason) == (FunctionState.FAILED, "killed by signal 9")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


def test_a_long_log_is_cut_and_its_text_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "edge.log"
    launch.bound_log(path, 10)
    path.write_text("x" * 10)
    launch.bound_log(path, 10)
    assert path.read_text() == "x" * 10
    path.write_text("y" * 11)
    launch.bound_log(path, 10)
    assert path.read_text() == ""
    assert path.with_name("edge.log.1").read_text() == "y" * 11


@pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT)
async def test_a_media_server_runs_in_its_nodes_namespace(
    tmp_path: Path, three_nodes: Testbed
) -> None:
    async with process_world(tmp_path, MEDIA_COMMAND, three_nodes) as world:
        await world.vim.start(OWNER, world.edge, world.pe2)
        edge = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
        node = three_nodes.nodes["b"]
        assert edge.address == node.management
        assert netns.pids([node.namespace])[world.pid(world.edge.id)] == node.namespace
        assert await probe.answers(edge.address, edge.ports["control"], "/healthz", 10.0)
        nowhere = replace(world.pe2, name="z")
        with pytest.raises(Unavailable, match="cannot be started"):
            await world.vim.start(OWNER, world.acquirer, nowhere)
        assert set(await world.vim.running()) == {world.edge.id}
