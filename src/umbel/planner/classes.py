"""Which cluster a request belongs to (Algorithm 2, step 1). Observations and labels in, names out.

The features are those of `clustering` that a single request has: kind, duration, size, 2160p; how
often each end asks for a content is not one of them.
"""

from dataclasses import dataclass

import numpy as np

from umbel.planner.clustering import Clustering
from umbel.planner.demand import Observations
from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.problem import Kind

_NOTHING = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Classes:
    """Centroids of the last optimisation, and the scales of its features. Row n of `centroids`
    is the content of that number, `names[n]`."""

    names: tuple[str, ...]
    mean: Floats
    spread: Floats
    centroids: Floats

    def nearest(self, kind: Ints, duration_s: Floats, size_gb: Floats, uhd: Flags) -> Ints:
        """The number of each request's cluster, the lowest of equally near ones; -1 where there
        are no clusters."""
        if not self.names:
            return np.full(len(kind), -1, dtype=np.int64)
        rows = (_rows(kind, duration_s, size_gb, uhd) - self.mean) / self.spread
        gaps = ((rows[:, None, :] - self.centroids[None, :, :]) ** 2).sum(axis=2)
        closest: Ints = gaps.argmin(axis=1).astype(np.int64)
        return closest

    def name(self, kind: int, duration_s: float, size_gb: float, uhd: bool) -> str:
        """One request's content, empty where there are no clusters."""
        one = self.nearest(
            np.array([kind]), np.array([duration_s]), np.array([size_gb]), np.array([uhd])
        )
        return self.names[int(one[0])] if one[0] >= 0 else ""


def classes_of(seen: Observations, found: Clustering) -> Classes:
    """The classes of a clustering of what was seen."""
    rows = _rows(seen.kind, seen.duration_s, seen.size_gb, seen.uhd)
    mean, spread = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    # As in clustering: duration and size are z-scores, rank and flag stay as they are.
    if len(rows):
        mean[1:3] = rows[:, 1:3].mean(axis=0)
        deviation = rows[:, 1:3].std(axis=0)
        spread[1:3] = np.where(deviation > _NOTHING, deviation, 1.0)
    scaled = (rows - mean) / spread
    count = len(found.demand.contents)
    members = np.bincount(found.labels, minlength=count)
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, found.labels, scaled)
    return Classes(
        names=tuple(content.name for content in found.demand.contents),
        mean=mean,
        spread=spread,
        centroids=sums / np.maximum(members, 1)[:, None],
    )


def _rows(kind: Ints, duration_s: Floats, size_gb: Floats, uhd: Flags) -> Floats:
    rank = kind / (len(Kind) - 1)
    return np.column_stack([rank, duration_s, size_gb, uhd.astype(np.float64)])
