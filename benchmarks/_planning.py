"""What the planner's benches share: the problem, the clock, and how a figure is reported.

Seconds are CPU time of this process, which has one solver thread: on a free core they are wall
seconds, and a busy machine does not change them much.
"""

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyscipopt

from umbel.planner import clustering, demand, presets, topologies
from umbel.planner.linear import Linear
from umbel.planner.problem import Problem, Routing

Value = TypeVar("Value")
SCIP = f"PySCIPOpt {version('PySCIPOpt')}"


def fmc_problem(load: float, contents: int = 20, routing: Routing | None = None) -> Problem:
    """The fixed-mobile tree under a load, with synthetic contents."""
    network = topologies.fmc_tree()
    seen = demand.observe(np.random.default_rng(0), network, load)
    return Problem(
        network=network,
        demand=clustering.cluster(seen, contents).demand,
        qoe=presets.LADDER_QOE,
        routing=routing or presets.FMC_ROUTING,
    )


def timed(run: Callable[[], Value], count: int) -> tuple[float, Value]:
    """The median CPU seconds of some runs, and what the last one gave."""
    spent = []
    for _ in range(count):
        gc.collect()
        began = time.process_time()
        value = run()
        spent.append(time.process_time() - began)
    return statistics.median(spent), value


def report(  # one figure has this many sides
    bench: str, case: str, value: float, peer: str | None, peer_value: float | None, n: int
) -> None:
    """A row for people on stderr, a line for machines on stdout."""
    ratio = value / peer_value if peer_value else None
    line = {
        "bench": bench,
        "case": case,
        "value": round(value, 4),
        "unit": "s",
        "peer": peer,
        "peer_value": None if peer_value is None else round(peer_value, 4),
        "ratio": None if ratio is None else round(ratio, 4),
        "n": n,
    }
    compared = f"{peer} {peer_value:.3f} s, ratio {ratio:.4f}" if peer_value else ""
    print(f"{bench:12} {case:24} {value:9.3f} s   {compared}", file=sys.stderr, flush=True)
    print(json.dumps(line), flush=True)


@dataclass(frozen=True)
class Second:
    """What the second solver came to."""

    solver: str
    word: str
    objective: float
    bound: float


def expressions(linear: Linear) -> pyscipopt.Model:
    """The program in PySCIPOpt, the usual way: a variable and a constraint at a time."""
    model = pyscipopt.Model()
    model.hideOutput()
    columns = [
        model.addVar(
            lb=linear.lower[n],
            ub=None if np.isinf(linear.upper[n]) else linear.upper[n],
            obj=linear.cost[n],
            vtype="I" if linear.integer[n] else "C",
        )
        for n in range(len(linear.cost))
    ]
    rows = linear.matrix().tocsr()
    for n, (low, high) in enumerate(zip(linear.row_lower, linear.row_upper, strict=True)):
        span = slice(rows.indptr[n], rows.indptr[n + 1])
        if span.start == span.stop:
            continue
        terms = zip(rows.data[span], rows.indices[span], strict=True)
        total = pyscipopt.quicksum(float(value) * columns[column] for value, column in terms)
        if np.isfinite(low):
            model.addCons(total >= float(low))
        if np.isfinite(high):
            model.addCons(total <= float(high))
    return model


def scip(linear: Linear, time_s: float, gap: float = 0.0) -> Second:
    """The program by PySCIPOpt, within an absolute gap or the CPU time."""
    model = expressions(linear)
    model.setParam("timing/clocktype", 1)
    model.setParam("limits/time", time_s)
    model.setParam("limits/absgap", gap)
    model.optimize()
    found = model.getNSols() > 0
    return Second(
        solver=SCIP,
        word=model.getStatus(),
        objective=model.getObjVal() if found else np.inf,
        bound=model.getDualbound(),
    )


def note(text: str) -> None:
    """Something that people should know of the figure."""
    print(f"{'':12} {text}", file=sys.stderr, flush=True)
