"""Clustering conserves what matters: storage, demand, watching time; and keeps the bound."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.planner import checks, clustering, demand, presets, topologies
from umbel.planner.demand import Observations
from umbel.planner.problem import Access, Demand, Kind, Problem, Resolution

NETWORK = topologies.fmc_tree()


def observed(load: float = 0.02, seed: int = 0) -> Observations:
    return demand.observe(np.random.default_rng(seed), NETWORK, load)


def totals(found: Demand) -> dict[tuple[str, Resolution], float]:
    sums: dict[tuple[str, Resolution], float] = {}
    for bundle in found.bundles:
        key = (bundle.end, bundle.resolution)
        sums[key] = sums.get(key, 0.0) + bundle.parallel
    return sums


@given(most=st.integers(1, 60), seed=st.integers(0, 5))
@examples(15)
def test_storage_demand_and_watching_time_are_conserved(most: int, seed: int) -> None:
    seen = observed(seed=seed)
    found = clustering.cluster(seen, most).demand
    assert len(found.contents) <= most
    assert sum(c.size_gb for c in found.contents) == pytest.approx(seen.size_gb.sum())
    asked = seen.parallel.sum(axis=0)
    for (end, resolution), parallel in totals(found).items():
        place = seen.ends.index(end), list(Resolution).index(resolution)
        assert parallel == pytest.approx(asked[place])
    assert sum(totals(found).values()) == pytest.approx(seen.parallel.sum())
    watched = sum(b.parallel * b.watch_s for b in found.bundles)
    assert watched == pytest.approx((seen.parallel.sum(axis=(1, 2)) * seen.watch_s).sum())


def test_the_result_is_a_sound_demand() -> None:
    found = clustering.cluster(observed(), 20).demand
    checks.check(Problem(network=NETWORK, demand=found, qoe=presets.LADDER_QOE))


def test_equal_observations_give_equal_clusters() -> None:
    one, other = (clustering.cluster(observed(), 20) for _ in range(2))
    assert one.demand == other.demand
    assert (one.labels == other.labels).all()


def test_few_contents_are_left_alone() -> None:
    seen = observed(load=0.002)
    found = clustering.cluster(seen, 10_000)
    assert len(found.demand.contents) <= len(seen)
    for label, content in enumerate(found.demand.contents):
        assert len(set(seen.kind[found.labels == label])) == 1
        assert content.mean_gb == pytest.approx(seen.size_gb[found.labels == label].mean())


def test_nothing_seen_is_no_demand() -> None:
    seen = observed()
    nothing = replace(
        seen,
        kind=seen.kind[:0],
        duration_s=seen.duration_s[:0],
        size_gb=seen.size_gb[:0],
        uhd=seen.uhd[:0],
        watch_s=seen.watch_s[:0],
        parallel=seen.parallel[:0],
    )
    assert clustering.cluster(nothing, 20).demand == Demand(contents=(), bundles=())


def made(kind: list[int], size_gb: list[float], uhd: list[bool]) -> Observations:
    return Observations(
        ends=("e",),
        kind=np.array(kind),
        duration_s=np.full(len(kind), 600.0),
        size_gb=np.array(size_gb),
        uhd=np.array(uhd),
        watch_s=np.full(len(kind), 300.0),
        parallel=np.ones((len(kind), 1, len(Resolution))),
    )


def test_a_cluster_sums_sizes_and_takes_the_majority() -> None:
    seen = made([0, 1, 1, 2, 2], [1.0, 2.0, 3.0, 4.0, 5.0], [True, True, True, False, False])
    (content,) = clustering.cluster(seen, 1).demand.contents
    assert (content.size_gb, content.mean_gb, content.uhd) == (15.0, 3.0, True)
    assert content.kind is Kind.MOVIE
    tied = made([2, 2], [1.0, 1.0], [True, False])
    (content,) = clustering.cluster(tied, 1).demand.contents
    assert not content.uhd
    assert content.kind is Kind.SPORT


def test_distant_contents_part() -> None:
    seen = made([0, 0, 2, 2], [1.0, 1.1, 50.0, 51.0], [False, False, True, True])
    labels = clustering.cluster(seen, 2).labels
    assert labels.tolist() == [0, 0, 1, 1]


def test_features_are_normalised() -> None:
    rows = clustering.features(observed(load=0.2))
    assert set(np.unique(rows[:, 0])) <= {0.0, 0.5, 1.0}
    assert set(np.unique(rows[:, 3])) <= {0.0, 1.0}
    scored = np.delete(rows, [0, 3], axis=1)
    assert scored.shape[1] == 2 + len([n for n in NETWORK.nodes if n.access is not Access.TRANSIT])
    assert scored.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert scored.std(axis=0) == pytest.approx(1.0)


def test_the_bound_on_contents_follows_the_paths() -> None:
    assert clustering.most_clusters(724) == 138
    assert clustering.most_clusters(10**7) == 1
    assert clustering.most_clusters(0) == clustering.MOST_PATHS_X_CONTENTS


def test_the_audience_has_the_papers_load() -> None:
    seen = observed(load=1.0)
    requests = (seen.parallel.sum(axis=(1, 2)) / seen.watch_s).sum() * 1800.0
    assert requests == pytest.approx(15 * 0.4 * 1800, rel=0.05)
    mobile = seen.parallel[:, seen.ends.index("mobile-5"), :].sum(axis=0)
    assert mobile / mobile.sum() == pytest.approx(demand.MOBILE_RESOLUTIONS)
