"""What every VIM driver does, by the same words for all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from support import kube_api, libvirtd, openstack_cloud
from support.kube_worlds import kube_world
from support.libvirt_worlds import libvirt_world
from support.openstack_worlds import openstack_world
from support.ssh_worlds import ssh_world
from support.sshd import ABSENT
from support.testbed import Testbed
from support.vim_worlds import (
    OWNER,
    FakeWorld,
    World,
    process_world,
    settled,
    until,
    until_state,
)
from umbel.bootstrap.drivers import FORKED_MEDIA
from umbel.compute.model import FunctionState
from umbel.compute.ports import FunctionTaken
from umbel.delivery.loop.functions import MEDIA_COMMAND

KINDS = ("stand-in", "media", "netns", "forked", "forked-netns")
OVER_SSH = ("ssh", "ssh-media", "ssh-netns")
SSHD = pytest.mark.skipif(bool(ABSENT), reason=ABSENT)
LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL_GUESTS = pytest.param("libvirt", marks=[pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD])
REAL_PODS = pytest.param(
    "kubernetes",
    marks=[
        pytest.mark.clouds,
        pytest.mark.timeout(600),
        pytest.mark.skipif(bool(kube_api.ABSENT), reason=kube_api.ABSENT),
    ],
)
REAL_SERVERS = pytest.param(
    "openstack",
    marks=[
        pytest.mark.clouds,
        pytest.mark.timeout(900),
        pytest.mark.skipif(bool(openstack_cloud.ABSENT), reason=openstack_cloud.ABSENT),
    ],
)
REAL_PROCESSES = [pytest.param(name, marks=pytest.mark.lab) for name in KINDS]


REAL_MACHINES = [pytest.param(name, marks=[pytest.mark.lab, SSHD]) for name in OVER_SSH]


ALL = ["fake", *REAL_PROCESSES, *REAL_MACHINES, REAL_GUESTS, REAL_PODS, REAL_SERVERS]


@pytest.fixture(params=ALL)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    if request.param == "libvirt":
        async with libvirt_world(request.getfixturevalue("two_hypervisors")) as guests:
            yield guests
        return
    if request.param == "kubernetes":
        async with kube_world(request.getfixturevalue("two_kubelets"), tmp_path) as pods:
            yield pods
        return
    if request.param == "openstack":
        async with openstack_world(request.getfixturevalue("two_computes")) as servers:
            yield servers
        return
    is_media = "media" in request.param or "forked" in request.param
    command = MEDIA_COMMAND if is_media else ()
    testbed: Testbed | None = None
    if request.param.endswith("netns"):
        testbed = request.getfixturevalue("three_nodes")
    make: Callable[..., AbstractAsyncContextManager[World]] = process_world
    if request.param in OVER_SSH:
        make = ssh_world
    if request.param.startswith("forked"):
        make = partial(process_world, forks=FORKED_MEDIA)
    async with make(tmp_path, command, testbed) as real:
        yield real


def reasons(world: World) -> tuple[str, ...]:
    """What may be said of a function that was killed."""
    return world.killed if isinstance(world.killed, tuple) else (world.killed,)


async def test_a_function_boots_and_becomes_active_at_its_node(world: World) -> None:
    assert await world.vim.running() == {}
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    await world.vim.start(OWNER, world.edge, world.pe2)
    young = (await world.vim.running())[world.edge.id]
    assert young.state in {FunctionState.BOOTING, FunctionState.ACTIVE}
    assert bool(young.ports) is (young.state is FunctionState.ACTIVE)
    edge = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    acquirer = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    assert (edge.id, edge.owner, edge.description) == (world.edge.id, OWNER, "edge")
    assert (edge.node, edge.address) == (world.pe2.name, world.pe2.address)
    assert (acquirer.node, acquirer.address) == (world.pe1.name, world.pe1.address)
    assert set(edge.ports) == {"control", "tls", "http", "udp"}
    assert set(acquirer.ports) == {"control", "tls", "http", "udp", "rtmp"}
    assert all(0 < port < 65536 for port in acquirer.ports.values())
    assert edge.started_s > 1_600_000_000
    assert edge.reason == ""


async def test_ready_and_death_are_told(world: World) -> None:
    told: list[str] = []
    world.vim.watch(told.append)
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until(lambda: told == [world.edge.id], what="told of readiness")
    assert (await world.vim.running())[world.edge.id].state is FunctionState.ACTIVE
    world.kill(world.edge.id)
    await until(lambda: told == [world.edge.id] * 2, what="told of death")
    dead = (await world.vim.running())[world.edge.id]
    assert dead.state is FunctionState.FAILED
    assert dead.reason in reasons(world)
    assert (dict(dead.ports), dead.cpu_cores, dead.rss_mb) == ({}, 0, 0)


async def test_every_watcher_is_notified_once(world: World) -> None:
    first: list[str] = []
    second: list[str] = []
    world.vim.watch(first.append)
    world.vim.watch(second.append)
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until(lambda: bool(first and second), what="both notified")
    assert first == second == [world.edge.id]


async def test_a_running_function_is_left_alone(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = settled(await until_state(world.vim, world.edge.id, FunctionState.ACTIVE))
    await world.vim.start(OWNER, world.edge, world.pe2)
    assert settled((await world.vim.running())[world.edge.id]) == before


async def test_a_failed_function_comes_back_on_its_ports(world: World) -> None:
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    ports = (await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)).ports
    for _ in range(2):
        world.kill(world.acquirer.id)
        await until_state(world.vim, world.acquirer.id, FunctionState.FAILED)
        await world.vim.start(OWNER, world.acquirer, world.pe1)
        again = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
        assert again.ports == ports
        assert again.reason == ""


async def test_a_function_killed_while_booting_has_failed(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    world.kill(world.edge.id)
    failed = await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    assert failed.reason in reasons(world)


async def test_stop_ends_what_there_is_and_accepts_what_is_absent(world: World) -> None:
    await world.vim.stop("never-heard-of")
    await world.vim.start(OWNER, world.edge, world.pe2)
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    await world.vim.stop(world.edge.id)
    assert set(await world.vim.running()) == {world.acquirer.id}
    await asyncio.gather(world.vim.stop(world.acquirer.id), world.vim.stop(world.acquirer.id))
    assert await world.vim.running() == {}


async def test_terminating_is_not_told_as_a_failure(world: World) -> None:
    told: list[str] = []
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    world.vim.watch(told.append)
    await world.vim.stop(world.edge.id)
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    await until(lambda: bool(told), what="told of the other's readiness")
    assert told == [world.acquirer.id]


async def test_a_failed_function_can_be_stopped(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    world.kill(world.edge.id)
    await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    await world.vim.stop(world.edge.id)
    assert await world.vim.running() == {}


async def test_start_right_after_stop_starts_again(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    ending = asyncio.create_task(world.vim.stop(world.edge.id))
    await asyncio.sleep(0)
    await world.vim.start(OWNER, world.edge, world.pe2)
    await ending
    again = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    assert again.reason == ""


async def test_functions_outlive_the_control_plane(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = settled(await until_state(world.vim, world.edge.id, FunctionState.ACTIVE))
    successor = await world.reopen()
    assert settled((await successor.running())[world.edge.id]) == before
    told: list[str] = []
    successor.watch(told.append)
    world.kill(world.edge.id)
    await until(lambda: told == [world.edge.id], what="successor told of death")


async def test_nobody_is_told_after_close(world: World) -> None:
    told: list[str] = []
    world.vim.watch(told.append)
    await world.vim.start(OWNER, world.edge, world.pe2)
    successor = await world.reopen()
    await until_state(successor, world.edge.id, FunctionState.ACTIVE)
    assert told == []


async def test_an_id_belongs_to_its_owner(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = settled(await until_state(world.vim, world.edge.id, FunctionState.ACTIVE))
    with pytest.raises(FunctionTaken):
        await world.vim.start("mano", world.edge, world.pe2)
    assert settled((await world.vim.running())[world.edge.id]) == before
    world.kill(world.edge.id)
    await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    with pytest.raises(FunctionTaken):
        await world.vim.start("mano", world.edge, world.pe2)
    await world.vim.stop(world.edge.id)
    await world.vim.start("mano", world.edge, world.pe2)
    seen = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    assert seen.owner == "mano"


async def test_owners_are_known_to_the_next_control_plane(world: World) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await world.vim.start("mano", world.acquirer, world.pe1)
    successor = await world.reopen()
    found = {id_: (i.owner, i.description) for id_, i in (await successor.running()).items()}
    assert found == {
        world.edge.id: (OWNER, "edge"),
        world.acquirer.id: ("mano", "acquirer"),
    }
