"""Viewers as the paper has them, and configs that cannot be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.small_world import small_world
from umbel.caches.policies import Policy
from umbel.planner import demand
from umbel.simulator import requests, run, world
from umbel.simulator.config import BadConfig, Config, Phase, PowerScale, Steering, Topology
from umbel.simulator.requests import Requests
from umbel.simulator.workload import FIXED_HOPS_MBPS, MOBILE_HOPS_MBPS, Workload

HOUR_S = 3600.0
THERE = world.build(Config())


def all_of(config: Config) -> tuple[Workload, Requests]:
    workload = Workload(config, THERE)
    return workload, requests.joined(workload)


def near(count: float, mean: float) -> bool:
    """Within five deviations of a Poisson number; the seeds are fixed, so this does not flicker."""
    return abs(count - mean) <= 5 * np.sqrt(mean)


def test_arrivals_are_poisson_at_every_end() -> None:
    _workload, some = all_of(Config(phases=(Phase(duration_s=10 * HOUR_S),)))
    assert len(THERE.ends) == 15
    counts = np.bincount(some.end, minlength=15)
    assert all(near(count, 0.4 * 10 * HOUR_S) for count in counts)
    gaps = np.diff(some.time_s)
    assert (gaps >= 0).all()
    # An exponential's mean is its deviation.
    assert gaps.mean() == pytest.approx(1 / (15 * 0.4), rel=0.02)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)


def test_a_flash_crowd_comes_where_and_when_it_is_told() -> None:
    quarter_s = 900.0
    config = Config(
        phases=(
            Phase(duration_s=quarter_s, loads=(0.05, 0.05)),
            Phase(duration_s=quarter_s, loads=(1.0, 0.05)),
            Phase(duration_s=quarter_s, loads=(0.05, 1.0)),
        )
    )
    _workload, some = all_of(config)
    quarter = (some.time_s // quarter_s).astype(int)
    half = (some.end >= 8).astype(int)  # 15 ends in two groups: 8 and 7
    for at, loads in enumerate([(0.05, 0.05), (1.0, 0.05), (0.05, 1.0)]):
        for group, load in enumerate(loads):
            count = ((quarter == at) & (half == group)).sum()
            assert near(count, load * 0.4 * quarter_s * (8, 7)[group])


def test_the_catalogue_changes_as_told() -> None:
    config = Config(
        catalogues=2,
        catalogue=100,
        phases=tuple(
            Phase(duration_s=HOUR_S, loads=(1.0, 1.0), first_shares=shares)
            for shares in [(1.0, 1.0), (0.8, 1.0), (0.0, 0.0)]
        ),
    )
    workload, some = all_of(config)
    assert len(workload.catalogue) == 200
    first = some.content < 100
    hour = (some.time_s // HOUR_S).astype(int)
    late = some.end >= 8
    assert first[hour == 0].all()
    assert first[(hour == 1) & late].all()
    assert first[(hour == 1) & ~late].mean() == pytest.approx(0.8, abs=0.02)
    assert not first[hour == 2].any()


def test_requests_follow_the_printed_shares() -> None:
    workload, some = all_of(Config(phases=(Phase(duration_s=20 * HOUR_S),)))
    mobile = THERE.mobile[some.end]
    for access, shares in ((False, demand.FIXED_RESOLUTIONS), (True, demand.MOBILE_RESOLUTIONS)):
        here = mobile == access
        found = np.bincount(some.resolution[here], minlength=4) / here.sum()
        assert found == pytest.approx(shares, abs=0.01)
    assert set(some.last_hop_mbps[mobile]) == set(MOBILE_HOPS_MBPS)
    assert set(some.last_hop_mbps[~mobile]) == set(FIXED_HOPS_MBPS)
    catalogue = workload.catalogue
    watched = (some.until_s - some.time_s) / catalogue.duration_s[some.content]
    wanted = {240.0: 0.72, 900.0: 0.65, 3600.0: 1.0}
    for duration_s, share in wanted.items():
        chosen = catalogue.duration_s[some.content] == duration_s
        assert watched[chosen] == pytest.approx(share)
    assert set(catalogue.duration_s) == set(wanted)
    # Popular contents on mobile accesses are shorter; the rest is as long as on fixed ones.
    long = catalogue.duration_s[some.content] == 3600.0
    popular = some.content < 0.2 * len(catalogue)
    assert long[mobile & popular].mean() < 0.7 * long[~mobile & popular].mean()
    assert long[mobile & ~popular].mean() == pytest.approx(
        long[~mobile & ~popular].mean(), abs=0.02
    )


def test_fixed_viewers_choose_by_zipf() -> None:
    _workload, some = all_of(Config(phases=(Phase(duration_s=100 * HOUR_S),), catalogue=1000))
    fixed = some.content[~THERE.mobile[some.end]]
    share = np.arange(1, 1001) ** -0.8
    share /= share.sum()
    counts = np.bincount(fixed, minlength=1000)
    assert len(fixed) > 500_000
    assert all(near(counts[rank], share[rank] * len(fixed)) for rank in range(50))
    assert counts[500:].sum() == pytest.approx(share[500:].sum() * len(fixed), rel=0.01)


@given(
    seed=st.integers(0, 100),
    warmup_s=st.sampled_from([0.0, 700.0]),
    durations=st.lists(st.sampled_from([50.0, 600.0, 1300.0]), min_size=1, max_size=3),
)
@examples(30)
def test_viewers_depend_on_the_seed_alone(
    seed: int, warmup_s: float, durations: list[float]
) -> None:
    config = Config(
        seed=seed,
        warmup_s=warmup_s,
        phases=tuple(Phase(duration_s=d, loads=(0.5,)) for d in durations),
        catalogue=50,
    )
    _workload, some = all_of(config)
    other = replace(config, steering=Steering.VIRCA, cache=Policy.FIFO, gamma=3.0)
    _workload, same = all_of(other)
    assert np.array_equal(some.time_s, same.time_s)
    assert np.array_equal(some.content, same.content)
    assert (some.time_s >= 0).all()
    assert (some.time_s <= config.end_s).all()
    assert (np.diff(some.time_s) >= 0).all()
    _workload, others = all_of(replace(config, seed=seed + 1))
    assert not np.array_equal(some.time_s, others.time_s)


def test_a_warm_up_fills_caches_and_is_not_counted() -> None:
    there = small_world(lightpath_mbps=10_000.0, storage_gb=1000.0)
    cold = Config(phases=(Phase(duration_s=900.0),), catalogue=30, requests_per_s=0.2)
    warm = replace(cold, warmup_s=4000.0)
    ratio = {}
    for config in (cold, warm):
        workload = Workload(config, there)
        found = run.replay(config, there, workload.catalogue, workload)
        ratio[config.warmup_s] = found.totals().hit_ratio
        counted = found.record.requests.time_s >= config.warmup_s
        assert found.totals().requests == counted.sum()
        assert found.series(300.0).from_s.tolist() == [0.0, 300.0, 600.0]
        assert found.series(300.0).requests.sum() == counted.sum()
    assert ratio[4000.0] > 0.9 > ratio[0.0] + 0.2


def test_progress_is_told_to_the_end() -> None:
    heard: list[float] = []
    run.simulate(Config(phases=(Phase(duration_s=1300.0),), catalogue=50), progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 2


def test_equal_configs_have_equal_keys() -> None:
    config = Config(phases=(Phase(duration_s=60.0, loads=(1.0, 0.5)),))
    assert config.key == Config(phases=(Phase(duration_s=60.0, loads=(1.0, 0.5)),)).key
    changed: list[dict[str, Any]] = [
        {"seed": 2},
        {"gamma": 2.0},
        {"steering": Steering.VIRCA3},
        {"topology": Topology.MOBILE_BACKHAUL},
        {"power": PowerScale.LOW},
        {"phases": (Phase(duration_s=60.0, loads=(0.5, 1.0)),)},
    ]
    keys = {config.key, *(replace(config, **change).key for change in changed)}
    assert len(keys) == len(changed) + 1


def test_all_faults_of_a_config_are_named_at_once() -> None:
    with pytest.raises(BadConfig) as caught:
        Config(
            zipf=0.0,
            gamma=-1.0,
            requests_per_s=float("nan"),
            storage_gb=float("inf"),
            catalogue=0,
            catalogues=3,
            miss_share=1.5,
            phases=(
                Phase(duration_s=0.0),
                Phase(duration_s=1.0, loads=(-1.0,)),
                Phase(duration_s=1.0, first_shares=(0.5, 0.5)),
            ),
        )
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    words = (
        "zipf",
        "gamma",
        "requests_per_s",
        "storage_gb",
        "catalogue is",
        "one or two catalogues",
        "miss_share",
        "phase 1: its duration",
        "phase 2: it has no loads",
        "phase 3: its shares",
    )
    for word in words:
        assert any(word in problem for problem in problems), (word, problems)
    with pytest.raises(BadConfig):
        Config(phases=())
    with pytest.raises(BadConfig):
        Config(phases=(Phase(duration_s=1.0, first_shares=(0.5,)),))
