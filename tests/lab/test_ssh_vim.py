"""Functions on machines over SSH: what the contract does not say, with OpenSSH's own server."""

import asyncio
import os
import select
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.ssh_worlds import PATIENT, SshWorld, ssh_world
from support.sshd import ABSENT
from support.vim_worlds import OWNER, STAND_IN, settled, until, until_state
from umbel.compute.drivers.process import procfs
from umbel.compute.drivers.ssh.surroundings import SshLimits
from umbel.compute.model import FunctionState
from umbel.compute.ports import CannotRun
from umbel.kit.errors import Unavailable

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(ABSENT), reason=ABSENT)]

HURRIED = replace(PATIENT, ssh=SshLimits(connect_s=60.0, keep_alive_s=0.2, keep_alives=2))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SshWorld]:
    async with ssh_world(tmp_path) as made:
        yield made


async def test_a_machine_that_is_away_hides_nothing_of_the_others(world: SshWorld) -> None:
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    await world.vim.start(OWNER, world.edge, world.pe2)
    acquirer = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    edge = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    told: list[str] = []
    world.vim.watch(told.append)
    server = world.servers[world.pe2.name]
    server.stop()
    await until(lambda: world.edge.id in told, what="told of the loss")
    seen = await world.vim.running()
    assert world.vim.lost_nodes == {world.pe2.name}
    assert settled(seen[acquirer.id]) == settled(acquirer)
    assert settled(seen[edge.id]) == settled(edge)
    assert set(await world.vim.hosts([world.pe1, world.pe2])) == {world.pe1.name}
    with pytest.raises(Unavailable):
        await world.vim.stop(edge.id)
    pid = world.pid(edge.id)
    server.start()

    async def is_back() -> bool:
        await world.vim.running()
        return not world.vim.lost_nodes

    await until(is_back, within_s=90.0, what="the machine is back")
    assert settled((await world.vim.running())[edge.id]) == settled(edge)
    assert world.pid(edge.id) == pid


async def test_a_function_is_stopped_although_another_machine_is_away(world: SshWorld) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    pidfd = os.pidfd_open(world.pid(world.edge.id))
    again = await world.reopen()  # does not know yet where it runs
    world.servers[world.pe1.name].stop()
    with pytest.raises(Unavailable):
        await again.stop(world.edge.id)
    assert select.select([pidfd], [], [], 60.0)[0]
    os.close(pidfd)
    world.servers[world.pe1.name].start()


async def test_a_machine_that_was_removed_is_left_once(world: SshWorld) -> None:
    await world.vim.running()
    del world.rows.machines[world.pe1.name]
    found = await asyncio.gather(*(world.vim.running() for _ in range(3)))
    assert found == [{}] * 3
    assert await world.vim.hosts([world.pe1]) == {}


async def test_a_lost_connection_is_opened_again_and_functions_are_adopted(
    world: SshWorld,
) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = settled(await until_state(world.vim, world.edge.id, FunctionState.ACTIVE))
    pid = world.pid(world.edge.id)
    told: list[str] = []
    world.vim.watch(told.append)
    world.servers[world.pe2.name].drop_connections()
    await until(lambda: bool(told), what="told of the loss")
    assert settled((await world.vim.running())[world.edge.id]) == before
    assert world.vim.lost_nodes == frozenset()
    assert world.pid(world.edge.id) == pid
    told.clear()
    world.kill(world.edge.id)
    await until(lambda: told == [world.edge.id], what="told of death by the next session")
    assert (await world.vim.running())[world.edge.id].state is FunctionState.FAILED


async def test_another_host_key_starts_nothing(world: SshWorld) -> None:
    machine = world.rows.machines[world.pe2.name]
    other = world.servers[world.pe1.name].host_key
    world.rows.machines[world.pe2.name] = replace(machine, host_key=other)
    await world.vim.running()
    assert world.vim.lost_nodes == {world.pe2.name}
    with pytest.raises(Unavailable, match="another host key"):
        await world.vim.start(OWNER, world.edge, world.pe2)
    assert world.records(world.pe2.name).ids() == []


async def test_a_node_that_is_no_machine_runs_nothing(world: SshWorld) -> None:
    del world.rows.machines[world.pe2.name]
    with pytest.raises(CannotRun, match="no machine of the pool"):
        await world.vim.start(OWNER, world.edge, world.pe2)


async def test_a_machine_is_measured(world: SshWorld) -> None:
    usage = (await world.vim.hosts([world.pe1]))[world.pe1.name]
    assert usage.host == os.uname().nodename
    assert usage.memory_mb > 256


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: another user cannot be taken on")
async def test_roots_functions_run_as_an_unprivileged_user(world: SshWorld, tmp_path: Path) -> None:
    public = Path(tempfile.mkdtemp(prefix="umbel-public-"))
    try:
        public.chmod(0o755)
        program = public / "stand_in.py"
        shutil.copy(STAND_IN, program)
        program.chmod(0o644)
        (public / "town").mkdir()
        shutil.copytree(tmp_path / world.pe2.name / "bundles", public / "town" / "bundles")
        machine = world.rows.machines[world.pe2.name]
        world.rows.machines[world.pe2.name] = replace(
            machine, prefix=str(public / "town"), run_as="nobody"
        )
        function = world.described(world.pe2, ("/usr/bin/python3", str(program)))
        await world.vim.start(OWNER, function, world.pe2)
        await until_state(world.vim, function.id, FunctionState.ACTIVE)
        record = (public / "town" / "state" / "functions" / f"{function.id}.json").read_text()
        pid = int(record.split('"pid": ')[1].split(",")[0])
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split()
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) == 0
        assert fields["Groups"].split() in ([], [fields["Gid"].split()[0]])
        environment = procfs.environment_of(pid)
        assert environment["HOME"] == str(public / "town" / "state" / "home")
        await world.vim.stop(function.id)
    finally:
        shutil.rmtree(public)


async def test_a_session_of_a_connection_that_hangs_is_given_up(world: SshWorld) -> None:
    """As when the network between swallows packets: no reset comes, keep-alives find it."""
    vim = world.open(HURRIED)
    await vim.start(OWNER, world.edge, world.pe2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    told: list[str] = []
    vim.watch(told.append)
    for pid in world.servers[world.pe2.name].sessions():
        os.kill(pid, 19)
    await until(lambda: bool(told), what="told of the loss")
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    assert (await vim.running()).keys() == {world.edge.id}
    await until(lambda: not vim.lost_nodes, what="reached again")
