"""Why there is no plan: which constraint family stands in the way, and what it limits.

Every capacity may be exceeded at a price; what is cheapest to exceed is what is short.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from umbel.planner import highs
from umbel.planner.fast import Fast
from umbel.planner.highs import Limits, Word
from umbel.planner.linear import Floats, Linear
from umbel.planner.problem import LeastPower
from umbel.planner.result import Binding

# Family -> what it limits, and the price of one of its units: structure is dearer than capacity.
_STRUCTURE = 1e4
_LIMITS = {
    "(3a)": ("radio capacity of a site", 1.0),
    "(3d)": ("a way from the PoP", _STRUCTURE),
    "(3f)": ("lightpaths", 1.0),
    "(3g)": ("IP routers", 1.0),
    "(3h)": ("switches", 1.0),
    "(4d)": ("hosts that a base band can reach", _STRUCTURE),
    "(4e)": ("vCPUs for base bands", 1.0),
    "(5c)": ("storage", 1.0),
    "(5d)": ("vCPUs for transcoding", 1.0),
    "(6a)": ("servers", 1.0),
}
_ENOUGH = 1e-6


def binding(fast: Fast, time_s: float) -> tuple[Binding, ...]:
    """The families that must give way, the scarcest first; empty where that was not found out in
    time."""
    goal = fast.goal
    if isinstance(goal, LeastPower) and goal.qoe_floor > fast.instance.full_qoe:
        return (
            Binding(family="(5a)", what="demand: all of it at best quality is below the floor"),
        )
    relaxed, families = elastic(fast.linear)
    outcome = highs.solve(relaxed, Limits(time_s=time_s, gap=_ENOUGH))
    if outcome.values is None or outcome.word not in {Word.OPTIMAL, Word.LIMIT}:
        return ()
    excess = outcome.values[-len(families) :]
    totals = {name: float(excess[families == name].sum()) for name in _LIMITS}
    short = sorted((n for n in totals if totals[n] > _ENOUGH), key=lambda n: -totals[n])
    return tuple(Binding(family=name, what=_LIMITS[name][0]) for name in short)


def elastic(linear: Linear) -> tuple[Linear, Floats]:
    """The program with a column for each limiting row, which lifts it at a price; and the family
    of each such column."""
    some = [name for name in _LIMITS if name in linear.rows]
    rows = np.concatenate([linear.rows[name] for name in some])
    counts = [len(linear.rows[name]) for name in some]
    families = np.repeat(np.array(some), counts)
    price = np.repeat([_LIMITS[name][1] for name in some], counts)
    lift = np.where(np.isfinite(linear.row_lower[rows]), 1.0, -1.0)
    places = (rows, np.arange(len(rows)))
    extra = sparse.csc_array((lift, places), shape=(len(linear.row_lower), len(rows)))
    matrix = sparse.hstack([linear.matrix(), extra], format="csc")
    nothing = np.zeros(len(rows))
    return replace(
        linear,
        cost=np.concatenate([np.zeros_like(linear.cost), price]),
        lower=np.concatenate([linear.lower, nothing]),
        upper=np.concatenate([linear.upper, nothing + np.inf]),
        integer=np.concatenate([linear.integer, nothing > 0]),
        starts=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        values=matrix.data,
    ), families
