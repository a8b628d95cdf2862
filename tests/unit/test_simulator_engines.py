"""Two engines, event for event the same; and neither gives what is not there."""

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.examples import examples
from support.small_world import catalogue, small_world, some_steering, viewers
from umbel.caches.policies import Policy
from umbel.planner.admission import CODES
from umbel.simulator import run, steering_plans
from umbel.simulator.collectors import Totals
from umbel.simulator.compiled import POLICIES as COMPILED
from umbel.simulator.compiled import Compiled, NotCompiled
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.ports import STEPS, Engine, Outcomes
from umbel.simulator.reference import Reference
from umbel.simulator.run import EngineName, Run
from umbel.simulator.workload import Workload

THERE = small_world()
FETCH_MBPS = 20.0
SRC = Path(run.__file__).parents[2]


def differing(one: Outcomes, other: Outcomes) -> list[str]:
    names = [f.name for f in fields(Outcomes)]
    return [n for n in names if not np.array_equal(getattr(one, n), getattr(other, n))]


def played(
    seed: int, cache: Policy, count: int = 150, parts: int = 4
) -> tuple[list[Outcomes], list[Outcomes]]:
    """Both engines through the same parts, with a new plan before each."""
    random = np.random.default_rng(seed)
    contents = catalogue(random)
    requests = viewers(random, THERE, contents, count, span_s=200.0)
    engines: tuple[Engine, Engine] = (
        Reference(THERE, contents, cache=cache, fetch_mbps=FETCH_MBPS),
        Compiled(THERE, contents, cache=cache, fetch_mbps=FETCH_MBPS),
    )
    found: tuple[list[Outcomes], list[Outcomes]] = ([], [])
    for part in range(parts):
        steering = some_steering(random, THERE, contents)
        until_s = 50.0 * (part + 1)
        first, last = np.searchsorted(requests.time_s, [until_s - 50.0, until_s])
        for engine, outcomes in zip(engines, found, strict=True):
            engine.install(steering)
            outcomes.append(engine.advance(requests.between(int(first), int(last)), until_s))
    return found


@given(seed=st.integers(0, 10**6), cache=st.sampled_from(COMPILED))
@examples(80)
def test_engines_agree_event_for_event(seed: int, cache: Policy) -> None:
    for one, other in zip(*played(seed, cache), strict=True):
        assert differing(one, other) == []


def test_every_kind_of_outcome_was_compared() -> None:
    """The worlds above are scarce enough for every step, every reason, hits, fills, departures."""
    seen: Counter[int] = Counter()
    fills = hits = departed = 0
    for seed in range(30):
        for outcomes in played(seed, Policy.LRU)[1]:
            seen.update(outcomes.outcome.tolist())
            fills += int((outcomes.fill >= 0).sum())
            hits += int((outcomes.hit == 1).sum())
            departed += len(outcomes.departed)
    assert set(seen) == {*STEPS.values(), *(-code for code in CODES.values())}
    assert min(seen.values()) >= 5, seen
    assert min(fills, hits, departed) >= 100


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.floats(0, 300), max_size=6))
@examples(40)
def test_where_requests_are_cut_changes_nothing(seed: int, cuts: list[float]) -> None:
    random = np.random.default_rng(seed)
    contents = catalogue(random)
    requests = viewers(random, THERE, contents, 120, span_s=200.0)
    steering = some_steering(random, THERE, contents)
    whole, pieces = Compiled(THERE, contents), Compiled(THERE, contents)
    for engine in (whole, pieces):
        engine.install(steering)
    at_once = whole.advance(requests, 300.0)
    some, first = [], 0
    for until_s in (*sorted(cuts), 300.0):
        last = int(np.searchsorted(requests.time_s, until_s))
        some.append(pieces.advance(requests.between(first, last), until_s))
        first = last
    for f in fields(Outcomes):
        joined = np.concatenate([getattr(one, f.name) for one in some])
        assert np.array_equal(joined, getattr(at_once, f.name)), f.name


