"""`ensure` next to a move: it neither stops, starts nor undoes what is being moved."""

import asyncio

import pytest

from support.vim_worlds import until_state
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    Inventory,
    Move,
    MoveKind,
    Node,
    NodeKind,
    Resources,
)
from umbel.compute.service import CannotMigrate, Compute
from umbel.kit.clock import LoopClock
from umbel.kit.errors import NotFound

OURS = "delivery"
PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1")
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1")
FAR = Node(name="far", kind=NodeKind.PROVIDER_EDGE, address="127.0.3.1", pool="guests")
DESCRIPTION = Description(name="edge", resources=Resources(cores=0.1, memory_mb=64))
EDGE = Function(id="edge-1", node="pe1", description=DESCRIPTION)
MOVED = Function(id="edge-1", node="pe2", description=DESCRIPTION)
COPYING = Move(source="pe1", target="pe2", is_copying=True)
MADE = Move(source="pe1", target="pe2", is_copying=False)


class Rig:
    """Compute over a fake whose function runs on pe1; `moves` is what it hears of moves."""

    def __init__(self) -> None:
        self.vim = FakeVim(LoopClock(), boot_s=1.0)
        others = {"guests": FakeVim(LoopClock())}
        inventory = Inventory(nodes=(PE1, PE2, FAR))
        self.compute = Compute(inventory, self.vim, LoopClock(), owners=[OURS], pools=others)
        self.moves: dict[str, Move] = {}
        self.compute.moving.moves = self.answer

    async def answer(self) -> dict[str, Move]:
        return self.moves

    async def where(self) -> tuple[str, FunctionState] | None:
        found = (await self.vim.running()).get(EDGE.id)
        return None if found is None else (found.node, found.state)

    async def ensure(self, *functions: Function) -> None:
        await self.compute.ensure(OURS, {one.id: one for one in functions})

    async def started(self) -> "Rig":
        await self.ensure(EDGE)
        await until_state(self.vim, EDGE.id, FunctionState.ACTIVE)
        return self

    async def move(self) -> None:
        await self.compute.moving.move(OURS, EDGE, "pe2", MoveKind.FULL_TRANSFER)


@pytest.mark.looptime
async def test_what_is_copied_is_neither_stopped_nor_started() -> None:
    rig = await Rig().started()
    rig.moves = {EDGE.id: COPYING}
    await rig.ensure()
    assert await rig.where() == ("pe1", FunctionState.ACTIVE), "it was stopped"
    rig.vim.kill(EDGE.id)
    await rig.ensure(EDGE)
    assert await rig.where() == ("pe1", FunctionState.FAILED), "it was started"
    rig.moves = {}
    await asyncio.sleep(60)
    await rig.ensure(EDGE)
    assert await rig.where() == ("pe1", FunctionState.BOOTING)


@pytest.mark.looptime
async def test_who_read_its_rows_before_a_move_does_not_undo_it() -> None:
    rig = await Rig().started()
    await rig.move()
    rig.moves = {EDGE.id: MADE}
    await rig.ensure(EDGE)
    assert await rig.where() == ("pe2", FunctionState.ACTIVE)
    assert rig.compute.ledger.by_owner()[OURS]["pe2"].memory_mb == 64
    assert "pe1" not in rig.compute.ledger.by_owner()[OURS]
    await rig.ensure(MOVED)
    assert await rig.where() == ("pe2", FunctionState.ACTIVE)
    await rig.ensure()
    assert await rig.where() is None, "an owner that no longer wants it keeps it"


@pytest.mark.looptime
async def test_a_move_that_is_long_over_binds_no_owner() -> None:
    rig = await Rig().started()
    await rig.move()
    await rig.ensure(EDGE)
    assert await rig.where() == ("pe1", FunctionState.BOOTING)


@pytest.mark.looptime
async def test_other_functions_are_looked_after_during_a_move() -> None:
    rig = await Rig().started()
    other = Function(id="edge-2", node="pe1", description=DESCRIPTION)
    rig.moves = {EDGE.id: COPYING}
    moving = asyncio.create_task(rig.move())
    await asyncio.sleep(0.5)
    await asyncio.wait_for(rig.ensure(EDGE, other), 0.1)
    assert other.id in await rig.vim.running()
    await moving


@pytest.mark.looptime
async def test_progress_is_that_of_the_vim() -> None:
    rig = await Rig().started()
    assert rig.compute.moving.progress(EDGE.id) is None
    moving = asyncio.create_task(rig.move())
    await asyncio.sleep(0.5)
    seen = rig.compute.moving.progress(EDGE.id)
    assert seen is not None
    assert seen.copied_mb == pytest.approx(16)
    assert seen.total_mb == 64
    await moving
    assert rig.compute.moving.progress(EDGE.id) is None


@pytest.mark.looptime
async def test_a_cancelled_move_leaves_the_function() -> None:
    rig = await Rig().started()
    moving = asyncio.create_task(rig.move())
    await asyncio.sleep(0.5)
    moving.cancel()
    await asyncio.gather(moving, return_exceptions=True)
    assert await rig.where() == ("pe1", FunctionState.ACTIVE)
    assert rig.compute.moving.progress(EDGE.id) is None


@pytest.mark.looptime
async def test_what_cannot_be_moved_is_refused() -> None:
    rig = await Rig().started()
    moving = rig.compute.moving
    assert moving.is_possible("pe1", "pe2")
    assert not moving.is_possible("pe1", "far")
    with pytest.raises(CannotMigrate):
        await moving.move(OURS, EDGE, "far", MoveKind.FULL_TRANSFER)
    with pytest.raises(NotFound):
        await moving.move("mano", EDGE, "pe2", MoveKind.FULL_TRANSFER)
