"""The solver in this very process, for scenarios and the simulator: right, but it blocks.

Beyond the Protocol: `jobs` it was given, and `fail_next` to let it die as a process can.
"""

from dataclasses import dataclass, field

from umbel.kit.errors import Unavailable
from umbel.planner import jobs
from umbel.planner.jobs import Answer, Job


@dataclass
class InlineSolver:
    """Solves on the spot."""

    jobs: list[Job] = field(default_factory=list)
    failures: int = 0

    async def solve(self, job: Job) -> Answer:
        self.jobs.append(job)
        if self.failures:
            self.failures -= 1
            raise Unavailable("the planner was killed")
        return jobs.run(job)

    def fail_next(self, times: int = 1) -> None:
        """Die instead of answering, so many times."""
        self.failures = times