@given(seed=st.integers(0, 10**6))
@examples(40)
def test_nothing_is_given_twice(seed: int) -> None:
    random = np.random.default_rng(seed)
    contents = catalogue(random)
    requests = viewers(random, THERE, contents, 150, span_s=100.0)
    steering = some_steering(random, THERE, contents)
    engine = Compiled(THERE, contents)
    engine.install(steering)
    outcomes = engine.advance(requests, 1000.0)
    mbps = THERE.capacity_under(steering.infrastructure)
    vcpus = THERE.vcpus_under(steering.infrastructure)
    for at in np.flatnonzero(outcomes.outcome > 0).tolist():
        now_s = requests.time_s[at]
        running = np.arange(len(requests)) <= at
        running &= (requests.until_s > now_s) & (outcomes.outcome > 0)
        used_mbps, used_vcpus = np.zeros(len(mbps)), np.zeros(len(vcpus))
        for other in np.flatnonzero(running).tolist():
            path, fill = int(outcomes.path[other]), int(outcomes.fill[other])
            used_mbps[THERE.resources_of(path)] += outcomes.mbps[other]
            if fill >= 0:
                used_mbps[THERE.resources_of(fill)] += outcomes.fill_mbps[other]
            radio = THERE.radio[requests.end[other]]
            if radio >= 0:
                used_mbps[radio] += outcomes.mbps[other]
            used_vcpus[THERE.path_from[path]] += outcomes.vcpus[other]
        touched = used_mbps > 0
        assert (used_mbps[touched] <= mbps[touched] + 1e-6).all()
        assert (used_vcpus[used_vcpus > 0] <= vcpus[used_vcpus > 0] + 1e-6).all()
    assert sorted(outcomes.departed.tolist()) == np.flatnonzero(outcomes.outcome > 0).tolist()


def test_departures_go_in_order_of_time_then_of_arrival() -> None:
    random = np.random.default_rng(3)
    contents = catalogue(random)
    requests = viewers(random, THERE, contents, 200, span_s=100.0)
    engine = Compiled(THERE, contents)
    engine.install(steering_plans.nearest(THERE, contents.kind))
    departed = engine.advance(requests, 1000.0).departed
    # Nobody leaves before the moment of his arrival is over, even one who wanted nothing.
    left_s = np.maximum(requests.until_s[departed], requests.time_s[departed])
    assert len(departed) > 20
    assert (np.diff(left_s) >= 0).all()


@pytest.mark.parametrize("cache", [p for p in Policy if p not in COMPILED])
def test_other_caches_run_on_the_reference_engine(cache: Policy) -> None:
    config = Config(cache=cache, phases=(Phase(duration_s=60.0),), catalogue=200)
    with pytest.raises(NotCompiled):
        run.simulate(config, engine=EngineName.COMPILED)
    assert run.simulate(config).totals().requests > 100


def test_engines_agree_on_a_steered_run() -> None:
    config = Config(
        steering=Steering.VIRCA,
        phases=(Phase(duration_s=400.0),),
        clusters=6,
        sample_s=40.0,
        rca_s=50.0,
        virca_s=150.0,
        gamma=10.0,
    )
    there = small_world(lightpath_mbps=1000.0)
    random = np.random.default_rng(2)
    contents = catalogue(random)
    few = viewers(random, there, contents, 30, span_s=200.0)
    many = viewers(random, there, contents, 200, span_s=150.0)
    late = replace(many, time_s=many.time_s + 200.0, until_s=many.until_s + 200.0)
    one, other = (
        run.replay(config, there, contents, [few, late], engine=name) for name in EngineName
    )
    assert differing(one.record.outcomes, other.record.outcomes) == []
    assert len(one.record.requests) == 230
    assert one.marks() == other.marks()
    assert {why for _at_s, why in one.marks()} >= {"start", "rca"}
    assert {1, 2} <= set(one.record.outcomes.outcome.tolist())


