"""What collectors say of a run is what its requests, looked at one by one, say."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.small_world import catalogue, small_world, some_steering, viewers
from umbel.planner.admission import CODES, Reason
from umbel.planner.problem import Kind, Resolution
from umbel.simulator import collectors, requests, run, steering_plans
from umbel.simulator.collectors import Record
from umbel.simulator.compiled import Compiled
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.ports import Outcomes, SteeringPlan, blank
from umbel.simulator.requests import Requests
from umbel.simulator.run import EngineName
from umbel.simulator.workload import Workload

THERE = small_world()
KINDS, RESOLUTIONS = tuple(Kind), tuple(Resolution)
WARMUP_S, END_S = 30.0, 210.0


def played(seed: int) -> Record:
    """Random viewers under four random plans; what is collected begins after 30 s."""
    random = np.random.default_rng(seed)
    contents = catalogue(random)
    some = viewers(random, THERE, contents, 150, span_s=200.0)
    engine = Compiled(THERE, contents, fetch_mbps=20.0)
    parts: list[Outcomes] = [blank(0)]
    steered = []
    for from_s, to_s in pairwise([0.0, 50.0, 100.0, 150.0, END_S]):
        steering = replace(some_steering(random, THERE, contents), why=f"at-{from_s:g}")
        if from_s in (50.0, 150.0):  # the same kinds by other numbers
            labels = np.where(steering.labels < 0, -1, len(KINDS) - 1 - steering.labels)
            steering = replace(steering, names=steering.names[::-1], labels=labels)
        steered.append((from_s, steering))
        engine.install(steering)
        first, last = np.searchsorted(some.time_s, [from_s, to_s])
        parts.append(engine.advance(some.between(int(first), int(last)), to_s))
    columns = Outcomes.__dataclass_fields__
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return Record(
        world=THERE,
        catalogue=contents,
        requests=some,
        outcomes=Outcomes(**joined),
        steering=tuple(steered),
        warmup_s=WARMUP_S,
        end_s=END_S,
    )


def steering_at(record: Record, time_s: float) -> SteeringPlan:
    return [steering for start, steering in record.steering if start <= time_s][-1]


def relative_rate(record: Record, at: int) -> float:
    """By the tables of the planner, content by content."""
    steering = steering_at(record, float(record.requests.time_s[at]))
    resolution = RESOLUTIONS[int(record.requests.resolution[at])]
    label = int(steering.labels[record.requests.content[at]])
    qoe = record.world.qoe
    known = label >= 0
    kind = steering.guide.contents[steering.names[label]].kind
    encoding = qoe.known[kind, resolution] if known else qoe.unknown[resolution]
    most = min(encoding.max_mbps, float(record.requests.last_hop_mbps[at]))
    return float(record.outcomes.mbps[at]) / most


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


some_seeds = given(seed=st.integers(0, 10**6))
few = examples(25)


@some_seeds
@few
def test_totals_count_request_by_request(seed: int) -> None:
    record = played(seed)
    outcomes, some = record.outcomes, record.requests
    counted = [at for at in range(len(some)) if some.time_s[at] >= WARMUP_S]
    served = [at for at in counted if outcomes.outcome[at] > 0]
    total = collectors.totals(record)
    assert total.requests == len(counted)
    for reason, code in CODES.items():
        assert total.rejected[reason] == sum(outcomes.outcome[at] == -code for at in counted)
    assert len(served) + sum(total.rejected.values()) == len(counted)
    assert total.rejection_ratio == pytest.approx(1 - len(served) / len(counted))
    wanted = mean([relative_rate(record, at) for at in served])
    assert total.relative_rate == pytest.approx(wanted, nan_ok=True)
    assert total.hit_ratio == pytest.approx(
        mean([float(outcomes.hit[at]) for at in served]), nan_ok=True
    )
    assert total.delay_s == pytest.approx(
        mean([float(outcomes.delay_s[at]) for at in served]), nan_ok=True
    )


@some_seeds
@few
def test_series_add_up_to_totals(seed: int) -> None:
    record = played(seed)
    over_time, total = collectors.series(record, 40.0), collectors.totals(record)
    assert over_time.from_s.tolist() == [0.0, 40.0, 80.0, 120.0, 160.0]
    assert over_time.requests.sum() == total.requests
    for reason in Reason:
        assert over_time.rejected[reason].sum() == total.rejected[reason]
    served = over_time.requests - sum(over_time.rejected.values())
    for name in ("relative_rate", "delay_s"):
        series = getattr(over_time, name)
        assert np.array_equal(np.isnan(series), served == 0)
        whole = np.nansum(series * served) / served.sum() if served.sum() else float("nan")
        assert whole == pytest.approx(getattr(total, name), nan_ok=True)


def averaged(
    what: Callable[[float], list[float]], edges: list[float], times: set[float]
) -> np.ndarray:
    """Bin by bin the mean of what changes at given times alone."""
    found = []
    for from_s, to_s in pairwise(edges):
        cuts = sorted({from_s, to_s, *(t for t in times if from_s < t < to_s)})
        pieces = [np.array(what((a + b) / 2)) * (b - a) for a, b in pairwise(cuts)]
        found.append(sum(pieces) / (to_s - from_s))
    return np.array(found)


@some_seeds
@few
def test_power_and_vcpus_are_means_over_time(seed: int) -> None:
    record = played(seed)
    over_time = collectors.series(record, 40.0)
    some, outcomes = record.requests, record.outcomes
    served = np.flatnonzero(outcomes.outcome > 0)
    node = THERE.path_from[outcomes.path[served]]
    edges = [WARMUP_S, 70.0, 110.0, 150.0, 190.0, END_S]
    times = {*some.time_s.tolist(), *some.until_s.tolist(), 50.0, 100.0, 150.0}

    def running(now_s: float, number: int) -> np.ndarray:
        here = served[node == number]
        return here[(some.time_s[here] <= now_s) & (some.until_s[here] > now_s)]

    def vcpus(now_s: float) -> list[float]:
        nodes = range(len(THERE.names))
        return [float(outcomes.vcpus[running(now_s, number)].sum()) for number in nodes]

    def is_on(now_s: float) -> list[float]:
        plans = steering_at(record, now_s).infrastructure.nodes
        return [
            float(plan.switch_on or len(running(now_s, number)) > 0)
            for number, plan in enumerate(plans)
        ]

    def routers(now_s: float) -> list[float]:
        return [float(plan.router_on) for plan in steering_at(record, now_s).infrastructure.nodes]

    def bbu(now_s: float) -> list[float]:
        return [plan.bbu_vcpus for plan in steering_at(record, now_s).infrastructure.nodes]

    def servers(now_s: float) -> list[float]:
        return [plan.servers for plan in steering_at(record, now_s).infrastructure.nodes]

    used, base = averaged(vcpus, edges, times), averaged(bbu, edges, times)
    assert over_time.vcpus == pytest.approx(used)
    assert over_time.bbu_vcpus == pytest.approx(base)
    assert over_time.nodes_on == pytest.approx(averaged(is_on, edges, times))
    switches_w = 2020.0 * averaged(is_on, edges, times).sum(axis=1)
    assert over_time.switches_w == pytest.approx(switches_w)
    routers_w = 4550.0 * averaged(routers, edges, times).sum(axis=1)
    assert over_time.routers_w == pytest.approx(routers_w)
    on = np.maximum(averaged(servers, edges, times), (used + base) / 6)
    wanted_w = 106.4 * on.sum(axis=1) + 10.417 * (used + base).sum(axis=1)
    assert over_time.servers_w == pytest.approx(wanted_w)


def test_marks_say_when_and_why() -> None:
    wanted = ((-30.0, "at-0"), (20.0, "at-50"), (70.0, "at-100"), (120.0, "at-150"))
    assert collectors.marks(played(1)) == wanted


def pair(paths: list[tuple[int, int]]) -> Record:
    """Two viewers each, whose kinds are equal and whose paths are these, from 0 to 100 s."""
    count = 2 * len(paths)
    contents = catalogue(np.random.default_rng(0))
    kind = np.repeat(np.arange(len(paths)), 2)
    some = Requests(
        time_s=np.zeros(count),
        until_s=np.full(count, 100.0),
        end=kind // 4,
        content=np.zeros(count, dtype=np.int64),
        resolution=kind % 4,
        last_hop_mbps=np.full(count, np.inf),
    )
    flat = np.array([path for both in paths for path in both], dtype=np.int64)
    outcomes = replace(blank(count), outcome=np.full(count, 3), path=flat)
    begun = steering_plans.nearest(THERE, contents.kind)
    return Record(
        world=THERE,
        catalogue=contents,
        requests=some,
        outcomes=outcomes,
        steering=((0.0, begun),),
        warmup_s=0.0,
        end_s=100.0,
    )


def test_multipath_share_counts_kinds_on_more_than_one_path() -> None:
    source = THERE.path_from
    same = next(
        (a, b)
        for a in range(len(source))
        for b in range(a + 1, len(source))
        if source[a] == source[b]
    )
    other = next(b for b in range(len(source)) if source[b] != source[0])
    assert collectors.multipath_share(pair([same, (0, 0)]), 50.0) == 0.5
    assert collectors.multipath_share(pair([same, (0, 0), (1, 1)]), 50.0) == pytest.approx(1 / 3)
    assert collectors.multipath_share(pair([(0, 0)]), 50.0) == 0.0
    # From two caches, nobody shares; nor does anybody before it began or after it ended.
    assert np.isnan(collectors.multipath_share(pair([(0, other)]), 50.0))
    assert np.isnan(collectors.multipath_share(pair([same]), 100.0))


def test_classes_of_popularity_part_each_catalogue() -> None:
    rank = np.tile(np.arange(100), 2)
    top, middle, rest = collectors.popularity_classes(rank, 100)
    assert [int(some.sum()) for some in (top, middle, rest)] == [10, 30, 160]
    assert (top ^ middle ^ rest).all()


def test_nothing_at_all_has_no_means() -> None:
    config = Config(phases=(Phase(duration_s=90.0, loads=(0.0,)),))
    found = run.replay(config, THERE, catalogue(np.random.default_rng(0)), [requests.none()])
    total = found.totals()
    assert total.requests == 0
    assert total.rejection_ratio == 0.0
    assert np.isnan([total.relative_rate, total.hit_ratio, total.delay_s]).all()
    over_time = found.series(60.0)
    assert over_time.requests.tolist() == [0, 0]
    assert over_time.nodes_on.tolist() == [[1.0] * 6] * 2


@pytest.mark.parametrize("steering", [Steering.VIRCA, Steering.VIRCA3])
def test_a_crowd_makes_marks_and_switches_nodes(steering: Steering) -> None:
    config = Config(
        steering=steering,
        phases=(
            Phase(duration_s=400.0, loads=(0.02,)),
            Phase(duration_s=400.0, loads=(1.0,)),
        ),
        catalogue=50,
        clusters=4,
        sample_s=40.0,
        rca_s=50.0,
        virca_s=150.0,
    )
    there = small_world(lightpath_mbps=1000.0, storage_gb=50.0)
    workload = Workload(config, there)
    found = run.replay(config, there, workload.catalogue, workload, engine=EngineName.COMPILED)
    whys = {why for _at_s, why in found.marks()}
    assert whys >= {"start", "virca"}
    over_time = found.series(50.0)
    assert (over_time.nodes_on <= 1.0 + 1e-9).all()
    assert over_time.nodes_on.sum(axis=1).min() < len(there.names)
