"""What every VIM that moves running functions does, by the same words for all of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support import libvirtd
from support.moving_worlds import MovingFakes, MovingWorld, moving_guests
from support.vim_worlds import OWNER, settled, until, until_state
from umbel.compute.model import FunctionState, Instance, MoveKind, MoveResult
from umbel.compute.ports import Migrates, ReportsMoves
from umbel.kit.errors import NotFound, UmbelError

LIBVIRTD = pytest.mark.skipif(bool(libvirtd.ABSENT), reason=libvirtd.ABSENT)
REAL = [pytest.mark.lab, pytest.mark.timeout(600), LIBVIRTD]
SHARED, FULL = MoveKind.SHARED_STORAGE, MoveKind.FULL_TRANSFER


@pytest.fixture(params=["fake", pytest.param("libvirt", marks=REAL)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MovingWorld]:
    if request.param == "fake":
        yield MovingFakes()
        return
    how = request.node.callspec.params.get("how", FULL)
    storage = tmp_path if how is SHARED else None
    async with moving_guests(request.getfixturevalue("two_hypervisors"), storage) as guests:
        yield guests


async def begun(world: MovingWorld) -> Instance:
    """The function runs at pe2."""
    await world.vim.start(OWNER, world.edge, world.pe2)
    return settled(await until_state(world.vim, world.edge.id, FunctionState.ACTIVE))


async def copying(world: MovingWorld) -> "asyncio.Task[MoveResult]":
    """A move in the middle of its copy."""
    world.slow_copies()
    move = asyncio.create_task(world.vim.move(world.edge, world.pe1, FULL))

    def is_under_way() -> bool:
        assert not move.done(), move.exception()
        seen = world.vim.progress(world.edge.id)
        return seen is not None and 0 < seen.copied_mb < seen.total_mb

    await until(is_under_way, what="the copy is under way")
    return move


async def seen_once(world: MovingWorld) -> Instance:
    """The function, which runs exactly once, where it is seen."""
    seen = await world.vim.running()
    assert set(seen) == {world.edge.id}
    one = seen[world.edge.id]
    assert await asyncio.to_thread(world.running_at, one.id) == [one.node]
    return settled(one)


async def check_moves(world: MovingWorld, before: Instance) -> None:
    """The function is moved, and nothing of it is left where it was."""
    world.slow_copies(is_slow=False)
    result = await world.vim.move(world.edge, world.pe1, FULL)
    assert result.copied_mb > 0
    assert await seen_once(world) == replace(before, node=world.pe1.name)
    assert list(world.left(world.pe2.name)) == []


@pytest.mark.parametrize("how", MoveKind)
async def test_a_function_is_active_on_the_other_node_afterwards(
    world: MovingWorld, how: MoveKind
) -> None:
    assert isinstance(world.vim, Migrates)
    assert isinstance(world.vim, ReportsMoves)
    before = await begun(world)
    told: list[str] = []
    world.vim.watch(told.append)
    result = await world.vim.move(world.edge, world.pe1, how)
    assert result.gap_s is not None
    after = await seen_once(world)
    assert after == replace(before, node=world.pe1.name)
    await until(lambda: told == [world.edge.id], what="told of the move")
    await world.vim.settle(world.edge.id)
    assert await seen_once(world) == after


@pytest.mark.parametrize("how", MoveKind)
async def test_it_moves_back(world: MovingWorld, how: MoveKind) -> None:
    before = await begun(world)
    await world.vim.move(world.edge, world.pe1, how)
    await world.vim.move(world.edge, world.pe2, how)
    assert await seen_once(world) == before


async def test_a_refused_move_leaves_the_function_where_it_was(world: MovingWorld) -> None:
    before = await begun(world)
    await world.vim.running()
    world.refuse(world.pe1.name)
    with pytest.raises(UmbelError):
        await world.vim.move(world.edge, world.pe1, FULL)
    assert await seen_once(world) == before


async def test_who_calls_during_a_copy_joins_it(world: MovingWorld) -> None:
    before = await begun(world)
    told: list[str] = []
    world.vim.watch(told.append)
    moves = [world.vim.move(world.edge, world.pe1, FULL) for _ in range(2)]
    one, other = await asyncio.gather(*moves)
    assert one == other
    assert await seen_once(world) == replace(before, node=world.pe1.name)
    await until(lambda: told == [world.edge.id], what="told of one move")


async def test_a_cancelled_move_leaves_the_function_where_it_was(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    move.cancel()
    await asyncio.wait({move})
    assert await seen_once(world) == before
    assert list(world.left(world.pe1.name)) == []
    await check_moves(world, before)


async def test_a_copy_goes_on_while_somebody_waits_for_it(world: MovingWorld) -> None:
    before = await begun(world)
    first = await copying(world)
    second = asyncio.create_task(world.vim.move(world.edge, world.pe1, FULL))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    assert not second.done()
    world.slow_copies(is_slow=False)
    await second
    assert await seen_once(world) == replace(before, node=world.pe1.name)


async def test_a_move_that_is_settled_ends(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    await world.vim.settle(world.edge.id)
    with pytest.raises(UmbelError):
        await move
    assert await seen_once(world) == before
    assert list(world.left(world.pe1.name)) == []


async def test_a_function_that_is_stopped_is_not_moved(world: MovingWorld) -> None:
    await begun(world)
    move = await copying(world)
    await world.vim.stop(world.edge.id)
    with pytest.raises(UmbelError):
        await move
    assert await world.vim.running() == {}
    assert [*world.left(world.pe1.name), *world.left(world.pe2.name)] == []


async def test_a_target_that_dies_leaves_the_function_where_it_was(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    await asyncio.to_thread(world.lose, world.pe1.name)
    with pytest.raises(UmbelError):
        await move
    assert await seen_once(world) == before
    await asyncio.to_thread(world.regain, world.pe1.name)

    async def is_clean() -> bool:
        return await world.vim.running() != {} and list(world.left(world.pe1.name)) == []

    await until(is_clean, what="nothing is left at the target")
    await check_moves(world, before)


async def test_a_source_that_dies_takes_the_function_with_it(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    await asyncio.to_thread(world.lose, world.pe2.name)
    with pytest.raises(UmbelError):
        await move
    assert await asyncio.to_thread(world.running_at, world.edge.id) == []
    await asyncio.to_thread(world.regain, world.pe2.name)
    failed = await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    assert failed.node == world.pe2.name
    await world.vim.settle(world.edge.id)
    assert list(world.left(world.pe1.name)) == []
    await world.vim.start(OWNER, world.edge, world.pe2)
    again = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    assert (again.node, again.address, again.ports) == (before.node, before.address, before.ports)


async def test_a_link_that_is_cut_leaves_the_function_where_it_was(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    world.cut()
    with pytest.raises(UmbelError):
        await move
    assert await seen_once(world) == before
    assert list(world.left(world.pe1.name)) == []
    world.cut(is_cut=False)
    await check_moves(world, before)


async def test_a_control_plane_that_ends_leaves_one_function(world: MovingWorld) -> None:
    before = await begun(world)
    move = await copying(world)
    world.vim = await world.reopen()  # type: ignore[misc]
    await world.vim.settle(world.edge.id)
    await asyncio.wait({move})
    after = await seen_once(world)
    assert after in (before, replace(before, node=world.pe1.name))


async def test_only_a_running_function_is_moved(world: MovingWorld) -> None:
    with pytest.raises(NotFound):
        await world.vim.move(world.edge, world.pe1, FULL)
    await begun(world)
    world.kill(world.edge.id)
    await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    with pytest.raises(NotFound):
        await world.vim.move(world.edge, world.pe1, FULL)
