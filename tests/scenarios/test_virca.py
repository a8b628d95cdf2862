"""The virca policy on fakes and virtual time: nodes rest, wake for a crowd, and nobody is lost."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from support.virca import (
    RESTING,
    all_arrive,
    in_standby,
    nodes,
    planned,
    unbroken,
    until_resting,
)
from support.virtual import scenario, until
from umbel.delivery.steering.drivers.fake import InlineSolver
from umbel.delivery.trees.view import NoCapacity
from umbel.planner.jobs import Answer, Job


@scenario
async def test_at_low_load_nodes_go_to_standby_and_draw_less(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        before = await nodes(w)
        assert {node.power.value for node in before.values()} == {"active"}
        near = await w.watch(event, "pe1")
        async with unbroken(w, near):
            await until_resting(w, RESTING)
        after = await nodes(w)
        assert after["c2"].watts == 0.0
        drawn = [sum(n.watts or 0.0 for n in seen.values()) for seen in (before, after)]
        assert drawn[1] < drawn[0]
        # A viewer elsewhere is served by what is on.
        far = await w.watch(event, "pe4")
        assert far.session.edge_node == "pe1"
        assert await all_arrive(w, near, far)


@scenario
async def test_a_node_with_viewers_drains_first_and_rests_when_they_are_gone(
    tmp_path: Path,
) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        near, far = await w.watch(event, "pe2"), await w.watch(event, "pe4")
        assert (near.session.edge_node, far.session.edge_node) == ("pe2", "pe4")
        head = await w.system.journal.head()
        async with unbroken(w, near, far):
            await until_resting(w, RESTING - {"pe2", "pe4"})
            await asyncio.sleep(12)
            assert {(await nodes(w))[n].power.value for n in ("pe2", "pe4")} == {"draining"}
        # Viewers are told, and whoever asks anew is served elsewhere, before the old way ends.
        told = {c.subject for c in await w.system.journal.since(head) if c.kind == "drain"}
        assert told == {"pe2", "pe4"}
        async with unbroken(w, near, far):
            moved = await w.watch(event, "pe4")
            assert moved.session.edge_node == "pe1"
        async with unbroken(w, near, moved):
            await w.delivery.close_session(far.session.id)
            await until_resting(w, RESTING - {"pe2"}, within_s=30)


@scenario
async def test_a_crowd_wakes_nodes_and_no_viewer_is_lost(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        first = await w.watch(event, "pe1")
        await until_resting(w, RESTING)
        async with unbroken(w, first):
            crowd = [await w.delivery.open_session(event, "pe4") for _ in range(110)]
        served = {ticket.session.edge_node for ticket in crowd}
        assert "pe4" in served
        assert len(served) >= 3
        one_each = {ticket.session.function: ticket for ticket in crowd}
        async with unbroken(w, first, *one_each.values()):
            await asyncio.sleep(w.timing.session_idle_s / 2)
        state = await nodes(w)
        # A later plan may do with fewer nodes: then they drain, but nobody is cut off.
        assert all(state[name].power.value in {"active", "draining"} for name in served)
        for ticket in crowd:
            assert await w.delivery.session(ticket.session.id)
        # The crowd goes; what it woke rests again.
        for ticket in crowd:
            await w.delivery.close_session(ticket.session.id)
        await until_resting(w, RESTING, within_s=40)
        assert await w.arrives(first)


@scenario
async def test_who_is_refused_as_the_last_nodes_come_up_is_served_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        await until_resting(w, RESTING)
        planning, look = w.delivery.planning, w.delivery.controller.make_way
        assert planning is not None

        async def slowly(stream: str, node: str, **more: bool) -> bool:
            found = await look(stream, node, **more)
            for name in RESTING:
                await planning.claim(name)
            return found

        monkeypatch.setattr(w.delivery.controller, "make_way", slowly)
        crowd = [await w.delivery.open_session(event, "pe4") for _ in range(60)]
        assert {ticket.session.edge_node for ticket in crowd} >= {"pe1", "pe4"}


@scenario
async def test_a_growing_audience_gets_nodes_before_anybody_is_refused(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        await until_resting(w, RESTING)
        solver = w.solver
        assert isinstance(solver, InlineSolver)
        for _ in range(12):
            for _ in range(3):
                await w.delivery.open_session(event, "pe5")
            await asyncio.sleep(1)
        assert w.delivery.planning is not None
        assert any(job.infrastructure is not None for job in solver.jobs), "RCA ran"
        answer = w.delivery.planning.answer
        assert answer is not None
        assert answer.share >= 0.8


@scenario
async def test_the_crowd_everybody_refuses_is_told_so(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        await until_resting(w, RESTING)
        with pytest.raises(NoCapacity) as refusal:
            for _ in range(400):
                await w.delivery.open_session(event, "pe4")
        assert refusal.value.retry_after_s
        assert refusal.value.details["reason"] == "cpu"
        states = {name: node.power.value for name, node in (await nodes(w)).items()}
        assert all(states[f"pe{n}"] == "active" for n in range(1, 6))


@scenario
async def test_a_provider_at_a_resting_node_wakes_it(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        await w.live("pe1")
        await until_resting(w, RESTING)
        event = await w.live("pe3")
        assert (await nodes(w))["pe3"].power.value == "active"
        ticket = await w.watch(event, "pe3")
        assert await w.arrives(ticket)
        # Where an encoder pushes nothing rests, however idle it is.
        await asyncio.sleep(25)
        assert (await nodes(w))["pe3"].power.value == "active"
        assert await w.arrives(ticket)


@scenario
async def test_with_nothing_live_one_access_node_is_left_on(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        await until_resting(w, RESTING)
        assert {name for name in set(await nodes(w)) - RESTING if name.startswith("pe")} == {"pe1"}


@scenario
async def test_without_a_plan_the_workflow_of_sls_decides(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        ticket = await w.watch(event, "pe4")
        assert ticket.session.edge_node == "pe4"
        assert set(w.states()) == {
            "acquirer-pe1-1", "forwarder-c1-1", "forwarder-c2-1", "edge-pe4-1",
        }  # fmt: skip


@dataclass
class Slow(InlineSolver):
    """A solver whose answers wait until they are let go."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def solve(self, job: Job) -> Answer:
        answer = await super().solve(job)
        await self.gate.wait()
        return answer


