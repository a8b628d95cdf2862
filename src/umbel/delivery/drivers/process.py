"""The solver in a process of its own (planner/worker.py), started for each job and gone after it.

Whatever happens to it, a crash, a kill, a hang or a gigabyte too much, costs an answer and no
more. It is killed when it takes much longer than its effort allows.
"""

import asyncio
import os
import pickle
import sys
from contextlib import suppress

from umbel.kit.errors import UmbelError, Unavailable
from umbel.planner.jobs import Answer, Job

# Python, numpy and the solver library load before the job's own clock starts.
_START_S = 30.0
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SolverDied(Unavailable):
    """The planner's process ended without an answer, or was too slow."""

    code = "umbel.solver_died"


class ProcessSolver:
    """`pid` is that of the process at work, None between jobs."""

    def __init__(self, *, start_s: float = _START_S) -> None:
        self.pid: int | None = None
        self._start_s = start_s

    async def solve(self, job: Job) -> Answer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "umbel.planner.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | _ONE_THREAD,
        )
        self.pid = process.pid
        try:
            async with asyncio.timeout(self._start_s + job.effort.time_s * len(job.problems)):
                out, _ = await process.communicate(pickle.dumps(job))
        except TimeoutError:
            raise SolverDied("the planner took too long") from None
        finally:
            self.pid = None
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise SolverDied(f"the planner ended with {process.returncode}")
        answer: Answer | UmbelError = pickle.loads(out)  # noqa: S301 -- our child wrote it
        if isinstance(answer, UmbelError):
            raise answer
        return answer
