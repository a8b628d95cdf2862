"""Functions that a fork server starts are like others, and live on whichever process is killed."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from support.processes import command_of, descriptors_of, is_dead, state_of
from support.testbed import Testbed
from support.vim_worlds import OWNER, PE1, PE2, ProcessWorld, process_world, until, until_state
from umbel.bootstrap.drivers import FORKED_MEDIA
from umbel.compute.drivers.process import ForkServerProgram, ProcessVim, launch, procfs
from umbel.compute.drivers.process.fork_server import ForkServer
from umbel.compute.model import Function, FunctionState, Instance, Node
from umbel.compute.ports import MachineFull
from umbel.delivery.loop.functions import MEDIA_COMMAND
from umbel.kit import netns
from umbel.kit.starting import StartLimits

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
WITHIN_S = 60.0


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path, MEDIA_COMMAND, forks=FORKED_MEDIA) as it:
        yield it


async def started(vim: ProcessVim, function: Function, node: Node) -> Instance:
    await vim.start(OWNER, function, node)
    return await until_state(vim, function.id, FunctionState.ACTIVE, within_s=WITHIN_S)


def words_of(pid: int) -> list[str]:
    return [word for word in command_of(pid).decode().split("\0") if word]


def is_forked(world: ProcessWorld, function_id: str) -> bool:
    """A process that was started afresh has no more room in its words than they need."""
    return command_of(world.pid(function_id)).endswith(b"\0\0")


def surroundings(pid: int) -> dict[str, object]:
    """What a process has from who started it, as far as the kernel shows it."""
    of = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (of / "status").read_text().splitlines())
    kept = ("Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "SigCgt", "CapEff", "NoNewPrivs")
    process = procfs.read(pid)
    assert process is not None
    files = sorted(name.partition(":")[0] for name in descriptors_of(pid))
    return {
        **{name: status[name] for name in kept},
        **{name: (of / name).read_text() for name in ("limits", "cgroup", "oom_score_adj")},
        "group": os.getpgid(pid) - pid,
        "session": process.session - pid,
        "parent": process.parent,
        "folder": (of / "cwd").readlink(),
        "program": (of / "exe").readlink(),
        "namespace": (of / "ns/net").readlink(),
        "files": [name for name in files if not name.endswith(".log")],
        "environment": {
            name: value
            for name, value in procfs.environment_of(pid).items()
            if name not in {launch.READY_FILE, launch.RECORD, "UMBEL_MEDIA_SECRET"}
        },
    }


async def test_it_has_the_surroundings_of_one_that_is_started_afresh(world: ProcessWorld) -> None:
    forked, fresh = world.described("edge", "pe1"), world.edge
    await started(world.vim, forked, PE1)
    world.vim._fork_server._program = None  # the next one is started afresh
    await started(world.vim, fresh, PE2)
    assert is_forked(world, forked.id)
    assert not is_forked(world, fresh.id)
    assert surroundings(world.pid(forked.id)) == surroundings(world.pid(fresh.id))


def own_kib(pid: int) -> int:
    """Memory that the process has changed or made, and so has for itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [found] = [line.split()[1] for line in lines if line.startswith("Private_Dirty:")]
    return int(found)


async def test_it_has_a_quarter_of_the_memory_of_one_that_is_started_afresh(
    world: ProcessWorld,
) -> None:
    forked, fresh = world.described("edge", "pe1"), world.edge
    await started(world.vim, forked, PE1)
    world.vim._fork_server._program = None  # the next one is started afresh
    await started(world.vim, fresh, PE2)
    assert own_kib(world.pid(forked.id)) * 4 < own_kib(world.pid(fresh.id))


