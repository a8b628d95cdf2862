"""A run for a task: its totals, its series and its marks, as plain values."""

import math
from typing import Any

import numpy as np

from umbel.planner.linear import Floats, Ints
from umbel.simulator import collectors, run, workload
from umbel.simulator.collectors import Series, Totals
from umbel.simulator.experiments import optimum
from umbel.simulator.experiments.tasks import Simulation
from umbel.simulator.run import Run

CLASSES = ("top 5 %", "next 15 %", "last 80 %")


def simulated(task: Simulation) -> dict[str, Any]:
    """`totals`; `classes`: the same by popularity; `series` (see `columns`); `marks`: when it was
    optimised again, and why; `nodes` and `full_w`: what there is. Raises NotCompiled."""
    made = run.simulate(task.config)
    there = made.record.world
    return {
        "totals": of_totals(made.totals()),
        "classes": classes(task, made),
        "series": columns(made.series(task.bin_s)),
        "marks": [[at_s, why] for at_s, why in made.marks()],
        "nodes": len(there.names),
        "full_w": optimum.full_power_w(there.network, there.power),
    }


def classes(task: Simulation, made: Run) -> list[dict[str, Any]]:
    """Totals of the most, the less and the least popular contents."""
    rank = workload.audience(task.config).rank
    requested = made.record.requests.content
    of = collectors.popularity_classes(rank, task.config.catalogue)
    return [of_totals(collectors.totals(made.record, some[requested])) for some in of]


def of_totals(totals: Totals) -> dict[str, Any]:
    """Counts and means; None for means of nothing."""
    return {
        "requests": totals.requests,
        **{f"rejected_{why.value}": count for why, count in totals.rejected.items()},
        "rejection_ratio": totals.rejection_ratio,
        "relative_rate": _number(totals.relative_rate),
        "hit_ratio": _number(totals.hit_ratio),
        "delay_s": _number(totals.delay_s),
    }


def columns(series: Series) -> dict[str, list[float | None]]:
    """One list of numbers for each column, a number for each bin."""
    power_w = series.servers_w + series.switches_w + series.routers_w
    found: dict[str, Floats | Ints] = {
        "from_s": series.from_s,
        "requests": series.requests,
        **{f"rejected_{why.value}": count for why, count in series.rejected.items()},
        "relative_rate": series.relative_rate,
        "delay_s": series.delay_s,
        "nodes_on": series.nodes_on.sum(axis=1),
        "bbu_vcpus": series.bbu_vcpus.sum(axis=1),
        "transcode_vcpus": series.vcpus.sum(axis=1),
        "power_w": power_w,
        "multipath_share": series.multipath_share,
    }
    return {
        name: [_number(value) for value in np.asarray(values).tolist()]
        for name, values in found.items()
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
