"""Owners over real processes, and functions that are any command."""

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.vim_worlds import (
    HURRIED,
    OWNER,
    PE1,
    PE2,
    ProcessWorld,
    process_world,
    until_state,
)
from umbel.compute import probe
from umbel.compute.drivers.process import ProcessVim
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    HealthCheck,
    Inventory,
    Port,
    Resources,
)
from umbel.compute.ports import CannotRun
from umbel.compute.service import Compute
from umbel.kit.clock import SystemClock
from umbel.kit.starting import StartLimits

pytestmark = pytest.mark.lab
SERVER = (sys.executable, "-m", "http.server", "{ports[http]}", "--bind", "{address}")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    async with process_world(tmp_path) as real:
        yield real


def compute_over(world: ProcessWorld, vim: ProcessVim | None = None) -> Compute:
    inventory = Inventory(nodes=(PE1, PE2))
    return Compute(inventory, vim or world.vim, SystemClock(), owners=(OWNER, "mano"))


def any_command(**other: Any) -> Function:
    """A function that knows nothing of Umbel."""
    wanted: dict[str, Any] = {
        "command": SERVER,
        "ports": (Port(name="http"),),
        "health": HealthCheck(port="http", path="/"),
    }
    description = Description(name="cache", resources=Resources(cores=0.1), **wanted | other)
    return Function(id="cache-1", node="pe2", description=description)


async def test_compute_restarts_the_dead_and_stops_what_is_not_wanted(
    world: ProcessWorld,
) -> None:
    compute = compute_over(world)
    edge, acquirer = world.edge, world.acquirer
    both = {acquirer.id: acquirer, edge.id: edge}
    assert set((await compute.ensure(OWNER, both)).started) == set(both)
    ports = (await until_state(world.vim, acquirer.id, FunctionState.ACTIVE)).ports
    world.kill(acquirer.id)
    await until_state(world.vim, acquirer.id, FunctionState.FAILED)
    done = await compute.ensure(OWNER, {acquirer.id: acquirer})
    assert (done.started, done.stopped) == ((acquirer.id,), (edge.id,))
    assert (await until_state(world.vim, acquirer.id, FunctionState.ACTIVE)).ports == ports
    await compute.stop_all()
    assert await compute.running() == {}


async def test_two_owners_live_side_by_side_through_crash_and_restart(
    world: ProcessWorld,
) -> None:
    compute, edge, cache = compute_over(world), world.edge, any_command()
    await compute.ensure(OWNER, {edge.id: edge})
    await compute.ensure("mano", {cache.id: cache})
    await until_state(world.vim, edge.id, FunctionState.ACTIVE)
    before = await until_state(world.vim, cache.id, FunctionState.ACTIVE)
    pid = world.pid(cache.id)
    world.kill(edge.id)
    await until_state(world.vim, edge.id, FunctionState.FAILED)
    await compute.close()
    restarted = compute_over(world, world.open())
    assert (await restarted.ensure(OWNER, {edge.id: edge})).started == (edge.id,)
    assert (await restarted.ensure(OWNER, {})).stopped == (edge.id,)
    seen = (await restarted.running())[cache.id]
    assert (seen.owner, seen.description, seen.state) == ("mano", "cache", FunctionState.ACTIVE)
    assert (seen.ports, world.pid(cache.id)) == (before.ports, pid)
    assert (await restarted.ensure("mano", {})).stopped == (cache.id,)
    assert await restarted.running() == {}


async def test_any_command_runs_under_its_guard(world: ProcessWorld) -> None:
    cache = any_command()
    await world.vim.start("mano", cache, PE2)
    before = await until_state(world.vim, cache.id, FunctionState.ACTIVE)
    assert set(before.ports) == {"http"}
    assert await probe.answers(PE2.address, before.ports["http"], "/", 10.0)
    world.kill(cache.id)
    dead = await until_state(world.vim, cache.id, FunctionState.FAILED)
    assert dead.reason == "killed by signal 9"
    await world.vim.start("mano", cache, PE2)
    after = await until_state(world.vim, cache.id, FunctionState.ACTIVE)
    assert after.ports == before.ports


async def test_a_command_that_fails_its_health_check_is_never_ready(world: ProcessWorld) -> None:
    cache = any_command(health=HealthCheck(port="http", path="/nothing-there"))
    vim = world.open(limits=replace(HURRIED, start=StartLimits(asleep_s=1.0)))
    await vim.start("mano", cache, PE2)
    seen = await until_state(vim, cache.id, FunctionState.FAILED)
    assert seen.reason == "not ready after 1 s of sleep"


async def test_a_command_without_a_health_check_is_ready_while_it_runs(
    world: ProcessWorld,
) -> None:
    sleeper = any_command(command=("sleep", "1000"), ports=(), health=None)
    await world.vim.start("mano", sleeper, PE2)
    await until_state(world.vim, sleeper.id, FunctionState.ACTIVE)
    world.kill(sleeper.id)
    await until_state(world.vim, sleeper.id, FunctionState.FAILED)


async def test_an_image_or_an_unknown_port_cannot_run(world: ProcessWorld) -> None:
    image = any_command(command=(), image="docker.io/library/nginx")
    with pytest.raises(CannotRun, match="no command"):
        await world.vim.start("mano", image, PE2)
    with pytest.raises(CannotRun, match="ports"):
        await world.vim.start("mano", any_command(command=("x", "{ports[udp]}")), PE2)
    assert await world.vim.running() == {}
