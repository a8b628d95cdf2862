"""Edges are replaced on other nodes, make before break, on the whole platform and virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.migrating import HeldStore, Stop
from support.moving_functions import over, state
from support.virtual import scenario, until
from support.world import World, world
from umbel.compute.model import Resources, Scheduling
from umbel.compute.service import CannotMigrate
from umbel.delivery.model import Ticket
from umbel.delivery.trees import replacement
from umbel.kit.errors import UmbelError
from umbel.mobility.model import Migration, MigrationKind, MigrationState, Terms
from umbel.mobility.service import Request
from umbel.mobility.store import MigrationTooLate, MigrationUnderWay

S = MigrationState
STEPS = (S.ADMITTED, S.PREPARED, S.COPYING, S.SWITCHED, S.COMMITTED)
POINTS = [(state, is_after) for state in STEPS for is_after in (False, True)]
Fault = Callable[[World, Migration], Awaitable[None]]


async def reopened(w: World, ticket: Ticket) -> Ticket:
    """What a player does that is asked to leave: it opens a session, then it closes its own."""
    event, node = ticket.session.stream, ticket.session.access_node
    new = await w.watch(event, node)
    await w.delivery.close_session(ticket.session.id)
    return new


def replacing(function: str, target: str = "pe5", **more: Any) -> Request:
    return Request(function=function, target=target, kind=MigrationKind.REPLACEMENT, **more)


async def drains(w: World, node: str) -> bool:
    changes = await w.system.journal.since(0)
    return any((c.kind, c.subject) == ("drain", node) for c in changes)


async def is_gone(w: World, function: str) -> None:
    async def holds() -> bool:
        return function not in w.states()

    await until(holds, within_s=60, why=f"{function} is gone")


@scenario
async def test_an_edge_is_replaced_once_its_viewers_have_left(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        tickets = [await w.watch(event, "pe4") for _ in range(3)]
        edge = tickets[0].session.function
        migration = await w.system.mobility.start(replacing(edge), by="anna")
        await state(w, migration, S.COPYING)
        await until(lambda: drains(w, "pe4"), within_s=30, why="viewers are asked to leave")
        tree = await w.delivery.tree(event)
        new = replacement.successor(tree, edge)
        assert new is not None
        assert (new.node, await w.arrives(tickets[0])) == ("pe5", True)
        await asyncio.sleep(30)
        found = await w.system.mobility.get(migration.id)
        assert (found.state, found.progress) == (S.COPYING, {"viewers": 3})
        moved = [await reopened(w, ticket) for ticket in tickets]
        assert {ticket.session.function for ticket in moved} == {new.function}
        done = await over(w, migration)
        assert (done.state, done.reason) == (S.COMMITTED, "")
        assert edge not in w.states()
        for ticket in moved:
            await w.until_watched(ticket, within_s=5)
        accounts = w.system.compute.ledger.by_owner()
        assert {owner for owner, account in accounts.items() if account} == {"delivery"}
        assert "pe4" not in accounts["delivery"]


@scenario
async def test_a_replacement_goes_on_under_the_next_control_plane(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ticket = await w.watch(await w.live("pe1"), "pe4")
        edge = ticket.session.function
        migration = await w.system.mobility.start(replacing(edge), by="anna")
        for wanted in (S.ADMITTED, S.COPYING):
            await state(w, migration, wanted)
            await w.crash()
            await w.start()
        await asyncio.sleep(20)
        assert len([f for f in w.states() if f.startswith("edge")]) == 2
        moved = await reopened(w, ticket)
        assert (await over(w, migration)).state is S.COMMITTED
        await w.until_watched(moved, within_s=5)
        assert [f for f in w.states() if f.startswith("edge")] == [moved.session.function]


@scenario
async def test_a_cancelled_replacement_leaves_the_edge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        edge = ticket.session.function
        migration = await w.system.mobility.start(replacing(edge), by="anna")
        await state(w, migration, S.COPYING)
        new = replacement.successor(await w.delivery.tree(event), edge)
        assert new is not None
        await w.system.mobility.cancel(migration.id, by="bert")
        done = await over(w, migration)
        assert (done.state, done.reason) == (S.ABORTED, "cancelled by bert")
        assert (await w.watch(event, "pe4")).session.function == edge
        await is_gone(w, new.function)
        assert await w.arrives(ticket)


@scenario
async def test_a_successor_that_dies_is_made_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        edge = ticket.session.function
        migration = await w.system.mobility.start(replacing(edge), by="anna")
        await state(w, migration, S.COPYING)
        new = replacement.successor(await w.delivery.tree(event), edge)
        assert new is not None
        await w.kill(new.function)
        await asyncio.sleep(20)
        moved = await reopened(w, ticket)
        assert moved.session.function == new.function
        assert (await over(w, migration)).state is S.COMMITTED
        await w.until_watched(moved, within_s=10)


@scenario
async def test_an_edge_that_dies_while_it_is_replaced_takes_no_viewer_with_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        ticket = await w.watch(await w.live("pe1"), "pe4")
        edge = ticket.session.function
        migration = await w.system.mobility.start(replacing(edge), by="anna")
        await state(w, migration, S.COPYING)
        await w.kill(edge)
        moved = await reopened(w, ticket)
        assert moved.session.edge_node == "pe5"
        assert (await over(w, migration)).state is S.COMMITTED
        assert edge not in w.states()


@scenario
async def test_a_target_without_room_or_that_is_lost_ends_a_replacement(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        edge = ticket.session.function
        await w.system.nodes.schedule("pe5", Scheduling.CORDONED, by="anna")
        done = await over(w, await w.system.mobility.start(replacing(edge), by="anna"))
        assert done.state is S.ABORTED
        assert done.reason == "pe5 takes no functions now: it is cordoned, in standby or lost"
        await w.system.nodes.schedule("pe5", Scheduling.OPEN, by="anna")
        terms = Terms(max_duration_s=40.0)
        asked = replacing(edge, terms=terms)
        migration = await w.system.mobility.start(asked, by="anna")
        await state(w, migration, S.COPYING)
        w.vim.lose_node("pe5")
        done = await over(w, migration, within_s=200)
        assert done.state is S.ABORTED
        assert done.reason
        assert await w.arrives(ticket)
        assert (await w.watch(event, "pe4")).session.function == edge


@scenario
async def test_the_successors_room_is_promised_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe4")
        ledger, costs = w.system.compute.ledger, w.delivery.collector.costs
        spare = ledger.free()["pe5"].memory_mb - 1.5 * costs.function_mb
        ledger.promise("others", {"pe5": Resources(memory_mb=spare)})
        asked = replacing(ticket.session.function)
        migration = await w.system.mobility.start(asked, by="anna")
        await state(w, migration, S.COPYING)
        assert ledger.free()["pe5"].memory_mb >= 0


@scenario
async def test_only_edges_are_replaced_and_only_at_the_providers_edge(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live("pe1")
        edge = (await w.watch(event, "pe4")).session.function
        root = (await w.delivery.tree(event)).root
        assert root is not None
        for function, target, why in (
            (root.function, "pe2", "only edges are replaced"),
            (edge, "c1", "c1 is none"),
        ):
            with pytest.raises(CannotMigrate, match=why):
                await w.system.mobility.start(replacing(function, target), by="anna")


async def is_killed(w: World, _m: Migration) -> None:
    await w.crash()
    await w.start()


async def is_cancelled(w: World, m: Migration) -> None:
    with suppress(MigrationTooLate):
        await w.system.mobility.cancel(m.id, by="bert")


async def is_killed_and_cancelled(w: World, m: Migration) -> None:
    await is_killed(w, m)
    await is_cancelled(w, m)


async def target_is_lost(w: World, m: Migration) -> None:
    w.vim.lose_node(m.target)
    for function in [f for f, one in w.vim.instances().items() if one.node == m.target]:
        w.media.lose(function)
    asyncio.get_running_loop().call_later(20, w.vim.accept, m.target)


async def edge_dies(w: World, m: Migration) -> None:
    if m.function in w.states():
        await w.kill(m.function)


async def second_is_asked_for(w: World, m: Migration) -> None:
    try:
        await w.system.mobility.start(replacing(m.function, "pe3"), by="anna")
    except UmbelError as error:
        late = "umbel.no_function_to_move"
        assert isinstance(error, MigrationUnderWay) or error.code == late


async def play(w: World, tickets: list[Ticket]) -> None:
    """A player: it opens another session whenever its node is to be left, or its edge is gone."""
    head = await w.system.journal.head()
    while True:
        await asyncio.sleep(1.0)
        with suppress(UmbelError):
            changes = await w.system.journal.since(head)
            head = changes[-1].seq if changes else head
            asked = {c.subject for c in changes if c.kind == "drain"}
            is_gone_now = not await w.arrives(tickets[-1])
            if tickets[-1].session.edge_node in asked or is_gone_now:
                tickets.append(await reopened(w, tickets[-1]))


FAULTS = (
    is_killed,
    is_cancelled,
    is_killed_and_cancelled,
    target_is_lost,
    edge_dies,
    second_is_asked_for,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize(("at", "is_after"), POINTS)
def test_every_step_and_every_fault(
    tmp_path: Path, at: MigrationState, *, is_after: bool, fault: Fault
) -> None:
    @scenario
    async def run() -> None:
        async with world(tmp_path) as w:
            event = await w.live("pe1")
            tickets = [await w.watch(event, "pe4")]
            mobility, store = w.system.mobility, HeldStore(w.system.database)
            mobility.store, store.stop = store, Stop(at, is_after)
            player = asyncio.create_task(play(w, tickets))
            asked = replacing(tickets[0].session.function, terms=Terms(max_duration_s=60.0))
            migration = await mobility.start(asked, by="anna")
            await store.stop.reached.wait()
            await fault(w, migration)
            store.stop.resume.set()
            done = await over(w, migration)
            await asyncio.sleep(60)
            player.cancel()
            await check(w, done, tickets[-1], fault)

    run()


async def check(w: World, done: Migration, ticket: Ticket, fault: Fault) -> None:
    """The viewer watches, by one edge; nothing is left of another; the reason is clear."""
    assert done.is_over
    assert bool(done.reason) == (done.state is S.ABORTED)
    if fault in {is_killed, edge_dies, second_is_asked_for}:
        assert done.state is S.COMMITTED
    assert await w.arrives(ticket)
    edges = [function for function in w.states() if function.startswith("edge")]
    assert edges == [ticket.session.function]
    if done.state is S.COMMITTED and fault is not target_is_lost:
        assert ticket.session.edge_node == done.target
    tree = await w.delivery.tree(ticket.session.stream)
    assert {branch.replaced_by for branch in tree.branches} == {""}
    accounts = w.system.compute.ledger.by_owner()
    assert {owner for owner, account in accounts.items() if account} == {"delivery"}
    here = {branch.node for branch in tree.branches}
    assert set(accounts["delivery"]) == here
