"""The solver in its own process: the same answer, and whatever befalls it, an error of ours."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from support import planning
from umbel.delivery.steering.drivers.process import ProcessSolver
from umbel.kit.apart import WorkerDied
from umbel.planner import jobs
from umbel.planner.checks import BadProblem
from umbel.planner.jobs import Job
from umbel.planner.problem import Effort, Problem, QoeModel, Tradeoff

EFFORT = Effort(time_s=20.0)


def small() -> Problem:
    """With plain dicts, as a job's problems must be."""
    problem = planning.small_problem()
    qoe = QoeModel(known=dict(problem.qoe.known), unknown=dict(problem.qoe.unknown))
    return replace(problem, qoe=qoe)


def job(*problems: Problem) -> Job:
    return Job(problems=problems, goal=Tradeoff(gamma=2.0), effort=EFFORT)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def started(solver: ProcessSolver) -> int:
    async with asyncio.timeout(30):
        while solver.pid is None:
            await asyncio.sleep(0.01)
    return solver.pid


async def test_the_answer_is_the_one_given_in_process() -> None:
    solver = ProcessSolver()
    got, here = await solver.solve(job(small())), jobs.run(job(small()))
    assert got.result.plan == here.result.plan
    assert (got.share, got.guide) == (here.share, here.guide)
    assert solver.pid is None


async def test_rca_keeps_the_infrastructure() -> None:
    plan = jobs.run(job(small())).result.plan
    assert plan is not None
    again = jobs.run(replace(job(small()), infrastructure=plan.infrastructure))
    assert again.result.plan is not None
    kept = [replace(n, hits=()) for n in again.result.plan.infrastructure.nodes]
    assert kept == [replace(n, hits=()) for n in plan.infrastructure.nodes]
    assert again.share == pytest.approx(1.0, abs=1e-3)


async def test_rca_goes_on_where_the_last_run_ended_also_in_another_process() -> None:
    plan = jobs.run(job(small())).result.plan
    assert plan is not None
    kept = replace(job(small()), infrastructure=plan.infrastructure)
    solver = ProcessSolver()
    cold = await solver.solve(kept)
    assert cold.start is not None
    warm = await solver.solve(replace(kept, start=cold.start))
    assert warm.result.plan == cold.result.plan
    assert warm.result.report.iterations < cold.result.report.iterations


async def test_the_first_problem_that_can_be_served_in_full_is_taken() -> None:
    tight = replace(
        small(),
        network=replace(
            small().network,
            nodes=tuple(replace(n, storage_gb=1e-6) for n in small().network.nodes),
        ),
    )
    got = jobs.run(job(tight, small(), tight))
    assert got.problem == small()
    assert got.share >= jobs.ENOUGH
    assert jobs.run(job(tight)).share < jobs.ENOUGH


async def test_a_bad_problem_is_told_with_all_its_faults() -> None:
    bundles = tuple(replace(b, parallel=-1.0) for b in small().demand.bundles)
    bad = replace(small(), demand=replace(small().demand, bundles=bundles))
    with pytest.raises(BadProblem) as caught:
        await ProcessSolver().solve(job(bad))
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert len(problems) == len(bundles)


async def test_a_killed_solver_is_an_error_of_ours() -> None:
    solver = ProcessSolver()
    solving = asyncio.create_task(solver.solve(job(small())))
    pid = await started(solver)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="signal 9"):
        await solving
    assert solver.pid is None


async def test_a_hanging_solver_is_killed() -> None:
    solver = ProcessSolver(start_s=0.5)
    solving = asyncio.create_task(solver.solve(replace(job(small()), effort=Effort(time_s=0.5))))
    pid = await started(solver)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerDied, match="was stopped"):
        await solving
    assert not is_alive(pid)


async def test_who_is_cancelled_leaves_no_process_behind() -> None:
    solver = ProcessSolver()
    solving = asyncio.create_task(solver.solve(job(small())))
    pid = await started(solver)
    solving.cancel()
    await asyncio.gather(solving, return_exceptions=True)
    assert not is_alive(pid)


def test_a_job_has_a_problem() -> None:
    with pytest.raises(ValueError, match="problem"):
        job()
