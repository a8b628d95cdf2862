"""The virca policy when its solver dies, finds nothing, or runs out of time."""

import asyncio
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

from support.virca import RESTING, in_standby, planned, unbroken, until_resting
from support.virtual import scenario, standing_still, until
from umbel.delivery.steering.drivers.fake import InlineSolver
from umbel.delivery.steering.drivers.process import ProcessSolver
from umbel.planner.jobs import Answer, Job
from umbel.planner.problem import Tradeoff
from umbel.planner.result import Meaning


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
        assert w.delivery.collector.steering is not None


@scenario
async def test_a_solver_that_found_nothing_changes_nothing(tmp_path: Path) -> None:
    solver = Hasty(meaning=Meaning.UNKNOWN)
    async with planned(tmp_path, solver=solver) as w:
        await w.live()
        await asyncio.sleep(35)
        assert len(solver.jobs) >= 3
        assert w.delivery.collector.steering is None
        assert await in_standby(w) == set()


@dataclass
class Starved(InlineSolver):
    """A solver whose ViRCA, while it is short of time, comes to its last resort: nobody served."""

    short: bool = True

    async def solve(self, job: Job) -> Answer:
        if not self.short or job.infrastructure is not None:
            return await super().solve(job)
        nobody = replace(job, problems=job.problems[-1:], goal=Tradeoff(gamma=0.0))
        answer = await super().solve(nobody)
        assert answer.share == 0.0
        return replace(answer, result=replace(answer.result, meaning=Meaning.FEASIBLE))

    def of_virca(self) -> int:
        """How often it was asked for a plan."""
        return sum(job.infrastructure is None for job in self.jobs)


@scenario
async def test_a_plan_for_which_time_ran_out_is_soon_made_anew(tmp_path: Path) -> None:
    solver = Starved()
    async with planned(tmp_path, solver=solver) as w:
        event = await w.live()
        viewer = await w.watch(event, "pe1")
        planning = w.delivery.planning
        assert planning is not None

        async def unproven() -> bool:
            return planning.answer is not None and planning.answer.share == 0.0

        await until(unproven, within_s=25, why="a plan that serves nobody is in force")
        solver.short = False

        async def better() -> bool:
            return planning.answer is not None and planning.answer.share > 0.99

        async with unbroken(w, viewer):
            # The next look at idle nodes is further away than that.
            await until(better, within_s=8, why="RCA's answer was judged too low")
        assert any(job.infrastructure is not None for job in solver.jobs), "RCA ran"


@scenario
async def test_rcas_answer_stays_where_time_ran_out_for_a_better_one(tmp_path: Path) -> None:
    solver = Starved(short=False)
    async with planned(tmp_path, solver=solver) as w:
        event = await w.live()
        viewers = [await w.watch(event, "pe1") for _ in range(3)]
        await until_resting(w, RESTING)
        planning = w.delivery.planning
        assert planning is not None
        before, asked = planning.answer, solver.of_virca()
        solver.short = True
        viewers += [await w.watch(event, "pe1") for _ in range(25)]

        async def again() -> bool:
            return solver.of_virca() > asked

        await until(again, within_s=8, why="RCA's answer was judged too low")
        await asyncio.sleep(0.5)
        assert planning.answer is not before
        assert planning.answer is not None
        assert 0.0 < planning.answer.share < 0.8
