"""Every step of a migration x every fault: the function runs once, and nothing is left over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.migrating import OWNER, Plane, Stop, plane
from support.virtual import scenario, until
from umbel.compute.model import Resources, ScheduledNode, Scheduling
from umbel.kit.errors import UmbelError
from umbel.mobility import service
from umbel.mobility.model import Migration, MigrationState, Terms
from umbel.mobility.store import MigrationTooLate, MigrationUnderWay

S = MigrationState
SETTLE_S = 90.0  # longer than an owner's longest wait before it starts a failed function again
STEPS = (S.ADMITTED, S.PREPARED, S.COPYING, S.SWITCHED, S.COMMITTED)
POINTS = [(state, is_after) for state in STEPS for is_after in (False, True)]
Fault = Callable[[Plane, Migration], Awaitable[None]]


async def target_dies(p: Plane, m: Migration) -> None:
    p.vim.lose_node(m.target)
    asyncio.get_running_loop().call_later(20, p.vim.accept, m.target)


async def source_dies(p: Plane, m: Migration) -> None:
    p.vim.lose_node(m.source)
    asyncio.get_running_loop().call_later(20, p.vim.accept, m.source)


async def copy_fails(p: Plane, m: Migration) -> None:
    p.vim.refuse(m.target)
    asyncio.get_running_loop().call_later(20, p.vim.accept, m.target)


async def room_is_taken(p: Plane, m: Migration) -> None:
    free = p.compute.ledger.free()[m.target]
    p.compute.ledger.promise("others", {m.target: Resources(memory_mb=free.memory_mb)})


async def is_cancelled(p: Plane, m: Migration) -> None:
    try:
        await p.mobility.cancel(m.id, by="bert")
    except MigrationTooLate:
        assert (await p.mobility.get(m.id)).state in {S.SWITCHED, S.COMMITTED}


async def is_killed(p: Plane, _m: Migration) -> None:
    await p.kill()
    await p.start()


async def is_killed_and_the_copy_goes_on(p: Plane, _m: Migration) -> None:
    await p.kill(copies_go_on=True)
    await p.start()


async def is_killed_and_cancelled(p: Plane, m: Migration) -> None:
    await is_killed(p, m)
    await is_cancelled(p, m)


async def function_dies(p: Plane, m: Migration) -> None:
    p.vim.kill(m.function)


async def owner_gives_it_up(p: Plane, m: Migration) -> None:
    del p.guests.rows[m.function]


async def target_is_cordoned(p: Plane, m: Migration) -> None:
    p.set_nodes(
        *(
            ScheduledNode(
                node=node,
                scheduling=Scheduling.CORDONED if node.name == m.target else Scheduling.OPEN,
            )
            for node in p.nodes
        )
    )


async def second_is_asked_for(p: Plane, m: Migration) -> None:
    try:
        await p.ask(m.function, "pe3")
    except UmbelError as error:
        assert isinstance(error, MigrationUnderWay)
    else:
        assert (await p.mobility.get(m.id)).state is S.COMMITTED


ENDS_IT: dict[Fault, frozenset[MigrationState]] = {
    target_dies: frozenset({S.ABORTED, S.COMMITTED}),
    source_dies: frozenset({S.ABORTED, S.COMMITTED}),
    copy_fails: frozenset({S.ABORTED, S.COMMITTED}),
    function_dies: frozenset({S.ABORTED, S.COMMITTED}),
    owner_gives_it_up: frozenset({S.ABORTED, S.COMMITTED}),
    target_is_cordoned: frozenset({S.ABORTED, S.COMMITTED}),
    is_cancelled: frozenset({S.ABORTED, S.COMMITTED}),
    is_killed_and_cancelled: frozenset({S.ABORTED, S.COMMITTED}),
    room_is_taken: frozenset({S.COMMITTED}),
    second_is_asked_for: frozenset({S.COMMITTED}),
    is_killed: frozenset({S.COMMITTED}),
    is_killed_and_the_copy_goes_on: frozenset({S.COMMITTED}),
}
"""What may become of a migration under each fault."""
KILLS = frozenset({target_dies, source_dies, function_dies})
"""Faults that may end the function itself: its owner starts it again."""
COLD = (target_dies, source_dies, function_dies, owner_gives_it_up)


@pytest.mark.parametrize("fault", ENDS_IT, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize(("state", "is_after"), POINTS)
def test_every_step_and_every_fault(
    tmp_path: Path, state: MigrationState, *, is_after: bool, fault: Fault
) -> None:
    @scenario
    async def run() -> None:
        stop = Stop(state, is_after)
        async with plane(tmp_path, stop) as p:
            function = await p.guest()
            migration = await p.ask(function)
            await stop.reached.wait()
            await fault(p, migration)
            stop.resume.set()
            over = await p.until_over(migration)
            await asyncio.sleep(SETTLE_S)
            assert over.state in ENDS_IT[fault]
            await check(p, over, fault)

    run()


@pytest.mark.parametrize("fault", ENDS_IT, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("copied_s", [0.3, 1.0, 1.9])
def test_every_fault_in_the_middle_of_the_copy(
    tmp_path: Path, copied_s: float, fault: Fault
) -> None:
    @scenario
    async def run() -> None:
        async with plane(tmp_path) as p:
            migration = await p.ask(await p.guest())
            await p.until_state(migration, S.COPYING)
            await asyncio.sleep(copied_s)
            await fault(p, migration)
            over = await p.until_over(migration)
            await asyncio.sleep(SETTLE_S)
            assert over.state in ENDS_IT[fault]
            if fault in {is_cancelled, is_killed_and_cancelled, function_dies, copy_fails}:
                assert over.state is S.ABORTED
            await check(p, over, fault)

    run()


def test_a_copy_that_outlives_its_control_plane_is_ended_by_a_cancellation(tmp_path: Path) -> None:
    @scenario
    async def run() -> None:
        async with plane(tmp_path) as p:
            p.vim.copy_s = 10 * SETTLE_S
            migration = await p.ask(await p.guest())
            await p.until_state(migration, S.COPYING)
            await is_killed_and_the_copy_goes_on(p, migration)
            await is_cancelled(p, migration)
            over = await p.until_over(migration)
            assert over.state is S.ABORTED
            await asyncio.sleep(p.vim.copy_s)
            await check(p, over, is_cancelled)

    run()


async def check(p: Plane, over: Migration, fault: Fault) -> None:
    """One copy runs, where the row says; nothing is promised or held; the reason is clear."""
    wanted = p.guests.rows.get(over.function)
    seen = await p.instance(over.function)
    if wanted is None:
        assert seen is None
    else:
        where = over.target if over.state is S.COMMITTED else over.source
        second = [one for one in await p.mobility.list() if one.id != over.id]
        where = second[0].target if second else where
        assert seen is not None
        assert await p.is_active(over.function)
        assert (seen.node, wanted.node) == (where, where)
    if fault not in COLD:
        assert p.vim.starts == 1, "the function lost its state"
    assert p.vim.starts <= 2, "the function was started again and again"
    left = p.compute.ledger.by_owner().get(OWNER, {})
    assert set(left) == ({wanted.node} if wanted else set())
    assert await p.compute.moving.moves() == {}
    if over.state is S.ABORTED:
        assert over.reason
    else:
        assert (over.reason, over.achieved is not None) == ("", True)


@scenario
async def test_a_move_keeps_the_function_and_reports_its_progress(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        migration = await p.ask(await p.guest(), terms=Terms(dirty_mbps=50))
        await p.until_state(migration, S.COPYING)
        await asyncio.sleep(1.3)
        half = (await p.mobility.get(migration.id)).progress
        assert half["total_mb"] == 256
        assert 64 < float(str(half["copied_mb"])) < 256
        over = await p.until_over(migration)
        assert (over.state, over.reason) == (S.COMMITTED, "")
        assert over.predicted is not None
        assert over.predicted["free_mbps"] == 10_000
        assert over.achieved is not None
        assert 1.9 < float(str(over.achieved["duration_s"])) < 3


@scenario
async def test_a_move_there_and_back(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        for target in ("pe2", "pe1", "pe3"):
            over = await p.until_over(await p.ask(function, target))
            assert over.state is S.COMMITTED
        await asyncio.sleep(SETTLE_S)
        seen = await p.instance(function)
        assert seen is not None
        assert (seen.node, p.vim.starts) == ("pe3", 1)


@scenario
async def test_a_full_target_is_refused_or_waited_for(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        p.compute.ledger.promise("others", {"pe2": Resources(memory_mb=900)})
        refused = await p.until_over(await p.ask(function))
        assert refused.state is S.ABORTED
        assert refused.reason == "pe2 has no room: 256 MiB needed, 124 free"
        waiting = await p.ask(function, wait_s=60.0)
        await asyncio.sleep(10)
        seen = await p.mobility.get(waiting.id)
        assert (seen.state, seen.reason) == (S.PLANNED, refused.reason)
        p.compute.ledger.promise("others", {})
        over = await p.until_over(waiting)
        assert (over.state, over.reason) == (S.COMMITTED, "")


@scenario
async def test_who_waits_in_vain_is_refused_in_the_end(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        p.ways.mbps = None
        over = await p.until_over(await p.ask(function, wait_s=30.0))
        assert (over.state, over.reason) == (S.ABORTED, "no way leads to pe2")
        assert over.changed_s - over.requested_s >= 30


@scenario
async def test_so_many_run_at_once_and_none_oversells_the_target(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        functions = [await p.guest(number) for number in range(1, 5)]
        asked = [await p.ask(function, wait_s=60.0) for function in functions]
        most = 0
        while not all([(await p.mobility.get(one.id)).is_over for one in asked]):
            running = [
                one
                for one in await p.mobility.list()
                if one.state not in {S.PLANNED, S.COMMITTED, S.ABORTED}
            ]
            most = max(most, len(running))
            assert p.compute.ledger.free()["pe2"].memory_mb >= 0
            await asyncio.sleep(0.05)
        assert most == p.mobility.at_once == 2
        assert {(await p.mobility.get(one.id)).state for one in asked} == {S.COMMITTED}


@scenario
async def test_a_copy_without_an_end_is_given_up(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        terms = Terms(max_duration_s=1.0)
        over = await p.until_over(await p.ask(await p.guest(), terms=terms))
        assert (over.state, over.reason) == (S.ABORTED, "the copy was not done within 1 s")


@scenario
async def test_two_instances_share_the_migrations(tmp_path: Path) -> None:
    async with plane(tmp_path) as one:
        other = Plane(url=one.url, clock=one.clock, guests=one.guests, number=10)
        other.vim = one.vim
        await other.start()
        migration = await one.ask(await one.guest())
        await one.until_state(migration, S.COPYING)
        await asyncio.sleep(0.5)
        held = {p.mobility.leases.is_held(f"migration:{migration.id}") for p in (one, other)}
        assert held == {True, False}
        over = await one.until_over(migration)
        assert over.state is S.COMMITTED
        await asyncio.sleep(SETTLE_S)
        assert one.vim.starts == 1
        for p in (one, other):
            assert set(p.compute.ledger.by_owner()[OWNER]) == {"pe2"}
        await other.kill()


@scenario
async def test_bad_requests_name_what_is_wrong(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        for target, code in (
            ("pe7", "umbel.no_such_node"),
            ("pe1", "umbel.already_there"),
            ("pe9", "umbel.cannot_migrate"),
        ):
            with pytest.raises(UmbelError) as refused:
                await p.ask(function, target)
            assert refused.value.code == code
        with pytest.raises(service.NoFunctionToMove):
            await p.ask("guest-9")
        p.vim.kill(function)
        with pytest.raises(service.FunctionNotActive):
            await p.ask(function)

        async def is_back() -> bool:
            return await p.is_active(function)

        await until(is_back, within_s=30, why="it is started again")
        assert await p.mobility.list() == []


@scenario
async def test_a_dry_run_begins_nothing(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        p.ways.mbps = 100.0
        request = service.Request(function=function, target="pe2", terms=Terms(dirty_mbps=200))
        _, verdict = await p.mobility.check(request)
        assert not verdict.is_admitted
        assert "the gap would be" in verdict.reasons[0]
        assert verdict.prediction is not None
        p.ways.mbps = 1_000.0
        _, verdict = await p.mobility.check(request)
        assert verdict.is_admitted
        await asyncio.sleep(10)
        assert await p.mobility.list() == []
        assert set(p.compute.ledger.by_owner()[OWNER]) == {"pe1"}


@scenario
async def test_what_copies_took_is_predicted_for_the_next_one(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        errors, moves = [], []
        for target in ("pe2", "pe1") * 3:
            over = await p.until_over(await p.ask(function, target))
            predicted, achieved = dict(over.predicted or {}), dict(over.achieved or {})
            errors.append(
                abs(float(str(predicted["duration_s"])) - float(str(achieved["duration_s"])))
            )
            moves.append(predicted["moves"])
        assert moves == [0, 1, 2, 3, 4, 5]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] < errors[0] / 5
