"""Pools, each with its VIM, behind one service."""

import asyncio
from dataclasses import replace

import pytest

from umbel.compute import inventory
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.inventory import BadInventory
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    Instance,
    Inventory,
    MoveKind,
    Node,
    NodeKind,
    VimKind,
)
from umbel.compute.ports import CannotMigrate, NoSuchPool
from umbel.compute.service import Compute
from umbel.kit.clock import LoopClock
from umbel.kit.errors import Unavailable

PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1")
PE2 = replace(PE1, name="pe2", address="127.0.2.1")
LAB = replace(PE1, name="lab1", address="127.0.9.1", pool="lab")
EDGE = Function(id="edge-1", node="pe1", description=Description(name="edge"))
GUEST = replace(EDGE, id="guest-1", node="lab1")
BOTH = {EDGE.id: EDGE, GUEST.id: GUEST}
OURS = "delivery"


class Flaky(FakeVim):
    """A VIM whose interface can be away while its functions run."""

    away = False

    async def running(self) -> dict[str, Instance]:
        if self.away:
            raise Unavailable("the VIM does not answer")
        return await super().running()


def made(edge: FakeVim, lab: FakeVim) -> Compute:
    nodes = Inventory(nodes=(PE1, PE2, LAB))
    return Compute(nodes, edge, LoopClock(), owners=(OURS,), pools={"lab": lab})


@pytest.mark.looptime
async def test_a_function_is_run_by_the_vim_of_its_nodes_pool() -> None:
    edge, lab = FakeVim(LoopClock()), FakeVim(LoopClock())
    compute = made(edge, lab)
    told: list[str] = []
    compute.watch(told.append)
    await compute.ensure(OURS, BOTH)
    await asyncio.sleep(1)
    assert sorted(told) == sorted(BOTH)
    assert (set(await edge.running()), set(await lab.running())) == ({EDGE.id}, {GUEST.id})
    assert set(await compute.running()) == set(BOTH)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    assert (set(await edge.running()), set(await lab.running())) == ({EDGE.id}, set())
    moved = replace(EDGE, node="lab1")
    assert (await compute.ensure(OURS, {EDGE.id: moved})).started == (EDGE.id,)
    assert (set(await edge.running()), set(await lab.running())) == (set(), {EDGE.id})


@pytest.mark.looptime
async def test_a_silent_vim_hides_no_other_and_nothing_of_it_starts_or_stops() -> None:
    edge, lab = FakeVim(LoopClock()), Flaky(LoopClock())
    compute = made(edge, lab)
    await compute.ensure(OURS, {GUEST.id: GUEST})
    await asyncio.sleep(1)
    await compute.running()
    lab.away = True
    second = replace(GUEST, id="guest-2")
    done = await compute.ensure(OURS, BOTH | {second.id: second})
    assert (done.started, done.stopped) == ((EDGE.id,), ())
    assert (await compute.running())[GUEST.id].state is FunctionState.ACTIVE
    lab.away = False
    done = await compute.ensure(OURS, BOTH | {second.id: second})
    assert (done.started, done.stopped) == ((second.id,), ())


@pytest.mark.looptime
async def test_without_any_answer_nothing_is_said() -> None:
    edge, lab = Flaky(LoopClock()), Flaky(LoopClock())
    compute = made(edge, lab)
    edge.away = lab.away = True
    with pytest.raises(Unavailable):
        await compute.ensure(OURS, BOTH)


@pytest.mark.looptime
async def test_a_node_of_no_pool_is_refused() -> None:
    nodes = Inventory(nodes=(replace(PE1, pool="nowhere"),))
    compute = Compute(nodes, FakeVim(LoopClock()), LoopClock(), owners=(OURS,))
    done = await compute.ensure(OURS, {EDGE.id: EDGE})
    assert isinstance(done.refused[EDGE.id], NoSuchPool)


@pytest.mark.looptime
async def test_a_move_stays_in_the_pool() -> None:
    compute = made(FakeVim(LoopClock()), FakeVim(LoopClock()))
    await compute.ensure(OURS, {EDGE.id: EDGE})
    await asyncio.sleep(1)
    await compute.moving.move(OURS, EDGE, "pe2", MoveKind.SHARED_STORAGE)
    done = await compute.ensure(OURS, {EDGE.id: replace(EDGE, node="pe2")})
    assert (done.started, done.stopped) == ((), ())
    with pytest.raises(CannotMigrate):
        await compute.moving.move(OURS, EDGE, "lab1", MoveKind.SHARED_STORAGE)


def test_the_network_file_names_pools() -> None:
    node = {"name": "a", "address": "127.0.1.1"}
    read = inventory.parse({"nodes": [node | {"pool": "lab"}], "pools": {"lab": "fake"}})
    assert read.nodes[0].pool == "lab"
    assert dict(read.pools) == {"default": VimKind.PROCESS, "lab": VimKind.FAKE}
    assert inventory.parse({"nodes": [node]}).nodes[0].pool == "default"
    with pytest.raises(BadInventory) as caught:
        inventory.parse({"nodes": [node | {"pool": "lab"}], "pools": {"x": "magic"}})
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert any("unknown pool lab" in line for line in problems)
    assert any(line.startswith("pools: x") for line in problems)


@pytest.mark.looptime
async def test_nothing_is_started_on_a_lost_node_of_a_pool_that_answers() -> None:
    scattered = FakeVim(LoopClock())
    compute = made(scattered, FakeVim(LoopClock()))
    scattered.cut_off("pe1")
    elsewhere = replace(EDGE, id="edge-2", node="pe2")
    await compute.ensure(OURS, {EDGE.id: EDGE, elsewhere.id: elsewhere})
    assert set(await compute.running()) == {elsewhere.id}
    assert [compute.is_lost(name) for name in ("pe1", "pe2")] == [True, False]
    scattered.reconnect("pe1")
    await compute.ensure(OURS, {EDGE.id: EDGE, elsewhere.id: elsewhere})
    assert set(await compute.running()) == {EDGE.id, elsewhere.id}