@st.composite
def days(draw: st.DrawFn, steering: Steering) -> Config:
    """Phases with crowds in time and space and a second catalogue, on a scarce little network."""
    loads = st.sampled_from([0.0, 0.3, 1.0, 4.0])
    phases = []
    for _ in range(draw(st.integers(1, 3))):
        groups = draw(st.integers(1, 3))
        phases.append(
            Phase(
                duration_s=draw(st.sampled_from([90.0, 400.0, 700.0])),
                loads=tuple(draw(loads) for _ in range(groups)),
                first_shares=tuple(draw(st.sampled_from([0.0, 0.7, 1.0])) for _ in range(groups)),
            )
        )
    return Config(
        steering=steering,
        phases=tuple(phases),
        seed=draw(st.integers(0, 1000)),
        warmup_s=draw(st.sampled_from([0.0, 150.0])),
        gamma=draw(st.sampled_from([0.0, 1.0, 10.0])),
        catalogue=draw(st.sampled_from([1, 40])),
        catalogues=2,
        requests_per_s=draw(st.sampled_from([0.05, 0.2])),
        cache=draw(st.sampled_from(COMPILED)),
        fetch_mbps=draw(st.sampled_from([5.0, 1000.0])),
        clusters=4,
        sample_s=60.0,
        rca_s=70.0,
        virca_s=200.0,
    )


BUSY = Config(
    phases=(
        Phase(duration_s=200.0, loads=(0.2,), first_shares=(1.0,)),
        Phase(duration_s=200.0, loads=(0.2, 8.0), first_shares=(1.0, 0.5)),
    ),
    warmup_s=60.0,
    catalogue=40,
    catalogues=2,
    requests_per_s=0.2,
    fetch_mbps=5.0,
    clusters=4,
    sample_s=60.0,
    rca_s=70.0,
    virca_s=200.0,
)


def both(config: Config) -> tuple[Run, Run]:
    there = small_world(lightpath_mbps=200.0, storage_gb=3.0)
    workload = Workload(config, there)
    one, other = (
        run.replay(config, there, workload.catalogue, workload, engine=name)
        for name in (EngineName.REFERENCE, EngineName.COMPILED)
    )
    return one, other


@pytest.mark.parametrize(
    ("steering", "count"),
    [(Steering.NEAREST, 40), (Steering.VIRCA, 8), (Steering.VIRCA2, 3), (Steering.VIRCA3, 3)],
)
def test_engines_agree_on_any_day(steering: Steering, count: int) -> None:
    seen: list[Totals] = []

    @given(config=days(steering))
    @example(config=replace(BUSY, steering=steering))
    @examples(count)
    def agree(config: Config) -> None:
        one, other = both(config)
        assert differing(one.record.outcomes, other.record.outcomes) == []
        assert one.marks() == other.marks()
        seen.append(other.totals())

    agree()
    assert sum(total.requests for total in seen) > 100
    assert any(sum(total.rejected.values()) for total in seen)


def test_a_slow_fetch_makes_a_player_wait() -> None:
    """15 s of a 0.8 Mbit/s content at 10 Mbit/s are 1.2 s; a cached one starts at once."""
    random = np.random.default_rng(0)
    contents = replace(
        catalogue(random), duration_s=np.full(12, 10.0), size_bytes=np.full(12, 1_000_000)
    )
    requests = replace(
        viewers(random, THERE, contents, 3, span_s=1.0),
        time_s=np.array([0.0, 1.0, 2.0]),
        until_s=np.array([10.0, 11.0, 12.0]),
        end=np.zeros(3, dtype=np.int64),
        content=np.array([0, 0, 1]),
        resolution=np.zeros(3, dtype=np.int64),
    )
    for make in (Reference, Compiled):
        engine = make(THERE, contents, fetch_mbps=10.0)
        engine.install(steering_plans.nearest(THERE, contents.kind))
        outcomes = engine.advance(requests, 100.0)
        assert outcomes.hit.tolist() == [0, 1, 0]
        assert outcomes.delay_s.tolist() == pytest.approx([1.2, 0.0, 1.2])
        assert outcomes.fill_mbps.tolist() == pytest.approx([0.8, 0.0, 0.8])
