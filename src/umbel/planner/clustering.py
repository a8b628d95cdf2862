"""Many observed contents become few synthetic ones: Observations in, Demand and labels out.

The size of the program is paths x contents; what matters of a content is its features, not its
name. K-means (scikit-learn) on the normalised features; storage and demand are conserved.
"""

from dataclasses import dataclass

import numpy as np

from umbel.planner.demand import Observations
from umbel.planner.linear import Floats, Ints
from umbel.planner.problem import Bundle, Content, Demand, Kind, Resolution

MOST_PATHS_X_CONTENTS = 100_000
_NOTHING = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Clustering:
    """The synthetic demand, and for each observed content the number of its cluster."""

    demand: Demand
    labels: Ints


def most_clusters(paths: int, product: int = MOST_PATHS_X_CONTENTS) -> int:
    """How many contents keep paths x contents within a product; at least one."""
    return max(1, product // max(1, paths))


def cluster(seen: Observations, most: int, seed: int = 0) -> Clustering:
    """At most `most` synthetic contents. A cluster's size is the sum of its members', so that all
    of them fit where it is cached; its kind is the mean rank, its 2160p flag the majority."""
    if len(seen) == 0:
        return Clustering(
            demand=Demand(contents=(), bundles=()), labels=np.zeros(0, dtype=np.int64)
        )
    labels = _labels(features(seen), most, seed)
    count = int(labels.max()) + 1
    members = np.bincount(labels, minlength=count)
    rank = np.rint(np.bincount(labels, seen.kind, count) / members).astype(int)
    uhd = np.bincount(labels, seen.uhd, count) * 2 > members
    size_gb = np.bincount(labels, seen.size_gb, count)
    kinds = tuple(Kind)
    contents = tuple(
        Content(
            name=f"cluster-{number + 1}",
            kind=kinds[rank[number]],
            size_gb=float(size_gb[number]),
            mean_gb=float(size_gb[number] / members[number]),
            uhd=bool(uhd[number]),
        )
        for number in range(count)
    )
    bundles = _bundles(seen, labels, contents)
    return Clustering(demand=Demand(contents=contents, bundles=bundles), labels=labels)


def features(seen: Observations) -> Floats:
    """One row per content: the kind's rank in [0, 1]; z-scores of duration, size and of the
    parallel requests of each end; the 2160p flag."""
    rank = seen.kind / (len(Kind) - 1)
    scores = [_z_score(seen.duration_s), _z_score(seen.size_gb)]
    asked = _z_score(seen.parallel.sum(axis=2))
    return np.column_stack([rank, *scores, seen.uhd.astype(float), asked])


def _z_score(values: Floats) -> Floats:
    spread = values.std(axis=0)
    scores: Floats = (values - values.mean(axis=0)) / np.where(spread > _NOTHING, spread, 1.0)
    return scores


def _labels(rows: Floats, most: int, seed: int) -> Ints:
    """K-means, with labels numbered in the order in which they first appear."""
    distinct, first = np.unique(rows, axis=0, return_inverse=True)
    if len(distinct) <= most:
        found = first.ravel()
    else:
        from sklearn.cluster import KMeans  # noqa: PLC0415 -- loads slowly

        found = KMeans(most, n_init=1, random_state=seed).fit_predict(rows)
    _values, where, inverse = np.unique(found, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(where))
    return order[inverse.ravel()].astype(np.int64)


def _bundles(seen: Observations, labels: Ints, contents: tuple[Content, ...]) -> tuple[Bundle, ...]:
    parallel = np.zeros((len(contents), *seen.parallel.shape[1:]))
    watching = np.zeros_like(parallel)
    np.add.at(parallel, labels, seen.parallel)
    np.add.at(watching, labels, seen.parallel * seen.watch_s[:, None, None])
    resolutions = tuple(Resolution)
    asked = np.argwhere(parallel > _NOTHING).tolist()
    return tuple(
        Bundle(
            end=seen.ends[end],
            content=contents[content].name,
            resolution=resolutions[resolution],
            parallel=float(parallel[content, end, resolution]),
            watch_s=float(watching[content, end, resolution] / parallel[content, end, resolution]),
        )
        for content, end, resolution in asked
    )
