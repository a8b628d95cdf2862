"""The solver in a process of its own, so that nothing that happens to it is felt by a viewer."""

from umbel.kit import apart
from umbel.planner.jobs import Answer, Job

# Python, numpy and the solver library load before the job's own clock starts.
_START_S = 30.0
_TARGET = "umbel.planner.jobs:run"


class ProcessSolver:
    """`pid` is that of the process at work, None between jobs."""

    def __init__(self, *, start_s: float = _START_S) -> None:
        self.pid: int | None = None
        self._start_s = start_s

    async def solve(self, job: Job) -> Answer:
        most_s = self._start_s + job.effort.time_s * len(job.problems)
        try:
            answer: Answer = await apart.run(_TARGET, job, most_s=most_s, on_start=self._started)
        finally:
            self.pid = None
        return answer

    def _started(self, pid: int) -> None:
        self.pid = pid
