"""Which running functions go where: the planner's choice over a control plane's own nodes."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.migrating import GUEST, Plane, plane
from support.virtual import scenario, until
from umbel.compute.model import Function, NoSuchNode, Resources, ScheduledNode, Scheduling
from umbel.mobility.choice import MoveChoice, MoveQuestion
from umbel.mobility.model import MigrationState
from umbel.mobility.rules import MigrationRule
from umbel.planner.moves.model import MoveGoal, NoMoves

LEAVE_PE1 = MoveQuestion(drained=frozenset({"pe1"}), goal=MoveGoal.DRAIN)


def ways(choice: MoveChoice) -> list[tuple[str, str, str]]:
    return [(move.function, move.source, move.target) for move in choice.plan.moves]


def use(p: Plane, node: str, memory_mb: float) -> None:
    """Others have that much of the node."""
    p.compute.ledger.promise("others", {node: Resources(memory_mb=memory_mb)})


@scenario
async def test_a_node_is_emptied_to_where_there_is_room(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        first, second = await p.guest(1), await p.guest(2)
        use(p, "pe3", 900)
        choice = await p.choosing.choose(LEAVE_PE1)
        assert sorted(ways(choice)) == [(first, "pe1", "pe2"), (second, "pe1", "pe2")]
        assert choice.staying == {}
        for function, _, target in ways(choice):
            over = await p.until_over(await p.ask(function, target))
            assert (over.state, over.reason) == (MigrationState.COMMITTED, "")
        assert ways(await p.choosing.choose(LEAVE_PE1)) == []


@scenario
async def test_the_amount_counts_as_much_of_a_disk_as_travelled_last_time(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        (before,) = (await p.choosing.choose(LEAVE_PE1)).plan.moves
        known = await p.until_over(await p.ask(function))
        away = await p.mobility.store.get(known.id)
        achieved = {**(away.achieved or {}), "disk_mb": 64.0}
        await p.mobility.store.add(
            replace(away, id="mi_again", achieved=achieved, requested_s=1e12)
        )
        leave = MoveQuestion(drained=frozenset({"pe2"}), goal=MoveGoal.DRAIN)
        (after,) = (await p.choosing.choose(leave)).plan.moves
        assert after.mb == before.mb + 64.0


@scenario
async def test_a_rule_leaves_the_other_nodes_or_keeps_the_function(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        function = await p.guest()
        rule = MigrationRule(name="fair", reason="the fair is on", targets=("pe2",))
        await p.mobility.rules.put(rule, by="anna")
        assert ways(await p.choosing.choose(LEAVE_PE1)) == [(function, "pe1", "pe3")]
        by_bert = MigrationRule(name="bert", reason="not by bert", users=("bert",))
        await p.mobility.rules.put(by_bert, by="anna")
        choice = await p.choosing.choose(replace(LEAVE_PE1, user="bert"))
        assert ways(choice) == []
        assert "not by bert (rule bert)" in choice.staying[function]


@scenario
async def test_no_choice_says_why(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        await p.guest()
        p.compute.ledger.promise(
            "others", {node: Resources(memory_mb=900) for node in ("pe2", "pe3")}
        )
        with pytest.raises(NoMoves, match="do not fit"):
            await p.choosing.choose(LEAVE_PE1)
        with pytest.raises(NoSuchNode):
            await p.choosing.choose(MoveQuestion(drained=frozenset({"pe8"})))


@scenario
async def test_what_cannot_be_moved_stays_with_its_reason(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        p.guests.rows["far"] = Function(id="far", node="pe9", description=GUEST)

        async def stays() -> str:
            choice = await p.choosing.choose(MoveQuestion(drained=frozenset({"pe9"})))
            assert ways(choice) == []
            return choice.staying.get("far", "")

        async def is_active() -> bool:
            return "no VIM moves running functions from pe9 to pe1" in await stays()

        await until(is_active, within_s=10, why="it runs and cannot be moved")
        del p.guests.rows["far"]
        p.guests.rows["booting"] = Function(id="booting", node="pe9", description=GUEST)

        async def is_booting() -> bool:
            choice = await p.choosing.choose(MoveQuestion(drained=frozenset({"pe9"})))
            return choice.staying.get("booting") == "it is booting, not active"

        await until(is_booting, within_s=10, why="it boots")


@scenario
async def test_nodes_that_are_cordoned_or_lost_get_nothing(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        guest = await p.guest()
        cordoned = [
            ScheduledNode(
                node=node,
                scheduling=Scheduling.CORDONED if node.name == "pe2" else Scheduling.OPEN,
            )
            for node in p.nodes
        ]
        p.set_nodes(*cordoned)
        assert ways(await p.choosing.choose(LEAVE_PE1)) == [(guest, "pe1", "pe3")]


@scenario
async def test_balance_counts_what_others_use(tmp_path: Path) -> None:
    async with plane(tmp_path) as p:
        for number in (1, 2, 3):
            await p.guest(number)
        use(p, "pe2", 512)
        choice = await p.choosing.choose(MoveQuestion())
        assert choice.plan.before.fullest == pytest.approx(0.75)
        assert choice.plan.after.fullest == pytest.approx(0.5)
        assert [target for _, _, target in ways(choice)] == ["pe3"]