async def test_it_shows_what_it_is(world: ProcessWorld) -> None:
    await started(world.vim, world.edge, PE2)
    pid = world.pid(world.edge.id)
    words = words_of(pid)
    assert words[: len(MEDIA_COMMAND)] == list(MEDIA_COMMAND)
    assert words[words.index("--id") + 1] == world.edge.id
    assert Path(f"/proc/{pid}/comm").read_text().strip() == world.edge.id
    assert procfs.environment_of(pid)[launch.READY_FILE] == str(
        world.records.ready_path(world.edge.id)
    )
    assert "media server up" in world.records.log_path(world.edge.id).read_text()
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path(os.devnull)
    await world.vim.stop(world.edge.id)
    assert procfs.read(pid) is None


async def test_functions_that_start_together_come_from_one_server(world: ProcessWorld) -> None:
    await asyncio.gather(
        world.vim.start(OWNER, world.edge, PE2), world.vim.start(OWNER, world.acquirer, PE1)
    )
    server = world.vim.fork_server_pid
    assert server
    for function in (world.edge, world.acquirer):
        await until_state(world.vim, function.id, FunctionState.ACTIVE, within_s=WITHIN_S)
        assert is_forked(world, function.id)
    assert Path(f"/proc/{server}/comm").read_text().strip() == "umbel-forks"
    assert len(list(Path(f"/proc/{server}/task").iterdir())) == 1


async def test_functions_inherit_no_memory_that_they_would_share(world: ProcessWorld) -> None:
    await started(world.vim, world.edge, PE2)
    mappings = Path(f"/proc/{world.vim.fork_server_pid}/maps").read_text().splitlines()
    assert mappings
    assert [line for line in mappings if line.split()[1].startswith("rw-s")] == []


async def test_one_in_a_namespace_is_forked_into_it(tmp_path: Path, three_nodes: Testbed) -> None:
    async with process_world(tmp_path, MEDIA_COMMAND, three_nodes, FORKED_MEDIA) as world:
        await started(world.vim, world.edge, world.pe2)
        pid = world.pid(world.edge.id)
        assert is_forked(world, world.edge.id)
        assert netns.pids([f"{three_nodes.name}-{world.pe2.name}"])[pid]
        assert (
            Path(f"/proc/{world.vim.fork_server_pid}/ns/net").readlink()
            == Path("/proc/self/ns/net").readlink()
        )


async def test_a_killed_function_is_replaced_on_the_same_ports(world: ProcessWorld) -> None:
    before = await started(world.vim, world.acquirer, PE1)
    world.kill(world.acquirer.id)
    await until_state(world.vim, world.acquirer.id, FunctionState.FAILED)
    after = await started(world.vim, world.acquirer, PE1)
    assert after.ports == before.ports
    assert is_forked(world, world.acquirer.id)


async def test_a_successor_finds_it_although_its_record_is_lost(world: ProcessWorld) -> None:
    before = await started(world.vim, world.edge, PE2)
    pid = world.pid(world.edge.id)
    await world.vim.close()
    (world.state_dir / "functions" / f"{world.edge.id}.json").unlink()
    vim = world.open()
    after = await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    assert (after.owner, after.node, after.ports) == (OWNER, "pe2", before.ports)
    assert world.pid(world.edge.id) == pid


async def test_functions_outlive_their_server_and_still_say_how_they_end(
    world: ProcessWorld,
) -> None:
    await started(world.vim, world.edge, PE2)
    server = world.vim.fork_server_pid
    os.kill(server, signal.SIGKILL)
    await until(lambda: procfs.read(server) is None, what="the server is collected")
    assert (await world.vim.running())[world.edge.id].state is FunctionState.ACTIVE
    await until(lambda: world.vim.fork_server_pid > 0, within_s=WITHIN_S, what="a new server")
    world.kill(world.edge.id)
    failed = await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    assert failed.reason == "killed by signal 9"
    await started(world.vim, world.edge, PE2)
    assert is_forked(world, world.edge.id)


async def test_a_server_that_died_unnoticed_costs_no_start(world: ProcessWorld) -> None:
    await started(world.vim, world.acquirer, PE1)
    server = world.vim.fork_server_pid
    os.kill(server, signal.SIGKILL)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    await started(world.vim, world.edge, PE2)
    assert procfs.read(server) is None


