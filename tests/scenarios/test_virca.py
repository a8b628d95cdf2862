"""The virca policy on fakes and virtual time: nodes rest, wake for a crowd, and nobody is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from support.virtual import scenario, standing_still, until
from support.world import World, world
from umbel.delivery.drivers.fake import InlineSolver
from umbel.delivery.drivers.process import ProcessSolver
from umbel.delivery.model import NodeStatus, Ticket
from umbel.delivery.view import NoCapacity
from umbel.network import files
from umbel.planner.jobs import Answer, Job
from umbel.planner.result import Meaning

PERIODS = {"plan_sample_s": 2.0, "plan_rca_s": 3.0, "plan_virca_s": 10.0, "node_wake_s": 2.0}
RESTING = {"pe2", "pe3", "pe4", "pe5", "c2"}
"""With one encoder at pe1 and few viewers; c1 is the network's centre and stays on."""


def small_network(folder: Path) -> Path:
    """SLS's network on nodes that are full with some forty viewers."""
    document = dict(files.builtin("sls"))
    document["nodes"] = [dict(node, cores=0.2) for node in document["nodes"]]
    path = folder / "network.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@asynccontextmanager
async def planned(folder: Path, **more: object) -> AsyncIterator[World]:
    settings = {**PERIODS, "network_file": small_network(folder), **more.pop("settings", {})}
    async with world(folder / "data", policy="virca", settings=settings, **more) as w:
        yield w


async def nodes(w: World) -> dict[str, NodeStatus]:
    return {node.name: node for node in await w.delivery.nodes()}


async def in_standby(w: World) -> set[str]:
    return {name for name, node in (await nodes(w)).items() if node.state == "standby"}


async def until_resting(w: World, names: set[str], *, within_s: float = 25.0) -> None:
    async def holds() -> bool:
        return await in_standby(w) == names

    await until(holds, within_s=within_s, why=f"{names} rest")


async def all_arrive(w: World, *tickets: Ticket) -> bool:
    return all([await w.arrives(ticket) for ticket in tickets])


