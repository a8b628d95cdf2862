"""What delivery needs of a solver: a Job in, an Answer out, and no harm done."""

from typing import Protocol

from umbel.planner.jobs import Answer, Job


class Solver(Protocol):
    """Runs planning jobs, one at a time."""

    async def solve(self, job: Job) -> Answer:
        """The answer; a job that runs out of its effort's time answers with the best known plan.
        Raises Unavailable when the solver died or hung, and what `jobs.run` raises."""
