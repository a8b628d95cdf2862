"""A quick good solution: solve without whole numbers, then fix what is nearly whole, and again.

A program in, an Outcome out whose bound is the first run's; most often the two are near enough
to be done, because the compact program is tight. Linear programs only, each warm from the last.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from umbel.planner.highs import Basis, Limits, Method, Outcome, Session, Word
from umbel.planner.linear import Flags, Floats, Ints, Linear

# So near to 0 or 1 a fraction is taken at its word.
_NEAR = 0.02
_WHOLE = 1e-6
# One in so many fractions is fixed at once.
_SHARE_AT_ONCE = 20

Choice = Callable[[Floats, Flags], tuple[Flags, Floats]]


Enough = Callable[[Outcome], bool]


def never(_outcome: Outcome) -> bool:
    """Nothing but the gap is enough."""
    return False


def dive(
    linear: Linear, limits: Limits, start: Basis | None = None, enough: Enough = never
) -> Outcome:
    """The relaxation's bound and, unless time or all ways gave out, a solution in whole numbers.

    The basis is that of the solution. `word` is OPTIMAL where the two are within the gap or that
    is `enough`, INFEASIBLE where the relaxation is. `start` is the relaxation's basis if known.
    """
    session = Session(linear.relaxed())
    if start is not None:
        session.start_from(start)
    root = session.run(limits, Method.INTERIOR if start is None else Method.DUAL)
    if root.word is not Word.OPTIMAL or root.values is None:
        return replace(root, values=None, basis=None, objective=np.inf)
    whole = np.flatnonzero(linear.integer)
    best, spent_s = replace(root, values=None, basis=None, objective=np.inf), root.run_s
    close = False
    for choose in (_surest, _largest, _smallest):
        session.bound_columns(whole, linear.lower[whole], linear.upper[whole])
        left = replace(limits, time_s=limits.time_s - spent_s)
        found = _descend(session, root, whole, choose, left)
        spent_s += found.run_s
        best = min(best, replace(found, bound=root.bound), key=lambda one: one.objective)
        close = best.objective - root.bound <= limits.gap
        close = close or (best.values is not None and enough(best))
        if close or spent_s >= limits.time_s:
            break
    return replace(
        root,
        word=Word.OPTIMAL if close else Word.LIMIT,
        objective=best.objective,
        values=best.values,
        basis=best.basis,
        run_s=spent_s,
    )


def _descend(
    session: Session, root: Outcome, whole: Ints, choose: Choice, limits: Limits
) -> Outcome:
    """One way down from the root; without values where it ended in nothing."""
    fixed = np.zeros(len(whole), dtype=bool)
    last, spent_s = root, 0.0
    pivots = len(root.row_duals) // 4 if root.row_duals is not None else limits.pivots
    while last.values is not None and not _is_whole(last.values[whole]):
        fresh, bound = choose(last.values[whole], fixed)
        fixed |= fresh
        session.bound_columns(whole[fresh], bound[fresh], bound[fresh])
        last = _again(session, replace(limits, time_s=limits.time_s - spent_s), pivots)
        spent_s += last.run_s
        if last.word is not Word.OPTIMAL:
            last = replace(last, values=None, objective=np.inf)
    return replace(last, run_s=spent_s)


def _again(session: Session, limits: Limits, pivots: int) -> Outcome:
    """Warm; where that takes many pivots the program is degenerate, and from nothing is quicker."""
    warm = session.run(replace(limits, pivots=pivots))
    if warm.word is not Word.LIMIT or warm.run_s >= limits.time_s:
        return warm
    left = replace(limits, time_s=limits.time_s - warm.run_s)
    cold = session.run(left, Method.INTERIOR)
    return replace(cold, run_s=warm.run_s + cold.run_s)


def _is_whole(values: Floats) -> bool:
    return float(np.abs(values - np.rint(values)).max(initial=0.0)) <= _WHOLE


def _surest(values: Floats, fixed: Flags) -> tuple[Flags, Floats]:
    """All that are nearly whole, if a fraction is among them; else they and the largest."""
    fraction = np.abs(values - np.rint(values))
    near = (fraction <= _NEAR) & ~fixed
    if (near & (fraction > _WHOLE)).any():
        return near, np.rint(values)
    fresh, bound = _largest(values, fixed)
    return fresh | near, bound


def _largest(values: Floats, fixed: Flags) -> tuple[Flags, Floats]:
    """The largest fraction, up: a node that is on can still do everything. Of many, several at
    once, as far as they are more than half: no two of those exclude each other (4d)."""
    open_ = ~fixed & (np.abs(values - np.rint(values)) > _WHOLE)
    order = np.argsort(np.where(open_, -values, np.inf), kind="stable")
    several = order[: int(open_.sum()) // _SHARE_AT_ONCE]
    several = several[values[several] > 0.5]
    if not len(several):
        return _one(values, fixed, -values, 1.0)
    fresh, bounds = np.zeros(len(values), dtype=bool), np.rint(values)
    fresh[several] = True
    return fresh, bounds


def _smallest(values: Floats, fixed: Flags) -> tuple[Flags, Floats]:
    """The smallest fraction, down."""
    return _one(values, fixed, values, 0.0)


def _one(values: Floats, fixed: Flags, rank: Floats, bound: float) -> tuple[Flags, Floats]:
    open_ = ~fixed & (np.abs(values - np.rint(values)) > _WHOLE)
    chosen = int(np.argmin(np.where(open_, rank, np.inf)))
    fresh = np.zeros(len(values), dtype=bool)
    fresh[chosen] = True
    bounds = np.rint(values)
    bounds[chosen] = bound
    return fresh, bounds
