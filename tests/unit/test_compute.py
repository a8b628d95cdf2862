"""Steps, the service over the fake on virtual time, and what only the fake can do."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from umbel.compute import health, inventory, reconcile
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.health import History
from umbel.compute.model import (
    LIFE_CYCLE,
    Description,
    Function,
    FunctionEvent,
    FunctionState,
    Instance,
    Inventory,
    Node,
    NodeKind,
    Port,
    Transport,
)
from umbel.compute.ports import FunctionTaken
from umbel.compute.service import Compute, NoSuchNode, UnknownOwner
from umbel.kit import backoff
from umbel.kit.clock import LoopClock
from umbel.kit.errors import Exhausted, NotFound
from umbel.kit.leases import LeaseLost
from umbel.network.topology import files

PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1", prefixes=("127.0.1.0/24",))
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1", prefixes=("127.0.2.0/24",))
CONTROL, UDP = Port(name="control"), Port(name="udp", transport=Transport.UDP)
ACQUIRER = Function(
    id="acquirer-pe1-1",
    node="pe1",
    description=Description(name="acquirer", ports=(CONTROL, UDP, Port(name="rtmp", number=1935))),
)
EDGE = Function(
    id="edge-pe2-1", node="pe2", description=Description(name="edge", ports=(CONTROL, UDP))
)
CACHE = Function(id="cache-pe2-1", node="pe2", description=Description(name="cache"))
OURS = "delivery"


@dataclass
class Lost:
    """A lease that is lost after so many checks."""

    after: int

    def check(self) -> None:
        if self.after == 0:
            raise LeaseLost
        self.after -= 1


# -- steps -----------------------------------------------------------------------------------


def instance(function: Function, state: FunctionState, node: str = "") -> Instance:
    return Instance(
        id=function.id,
        owner=OURS,
        description=function.description.name,
        state=state,
        node=node or function.node,
        address="127.0.9.1",
    )


@pytest.mark.parametrize(
    ("state", "starts"),
    [
        (FunctionState.BOOTING, False),
        (FunctionState.ACTIVE, False),
        (FunctionState.FAILED, True),
    ],
)
def test_only_the_failed_and_missing_start(state: FunctionState, starts: bool) -> None:
    have = {EDGE.id: instance(EDGE, state)}
    todo = reconcile.steps(OURS, {EDGE.id: EDGE, ACQUIRER.id: ACQUIRER}, have, {}, 0.0)
    assert todo.stop == ()
    assert set(todo.start) == {ACQUIRER.id} | ({EDGE.id} if starts else set())


@pytest.mark.parametrize("state", [FunctionState.BOOTING, FunctionState.FAILED])
def test_an_orphan_stops_in_any_state(state: FunctionState) -> None:
    assert reconcile.steps(OURS, {}, {EDGE.id: instance(EDGE, state)}, {}, 0.0).stop == (EDGE.id,)


def test_a_function_elsewhere_stops_and_starts_anew() -> None:
    have = {EDGE.id: instance(EDGE, FunctionState.ACTIVE, node="pe1")}
    todo = reconcile.steps(OURS, {EDGE.id: EDGE}, have, {}, 0.0)
    assert (todo.stop, dict(todo.start)) == ((EDGE.id,), {EDGE.id: EDGE})


def test_one_that_vanished_after_its_start_has_failed() -> None:
    seen = reconcile.observe({}, {EDGE.id: History(failures=3)}, 50.0)
    assert seen[EDGE.id] == History(failures=4, failed_s=50.0)
    todo = reconcile.steps(OURS, {EDGE.id: EDGE}, {}, seen, 50.5)
    wait_s = health.wait_s(4, backoff.draw(EDGE.id, 4))
    assert (dict(todo.start), todo.waiting) == ({}, {EDGE.id: 50.0 + wait_s - 50.5})


# -- the service-----------------------------------------------------------------------------


def made(nodes: Inventory | None = None, vim: FakeVim | None = None) -> Compute:
    clock = LoopClock()
    inventory_ = nodes or Inventory(nodes=(PE1, PE2))
    return Compute(inventory_, vim or FakeVim(clock), clock, owners=(OURS, "mano"))


def test_localhost_enters_at_the_built_in_networks_default() -> None:
    compute = made(inventory.parse(files.builtin()))
    for client, name in (("127.0.0.1", "pe1"), ("127.0.4.9", "pe4"), ("127.0.7.200", "c2")):
        node = compute.access_node(client)
        assert node is not None
        assert node.name == name


def test_nodes_are_listed_and_found() -> None:
    compute = made()
    assert compute.nodes() == [PE1, PE2]
    assert compute.node("pe2") is PE2
    with pytest.raises(NoSuchNode, match="pe9"):
        compute.node("pe9")


@pytest.mark.looptime
async def test_ensure_is_idempotent_and_stops_orphans() -> None:
    compute = made()
    both = {ACQUIRER.id: ACQUIRER, EDGE.id: EDGE}
    first = await compute.ensure(OURS, both)
    assert set(first.started) == set(both)
    again = await compute.ensure(OURS, both)
    assert (again.started, again.stopped, again.refused, again.again_s) == ((), (), {}, None)
    await asyncio.sleep(1)
    states = {i.state for i in (await compute.running()).values()}
    assert states == {FunctionState.ACTIVE}
    assert (await compute.ensure(OURS, {EDGE.id: EDGE})).stopped == (ACQUIRER.id,)
    assert set(await compute.running()) == {EDGE.id}
    await compute.stop_all()
    assert await compute.running() == {}
    await compute.close()


@pytest.mark.looptime
async def test_two_ensures_at_once_act_once() -> None:
    compute = made()
    one, two = await asyncio.gather(*(compute.ensure(OURS, {EDGE.id: EDGE}) for _ in range(2)))
    assert sorted((one.started, two.started)) == [(), (EDGE.id,)]


@pytest.mark.looptime
async def test_a_function_that_keeps_failing_is_started_more_and_more_rarely() -> None:
    clock = LoopClock()
    vim = FakeVim(clock)
    compute = made(vim=vim)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    starts_s = []
    for _ in range(9):
        vim.kill(EDGE.id)
        killed_s = clock.monotonic_s()
        done = await compute.ensure(OURS, {EDGE.id: EDGE})
        while not done.started:
            assert done.again_s is not None
            await asyncio.sleep(done.again_s)
            done = await compute.ensure(OURS, {EDGE.id: EDGE})
        starts_s.append(clock.monotonic_s() - killed_s)
    waits_s = [health.wait_s(n, backoff.draw(EDGE.id, n)) for n in range(1, 10)]
    assert starts_s == pytest.approx(waits_s, abs=1e-5)


@pytest.mark.looptime
async def test_a_failure_after_a_long_life_is_mended_at_once() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    for _ in range(5):
        await compute.ensure(OURS, {EDGE.id: EDGE})
        await asyncio.sleep(1)
        await compute.ensure(OURS, {EDGE.id: EDGE})
        await asyncio.sleep(300)
        vim.kill(EDGE.id)
        assert (await compute.ensure(OURS, {EDGE.id: EDGE})).started == (EDGE.id,)


@pytest.mark.looptime
async def test_a_refusing_node_keeps_no_other_from_starting() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    vim.refuse("pe1")
    lost = replace(EDGE, id="edge-pe9-1", node="pe9")
    wanted = {ACQUIRER.id: ACQUIRER, lost.id: lost, EDGE.id: EDGE}
    done = await compute.ensure(OURS, wanted)
    assert done.started == (EDGE.id,)
    assert isinstance(done.refused[ACQUIRER.id], Exhausted)
    assert isinstance(done.refused[lost.id], NoSuchNode)
    assert done.again_s == 0
    done = await compute.ensure(OURS, wanted)
    wait_s = min(health.wait_s(2, backoff.draw(id_, 2)) for id_ in (ACQUIRER.id, lost.id))
    assert done.again_s == wait_s
    waiting = await compute.ensure(OURS, wanted)
    assert (waiting.refused, waiting.again_s) == ({}, wait_s)
    vim.accept("pe1")
    await asyncio.sleep(0.5)
    assert (await compute.ensure(OURS, wanted)).started == (ACQUIRER.id,)


@pytest.mark.looptime
async def test_a_full_machine_is_no_failure_of_a_function() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    vim.is_full = True
    vim.kill(EDGE.id)
    for _ in range(100):
        done = await compute.ensure(OURS, {EDGE.id: EDGE})
        assert set(done.refused) <= {EDGE.id}
        assert done.again_s is not None
        await asyncio.sleep(max(done.again_s, 0.1))
    assert compute.failures(OURS, EDGE.id) == 1
    vim.is_full = False
    await asyncio.sleep(health.AGAIN_S)
    assert (await compute.ensure(OURS, {EDGE.id: EDGE})).started == (EDGE.id,)


@pytest.mark.looptime
async def test_who_lost_the_lease_starts_and_stops_nothing() -> None:
    compute = made()
    await compute.ensure(OURS, {EDGE.id: EDGE})
    with pytest.raises(LeaseLost):
        await compute.ensure(OURS, {ACQUIRER.id: ACQUIRER}, Lost(after=0).check)
    assert list(await compute.running()) == [EDGE.id]


@pytest.mark.looptime
async def test_a_lease_that_is_lost_between_a_stop_and_a_start_keeps_the_start_away() -> None:
    compute = made()
    await compute.ensure(OURS, {EDGE.id: EDGE})
    moved = replace(EDGE, node="pe1")
    with pytest.raises(LeaseLost):
        await compute.ensure(OURS, {EDGE.id: moved}, Lost(after=1).check)
    assert not await compute.running()
    done = await compute.ensure(OURS, {EDGE.id: moved}, Lost(after=3).check)
    assert done.started == (EDGE.id,), "it was not counted as a failure"


@pytest.mark.looptime
async def test_changes_wake_the_watcher() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    told: list[str] = []
    compute.watch(told.append)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    await asyncio.sleep(1)
    vim.kill(EDGE.id)
    vim.kill(EDGE.id)
    assert told == [EDGE.id, EDGE.id]


# -- owners --------------------------------------------------------------------------------


def test_steps_touch_no_other_owners_function() -> None:
    have = {EDGE.id: instance(EDGE, FunctionState.FAILED)}
    todo = reconcile.steps("mano", {CACHE.id: CACHE}, have, {}, 0.0)
    assert (todo.stop, set(todo.start)) == ((), {CACHE.id})
    todo = reconcile.steps("mano", {EDGE.id: EDGE}, have, {}, 0.0)
    assert (todo.stop, dict(todo.start), todo.taken) == ((), {}, {EDGE.id: OURS})


@pytest.mark.looptime
async def test_two_owners_functions_live_side_by_side() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    assert (await compute.ensure("mano", {CACHE.id: CACHE})).stopped == ()
    assert (await compute.ensure(OURS, {})).stopped == (EDGE.id,)
    seen = (await compute.running())[CACHE.id]
    assert (seen.owner, seen.description) == ("mano", "cache")
    vim.kill(CACHE.id)
    assert (await compute.ensure(OURS, {})).started == ()
    restarted = made(vim=vim)
    assert (await restarted.ensure(OURS, {})).stopped == ()
    assert (await restarted.ensure("mano", {CACHE.id: CACHE})).started == (CACHE.id,)


@pytest.mark.looptime
async def test_failures_of_one_owner_are_not_another_owners() -> None:
    vim = FakeVim(LoopClock())
    compute = made(vim=vim)
    await compute.ensure(OURS, {EDGE.id: EDGE})
    vim.kill(EDGE.id)
    await compute.ensure("mano", {CACHE.id: CACHE})
    await compute.ensure(OURS, {EDGE.id: EDGE})
    assert (compute.failures(OURS, EDGE.id), compute.failures("mano", EDGE.id)) == (1, 0)


@pytest.mark.looptime
async def test_an_id_that_another_owner_has_is_refused() -> None:
    compute = made()
    await compute.ensure(OURS, {EDGE.id: EDGE})
    done = await compute.ensure("mano", {EDGE.id: EDGE, CACHE.id: CACHE})
    assert done.started == (CACHE.id,)
    assert isinstance(done.refused[EDGE.id], FunctionTaken)
    assert done.refused[EDGE.id].details["owner"] == OURS


@pytest.mark.looptime
async def test_a_function_of_an_owner_that_is_not_here_is_left_running() -> None:
    vim = FakeVim(LoopClock())
    await vim.start("uninstalled", CACHE, PE2)
    compute = made(vim=vim)
    for owner in (OURS, "mano"):
        assert (await compute.ensure(owner, {})).stopped == ()
    assert set(await compute.running()) == {CACHE.id}
    with pytest.raises(UnknownOwner):
        await compute.ensure("uninstalled", {})
    await compute.stop_all()
    assert await compute.running() == {}


# -- the fake --------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_the_fake_boots_in_its_time_and_counts_ports_up() -> None:
    vim = FakeVim(LoopClock(), boot_s=0.3, first_port=20_000)
    await vim.start(OURS, ACQUIRER, PE1)
    await vim.start(OURS, replace(EDGE, id="edge-pe1-1", node="pe1"), PE1)
    await asyncio.sleep(0.29)
    assert (await vim.running())[ACQUIRER.id].state is FunctionState.BOOTING
    await asyncio.sleep(0.02)
    seen = await vim.running()
    assert seen[ACQUIRER.id].ports == {"control": 20000, "udp": 20001, "rtmp": 1935}
    assert seen["edge-pe1-1"].ports == {"control": 20003, "udp": 20004}


@pytest.mark.looptime
async def test_the_fake_shows_the_load_it_is_told() -> None:
    vim = FakeVim(LoopClock())
    await vim.start(OURS, EDGE, PE2)
    vim.set_load(EDGE.id, cpu_cores=0.5, rss_mb=120)
    await asyncio.sleep(1)
    seen = (await vim.running())[EDGE.id]
    assert (seen.state, seen.cpu_cores, seen.rss_mb) == (FunctionState.ACTIVE, 0.5, 120)
    with pytest.raises(NotFound):
        vim.set_load("nobody", cpu_cores=1, rss_mb=1)


@pytest.mark.looptime
async def test_a_lost_node_takes_its_functions_and_no_others() -> None:
    vim = FakeVim(LoopClock())
    await vim.start(OURS, EDGE, PE2)
    await vim.start(OURS, ACQUIRER, PE1)
    await asyncio.sleep(1)
    vim.lose_node("pe2")
    seen = await vim.running()
    assert seen[EDGE.id].state is FunctionState.FAILED
    assert seen[EDGE.id].reason == "node pe2 was lost"
    assert seen[ACQUIRER.id].state is FunctionState.ACTIVE
    with pytest.raises(Exhausted):
        await vim.start(OURS, EDGE, PE2)


def test_the_life_cycle_ends_where_it_should() -> None:
    reached = {FunctionState.ABSENT}
    for _ in FunctionState:
        reached |= {
            LIFE_CYCLE.next(state, event)
            for state in reached
            for event in FunctionEvent
            if LIFE_CYCLE.allows(state, event)
        }
    assert reached == set(FunctionState)
    assert not any(LIFE_CYCLE.allows(FunctionState.GONE, event) for event in FunctionEvent)