@dataclass
class Watched:
    """Counts the moments in which a viewer's edge was without the stream."""

    world: World
    tickets: tuple[Ticket, ...]
    looks: int = 0
    missed: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            for ticket in self.tickets:
                self.looks += 1
                if not await self.world.arrives(ticket):
                    self.missed.append(ticket.session.function)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def unbroken(w: World, *tickets: Ticket) -> AsyncIterator[None]:
    """These viewers' edges are fed all the time."""
    watched = Watched(w, tickets)
    task = asyncio.create_task(watched.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watched.looks > 0
    assert watched.missed == []


@scenario
async def test_at_low_load_nodes_go_to_standby_and_draw_less(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        event = await w.live()
        before = await nodes(w)
        assert {node.state for node in before.values()} == {"active"}
        near = await w.watch(event, "pe1")
        async with unbroken(w, near):
            await until_resting(w, RESTING)
        after = await nodes(w)
        assert after["c2"].watts == 0.0
        assert sum(n.watts for n in after.values()) < sum(n.watts for n in before.values())
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
            assert {(await nodes(w))[n].state for n in ("pe2", "pe4")} == {"draining"}
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
            await asyncio.sleep(w.pace.session_idle_s / 2)
        state = await nodes(w)
        # A later plan may do with fewer nodes: then they drain, but nobody is cut off.
        assert all(state[name].state in {"active", "draining"} for name in served)
        for ticket in crowd:
            assert await w.delivery.session(ticket.session.id)
        # The crowd goes; what it woke rests again.
        for ticket in crowd:
            await w.delivery.close_session(ticket.session.id)
        await until_resting(w, RESTING, within_s=40)
        assert await w.arrives(first)


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
        states = {name: node.state for name, node in (await nodes(w)).items()}
        assert all(states[f"pe{n}"] == "active" for n in range(1, 6))


@scenario
async def test_a_provider_at_a_resting_node_wakes_it(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        await w.live("pe1")
        await until_resting(w, RESTING)
        event = await w.live("pe3")
        assert (await nodes(w))["pe3"].state == "active"
        ticket = await w.watch(event, "pe3")
        assert await w.arrives(ticket)
        # Where an encoder pushes nothing rests, however idle it is.
        await asyncio.sleep(25)
        assert (await nodes(w))["pe3"].state == "active"
        assert await w.arrives(ticket)


@scenario
async def test_with_nothing_live_one_access_node_is_left_on(tmp_path: Path) -> None:
    async with planned(tmp_path) as w:
        await until_resting(w, RESTING)


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
        assert (await nodes(w))["pe4"].state == "active"


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


# -- the solver fails -----------------------------------------------------------------------


@scenario
async def test_when_the_planner_dies_the_last_plan_stays(tmp_path: Path) -> None:
    solver = InlineSolver()
    async with planned(tmp_path, solver=solver) as w:
        event = await w.live()
        viewer = await w.watch(event, "pe1")
        await until_resting(w, RESTING)
        in_force = w.delivery.collector.steering
        solver.fail_next(100)
        async with unbroken(w, viewer):
            await asyncio.sleep(35)
        assert len(solver.jobs) >= 3
        assert w.delivery.collector.steering is in_force
        assert await in_standby(w) == RESTING
        # A crowd is served even so: nodes wake without the planner.
        crowd = [await w.delivery.open_session(event, "pe4") for _ in range(60)]
        assert {t.session.edge_node for t in crowd} == {"pe1", "pe4"}
        solver.fail_next(0)
        asked = len(solver.jobs)
        await asyncio.sleep(25)
        assert len(solver.jobs) > asked
        assert w.delivery.collector.steering is not in_force


@dataclass
class Killable:
    """The real process, while virtual time stands still; killed as often as is said."""

    inner: ProcessSolver = field(default_factory=ProcessSolver)
    kills: int = 0
    outcomes: list[str] = field(default_factory=list)

    async def solve(self, job: Job) -> Answer:
        with standing_still():
            solving = asyncio.ensure_future(self.inner.solve(job))
            while self.kills and self.inner.pid is None and not solving.done():
                await asyncio.sleep(0)
            if self.kills and self.inner.pid is not None:
                self.kills -= 1
                os.kill(self.inner.pid, signal.SIGKILL)
            try:
                answer = await solving
            except Exception as error:
                self.outcomes.append(type(error).__name__)
                raise
            self.outcomes.append(answer.result.meaning.value)
            return answer


@scenario
async def test_a_killed_planner_process_costs_an_answer_and_nothing_else(tmp_path: Path) -> None:
    solver = Killable()
    async with planned(tmp_path, solver=solver) as w:
        event = await w.live()
        viewer = await w.watch(event, "pe1")
        await until_resting(w, RESTING)
        in_force = w.delivery.collector.steering
        assert solver.outcomes
        assert "WorkerDied" not in solver.outcomes
        solver.kills = 1
        async with unbroken(w, viewer):

            async def died() -> bool:
                return "WorkerDied" in solver.outcomes

            await until(died, within_s=30, why="the planner was killed")
            assert w.delivery.collector.steering is in_force
            assert await in_standby(w) == RESTING

            async def again() -> bool:
                return solver.outcomes[-1] != "WorkerDied"

            await until(again, within_s=30, why="the planner is back")
        assert solver.inner.pid is None


@dataclass
class Hasty(InlineSolver):
    """A solver that runs out of time: with the best plan so far, or with none."""

    meaning: Meaning = Meaning.FEASIBLE

    async def solve(self, job: Job) -> Answer:
        answer = await super().solve(job)
        if self.meaning is Meaning.FEASIBLE:
            return replace(answer, result=replace(answer.result, meaning=self.meaning))
        nothing = replace(answer.result, meaning=self.meaning, plan=None)
        return replace(answer, result=nothing, guide=None, share=0.0)


@scenario
async def test_a_solver_over_its_time_gives_the_best_known_plan(tmp_path: Path) -> None:
    async with planned(tmp_path, solver=Hasty()) as w:
        await w.live()
        await until_resting(w, RESTING)


@scenario
async def test_a_solver_that_found_nothing_changes_nothing(tmp_path: Path) -> None:
    solver = Hasty(meaning=Meaning.UNKNOWN)
    async with planned(tmp_path, solver=solver) as w:
        await w.live()
        await asyncio.sleep(35)
        assert len(solver.jobs) >= 3
        assert w.delivery.collector.steering is None
        assert await in_standby(w) == set()


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