async def test_a_server_that_hangs_is_replaced(world: ProcessWorld) -> None:
    await started(world.vim, world.acquirer, PE1)
    server = world.vim.fork_server_pid
    os.kill(server, signal.SIGSTOP)
    await started(world.vim, world.edge, PE2)
    assert not is_forked(world, world.edge.id)
    assert procfs.read(server) is None
    ready = str(world.records.ready_path(world.edge.id)).encode()
    found = [p.pid for p in procfs.scan() if p.alive and ready in command_of(p.pid)]
    assert found == [world.pid(world.edge.id)]
    await until(lambda: world.vim.fork_server_pid > 0, within_s=WITHIN_S, what="a new server")


async def test_a_server_that_cannot_start_costs_no_start(tmp_path: Path) -> None:
    broken = ForkServerProgram(words=MEDIA_COMMAND, command=(sys.executable, "-c", "raise OSError"))
    async with process_world(tmp_path, MEDIA_COMMAND, forks=broken) as world:
        await started(world.vim, world.edge, PE2)
        assert not is_forked(world, world.edge.id)
        assert world.vim.fork_server_pid == 0


async def test_a_server_without_room_for_a_process_says_so(world: ProcessWorld) -> None:
    await started(world.vim, world.acquirer, PE1)
    server = world.vim.fork_server_pid
    limits = resource.prlimit(server, resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (3, limits[1]))
    with pytest.raises(MachineFull):
        await world.vim.start(OWNER, world.edge, PE2)
    assert world.edge.id not in await world.vim.running()
    resource.prlimit(server, resource.RLIMIT_NOFILE, limits)
    await started(world.vim, world.edge, PE2)
    assert world.vim.fork_server_pid == server


async def test_the_server_ends_with_the_control_plane(world: ProcessWorld) -> None:
    await started(world.vim, world.edge, PE2)
    server = world.vim.fork_server_pid
    await world.vim.close()
    assert is_dead(server)
    assert not is_dead(world.pid(world.edge.id))


KILLED_PLANE = """
import asyncio, json, sys
from pathlib import Path
from support.vim_worlds import OWNER, PE2, ProcessWorld
from umbel.bootstrap.drivers import FORKED_MEDIA
from umbel.delivery.loop.functions import MEDIA_COMMAND

async def run():
    world = ProcessWorld(Path(sys.argv[1]), MEDIA_COMMAND, forks=FORKED_MEDIA)
    await world.vim.start(OWNER, world.edge, PE2)
    print(json.dumps([world.pid(world.edge.id), world.vim.fork_server_pid]), flush=True)
    await asyncio.Event().wait()

asyncio.run(run())
"""


def test_a_server_is_ended_on_uvloop_too(tmp_path: Path) -> None:
    async def ended() -> int:
        server = ForkServer(FORKED_MEDIA, tmp_path / "log", StartLimits())
        await server.ready_for(FORKED_MEDIA.words)
        pid = server.pid
        server.close()
        return pid

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pid = runner.run(ended())
    assert pid
    assert is_dead(pid)


async def test_functions_outlive_a_control_plane_that_is_killed_and_its_server_does_not(
    world: ProcessWorld, tmp_path: Path
) -> None:
    """Also one that is killed while its function starts."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_PLANE, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as plane:
        try:
            assert plane.stdout is not None
            line = await asyncio.to_thread(plane.stdout.readline)
        finally:
            plane.kill()
    pid, server = json.loads(line)
    await until(lambda: is_dead(server), within_s=WITHIN_S, what="the server has ended")
    vim = world.open()
    await until_state(vim, world.edge.id, FunctionState.ACTIVE, within_s=WITHIN_S)
    assert world.pid(world.edge.id) == pid
    await vim.stop(world.edge.id)
    assert state_of(pid) in {"", "Z"}
