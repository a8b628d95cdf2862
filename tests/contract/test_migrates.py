"""What every VIM that moves running functions does, by the same words for all of them."""

import pytest

from support.vim_worlds import OWNER, FakeWorld, until, until_state
from umbel.compute.model import FunctionState, MoveKind
from umbel.compute.ports import Migrates
from umbel.kit.errors import Exhausted, NotFound


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.mark.parametrize("how", MoveKind)
async def test_a_function_is_active_on_the_other_node_afterwards(
    world: FakeWorld, how: MoveKind
) -> None:
    assert isinstance(world.vim, Migrates)
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    told: list[str] = []
    world.vim.watch(told.append)
    await world.vim.move(world.edge, world.pe1, how)
    seen = await world.vim.running()
    assert set(seen) == {world.edge.id}
    after = seen[world.edge.id]
    assert (after.state, after.owner) == (FunctionState.ACTIVE, OWNER)
    assert (after.node, after.address) == (world.pe1.name, world.pe1.address)
    assert (after.started_s, set(after.ports)) == (before.started_s, set(before.ports))
    await until(lambda: told == [world.edge.id], what="told of the move")


async def test_a_refused_move_leaves_the_function_where_it_was(world: FakeWorld) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    before = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    world.vim.refuse(world.pe1.name)
    with pytest.raises(Exhausted):
        await world.vim.move(world.edge, world.pe1, MoveKind.SHARED_STORAGE)
    assert (await world.vim.running())[world.edge.id] == before


async def test_only_a_running_function_is_moved(world: FakeWorld) -> None:
    with pytest.raises(NotFound):
        await world.vim.move(world.edge, world.pe1, MoveKind.SHARED_STORAGE)
    await world.vim.start(OWNER, world.edge, world.pe2)
    world.kill(world.edge.id)
    with pytest.raises(NotFound):
        await world.vim.move(world.edge, world.pe1, MoveKind.SHARED_STORAGE)
