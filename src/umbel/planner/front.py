"""A Pareto front of power and quality: points of which none is better in both.

A weighted sum only finds points on the front's convex hull, and finds them fast; a QoE floor finds
those between. So half of the points are weights, and the rest floors in the widest gaps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from umbel.planner.problem import Goal, LeastPower, Tradeoff
from umbel.planner.result import Result

# Weights so small and so large that quality, and power, hardly count any more.
LEAST_GAMMA = 0.02
MOST_GAMMA = 10.0
_SAME = 1e-6

Solve = Callable[[Goal], Result]
OnPoint = Callable[["Point"], None]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One plan of a front. `ideal` says whether it is on the front of those that were found."""

    goal: Goal
    result: Result
    ideal: bool = True

    @property
    def power_w(self) -> float:
        """Its power; infinite without a plan."""
        return self.result.plan.power.total_w if self.result.plan else np.inf

    @property
    def qoe(self) -> float:
        """Its quality; zero without a plan."""
        return self.result.plan.qoe if self.result.plan else 0.0


def weights(count: int) -> list[float]:
    """No weight at all, then the others evenly spread on a logarithmic scale, the largest last."""
    others = np.geomspace(MOST_GAMMA, LEAST_GAMMA, max(1, count - 1))
    return [*([0.0] if count > 1 else []), *(float(gamma) for gamma in others[::-1])]


def trace(solve: Solve, count: int, on_point: OnPoint) -> tuple[Point, ...]:
    """So many points by rising quality, each passed to `on_point` as soon as it is known."""
    found: list[Point] = []

    def add(goal: Goal) -> None:
        point = Point(goal=goal, result=solve(goal))
        found.append(point)
        on_point(point)

    for gamma in weights((count + 1) // 2):
        add(Tradeoff(gamma=gamma))
    while len(found) < count:
        floor = _widest(found)
        if floor is None:
            break
        add(LeastPower(qoe_floor=floor))
    return sorted_front(found)


def sorted_front(points: Iterable[Point]) -> tuple[Point, ...]:
    """By rising quality, with those that another one beats in both marked as not ideal."""
    some = sorted(points, key=lambda point: (point.qoe, -point.power_w))
    least = np.inf
    marked: list[Point] = []
    for point in reversed(some):
        ideal = point.result.plan is not None and point.power_w < least - _SAME
        least = min(least, point.power_w)
        marked.append(Point(goal=point.goal, result=point.result, ideal=ideal))
    return tuple(reversed(marked))


def _widest(found: list[Point]) -> float | None:
    """A floor in the middle of the widest gap in quality that was not tried; none where the front
    is one point."""
    front = [point.qoe for point in sorted_front(found) if point.ideal]
    tried = [point.goal.qoe_floor for point in found if isinstance(point.goal, LeastPower)]
    gaps = sorted(pairwise(front), key=lambda gap: gap[0] - gap[1])
    for low, high in gaps:
        inside = sorted(floor for floor in tried if low + _SAME < floor <= high)
        floor = (low + (inside[0] if inside else high)) / 2
        if floor - low > _SAME * max(1.0, high):
            return floor
    return None
