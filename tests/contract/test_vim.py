"""What every VIM driver does, by the same words for all of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.testbed import Testbed
from support.vim_worlds import (
    FakeWorld,
    World,
    process_world,
    settled,
    until,
    until_state,
)
from umbel.compute.drivers.process import launch
from umbel.compute.model import Function, FunctionState, Role
from umbel.compute.ports import Feature

ACQUIRER = Function(id="acquirer-pe1-1", role=Role.ACQUIRER, node="pe1")
EDGE = Function(id="edge-pe2-1", role=Role.EDGE, node="pe2")


KINDS = ("stand-in", "media", "netns")
REAL_PROCESSES = [pytest.param(name, marks=pytest.mark.lab) for name in KINDS]


@pytest.fixture(params=["fake", *REAL_PROCESSES])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    command = launch.MEDIA_COMMAND if request.param == "media" else ()
    testbed: Testbed | None = None
    if request.param == "netns":
        testbed = request.getfixturevalue("three_nodes")
    async with process_world(tmp_path, command, testbed) as real:
        yield real


async def test_a_function_boots_and_becomes_active_at_its_node(world: World) -> None:
    assert await world.vim.running() == {}
    await world.vim.spawn(ACQUIRER, world.pe1)
    await world.vim.spawn(EDGE, world.pe2)
    young = (await world.vim.running())[EDGE.id]
    assert young.state in {FunctionState.BOOTING, FunctionState.ACTIVE}
    assert bool(young.ports) is (young.state is FunctionState.ACTIVE)
    edge = await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)
    acquirer = await until_state(world.vim, ACQUIRER.id, FunctionState.ACTIVE)
    assert (edge.id, edge.role) == (EDGE.id, Role.EDGE)
    assert (edge.node, edge.address) == (world.pe2.name, world.pe2.address)
    assert (acquirer.node, acquirer.address) == (world.pe1.name, world.pe1.address)
    assert set(edge.ports) == {"control", "http", "udp"}
    assert set(acquirer.ports) == {"control", "http", "udp", "rtmp"}
    assert all(0 < port < 65536 for port in acquirer.ports.values())
    assert edge.started_s > 1_600_000_000
    assert edge.reason == ""


async def test_ready_and_death_are_told(world: World) -> None:
    told: list[str] = []
    world.vim.watch(told.append)
    await world.vim.spawn(EDGE, world.pe2)
    await until(lambda: told == [EDGE.id], what="told of readiness")
    assert (await world.vim.running())[EDGE.id].state is FunctionState.ACTIVE
    world.kill(EDGE.id)
    await until(lambda: told == [EDGE.id] * 2, what="told of death")
    dead = (await world.vim.running())[EDGE.id]
    assert dead.state is FunctionState.FAILED
    assert dead.reason == "killed by signal 9"
    assert (dict(dead.ports), dead.cpu_cores, dead.rss_mb) == ({}, 0, 0)


async def test_every_watcher_is_told(world: World) -> None:
    first: list[str] = []
    second: list[str] = []
    world.vim.watch(first.append)
    world.vim.watch(second.append)
    await world.vim.spawn(EDGE, world.pe2)
    await until(lambda: first == second == [EDGE.id], what="both told")


async def test_a_running_function_is_left_alone(world: World) -> None:
    await world.vim.spawn(EDGE, world.pe2)
    before = settled(await until_state(world.vim, EDGE.id, FunctionState.ACTIVE))
    await world.vim.spawn(EDGE, world.pe2)
    assert settled((await world.vim.running())[EDGE.id]) == before


async def test_a_failed_function_comes_back_on_its_ports(world: World) -> None:
    await world.vim.spawn(ACQUIRER, world.pe1)
    ports = (await until_state(world.vim, ACQUIRER.id, FunctionState.ACTIVE)).ports
    for _ in range(2):
        world.kill(ACQUIRER.id)
        await until_state(world.vim, ACQUIRER.id, FunctionState.FAILED)
        await world.vim.spawn(ACQUIRER, world.pe1)
        again = await until_state(world.vim, ACQUIRER.id, FunctionState.ACTIVE)
        assert again.ports == ports
        assert again.reason == ""


async def test_a_function_killed_while_booting_has_failed(world: World) -> None:
    await world.vim.spawn(EDGE, world.pe2)
    world.kill(EDGE.id)
    await until_state(world.vim, EDGE.id, FunctionState.FAILED)


async def test_terminate_ends_what_there_is_and_minds_nothing_absent(world: World) -> None:
    await world.vim.terminate("never-heard-of")
    await world.vim.spawn(EDGE, world.pe2)
    await world.vim.spawn(ACQUIRER, world.pe1)
    await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)
    await world.vim.terminate(EDGE.id)
    assert set(await world.vim.running()) == {ACQUIRER.id}
    await asyncio.gather(world.vim.terminate(ACQUIRER.id), world.vim.terminate(ACQUIRER.id))
    assert await world.vim.running() == {}


async def test_terminating_is_not_told_as_a_failure(world: World) -> None:
    told: list[str] = []
    await world.vim.spawn(EDGE, world.pe2)
    await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)
    world.vim.watch(told.append)
    await world.vim.terminate(EDGE.id)
    await world.vim.spawn(ACQUIRER, world.pe1)
    await until(lambda: bool(told), what="told of the other's readiness")
    assert told == [ACQUIRER.id]


async def test_a_failed_function_can_be_terminated(world: World) -> None:
    await world.vim.spawn(EDGE, world.pe2)
    await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)
    world.kill(EDGE.id)
    await until_state(world.vim, EDGE.id, FunctionState.FAILED)
    await world.vim.terminate(EDGE.id)
    assert await world.vim.running() == {}


async def test_spawn_right_after_terminate_starts_anew(world: World) -> None:
    await world.vim.spawn(EDGE, world.pe2)
    await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)
    ending = asyncio.create_task(world.vim.terminate(EDGE.id))
    await asyncio.sleep(0)
    await world.vim.spawn(EDGE, world.pe2)
    await ending
    await until_state(world.vim, EDGE.id, FunctionState.ACTIVE)


async def test_functions_outlive_the_control_plane(world: World) -> None:
    assert Feature.SURVIVES_CONTROL_PLANE in world.vim.features
    await world.vim.spawn(EDGE, world.pe2)
    before = settled(await until_state(world.vim, EDGE.id, FunctionState.ACTIVE))
    successor = await world.reopen()
    assert settled((await successor.running())[EDGE.id]) == before
    told: list[str] = []
    successor.watch(told.append)
    world.kill(EDGE.id)
    await until(lambda: told == [EDGE.id], what="successor told of death")


async def test_nobody_is_told_after_close(world: World) -> None:
    told: list[str] = []
    world.vim.watch(told.append)
    await world.vim.spawn(EDGE, world.pe2)
    successor = await world.reopen()
    await until_state(successor, EDGE.id, FunctionState.ACTIVE)
    assert told == []
