"""One task, done: the function that pools carry to wherever there is a free CPU."""

from typing import Any

from umbel.simulator.experiments import optimum, simulation
from umbel.simulator.experiments.tasks import Optimum, Task


def done(task: Task) -> dict[str, Any]:
    """Plain values that JSON can hold, the same on every machine as long as no solver runs out of
    time. Raises BadProblem, TooManyPaths, NotCompiled."""
    if isinstance(task, Optimum):
        return optimum.solved(task)
    return simulation.simulated(task)