@scenario
async def test_a_plan_from_before_a_crowd_lets_no_node_rest_that_was_called(tmp_path: Path) -> None:
    solver = Slow()
    solver.gate.set()
    async with planned(tmp_path, solver=solver) as w:
        event = await w.live()
        await until_resting(w, RESTING)
        solver.gate.clear()
        asked = len(solver.jobs)

        async def solving() -> bool:
            return len(solver.jobs) > asked

        await until(solving, within_s=15, why="a plan for few viewers is being made")
        crowd = [await w.delivery.open_session(event, "pe4") for _ in range(60)]
        assert {t.session.edge_node for t in crowd} == {"pe1", "pe4"}
        solver.gate.set()
        await asyncio.sleep(3)
        assert (await nodes(w))["pe4"].power.value == "active"


@dataclass
class Willful(InlineSolver):
    """A solver that has everybody served from one node, though others are as good."""

    node: str = "pe3"

    async def solve(self, job: Job) -> Answer:
        problem = job.problems[-1]
        stored = {True: 1e6, False: 1e-6}
        nodes = tuple(
            replace(node, storage_gb=stored[node.name == self.node])
            for node in problem.network.nodes
        )
        wanted = replace(problem, network=replace(problem.network, nodes=nodes))
        return await super().solve(replace(job, problems=(wanted,)))


@scenario
async def test_edges_stand_where_the_plan_says(tmp_path: Path) -> None:
    async with planned(tmp_path, solver=Willful()) as w:
        event = await w.live("pe1")
        before = [await w.watch(event, end) for end in ("pe1", "pe2")]
        assert [ticket.session.edge_node for ticket in before] == ["pe1", "pe1"]
        await until_resting(w, RESTING - {"pe3"})
        after = [await w.watch(event, end) for end in ("pe1", "pe2")]
        assert [ticket.session.edge_node for ticket in after] == ["pe3", "pe3"]
        # Beyond the budget, the nearest node that is on.
        before.append(await w.watch(event, "pe2"))
        assert before[-1].session.edge_node == "pe1"
        assert await all_arrive(w, *before, *after)
        for ticket in before:
            await w.delivery.close_session(ticket.session.id)

        async def moved() -> bool:
            edges = {f for f in w.states() if f.startswith("edge-")}
            return edges == {"edge-pe3-1"}

        await until(moved, within_s=20, why="only the plan's node has an edge")
        assert await all_arrive(w, *after)
        # c2 rests: the stream goes by c1 alone.
        assert {f for f in w.states() if f.startswith("forwarder-")} == {"forwarder-c1-1"}


@scenario
async def test_a_restarted_control_plane_has_every_node_on_until_it_plans(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        viewer = await w.watch(event, "pe1")
        await until_resting(w, RESTING)
        await w.crash()
        await w.start()
        assert await in_standby(w) == set()
        async with unbroken(w, viewer):
            await until_resting(w, RESTING)


@scenario
async def test_a_crowd_that_comes_at_once_is_promised_no_more_than_nodes_have(
    tmp_path: Path,
) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        await until_resting(w, RESTING)
        asked = [w.delivery.open_session(event, "pe4") for _ in range(80)]
        crowd = await asyncio.gather(*asked)
        assert len({ticket.session.edge_node for ticket in crowd}) >= 2
        for node in (await nodes(w)).values():
            assert node.cores_used <= node.cores, node.name
