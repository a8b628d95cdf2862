"""Algorithm 2: who serves a request, over which path, or why nobody does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import planning
from umbel.planner import admission, classes, clustering, demand, paths, solve, topologies
from umbel.planner.admission import (
    CODES,
    Admitted,
    Ask,
    Guide,
    Lane,
    Ledger,
    Path,
    Reason,
    Rejected,
    Step,
)
from umbel.planner.problem import Kind, Resolution, Tradeoff

HOME = ("pop", "home")
FAR = ("pop", "agg", "home")
AGG = ("agg", "home")
ASK = Ask(end="home", content="a", resolution=Resolution.R720)  # 1.2 to 4 Mbit/s, 1.2 vCPUs


@dataclass
class Free:
    """Everything is free but for what is said."""

    mbps: Mapping[Path, float] = field(default_factory=dict)
    vcpus: Mapping[str, float] = field(default_factory=dict)

    def free_mbps(self, path: Path) -> float:
        return self.mbps.get(path, 1000.0)

    def free_vcpus(self, node: str) -> float:
        return self.vcpus.get(node, 100.0)


def lanes(**mbps: float) -> tuple[Lane, ...]:
    names = {"home": HOME, "far": FAR, "agg": AGG}
    return tuple(Lane(path=names[name], mbps=rate) for name, rate in mbps.items())


def guide(
    own: tuple[Lane, ...] = (),
    whole: tuple[Lane, ...] = (),
    every: tuple[Path, ...] = (HOME, AGG, FAR),
) -> Guide:
    problem = planning.small_problem()
    return Guide(
        problem=problem,
        bundles={("home", "a", Resolution.R720): own},
        ends={"home": whole},
        paths={"home": every},
        contents={content.name: content for content in problem.demand.contents},
    )


def decide(
    of: Guide, room: Free | None = None, ledger: Ledger | None = None, ask: Ask = ASK
) -> Admitted | Rejected:
    return admission.decide(ask, of, ledger or Ledger(), room or Free())


def test_the_bundles_own_budget_comes_first() -> None:
    got = decide(guide(own=lanes(far=3.0), whole=lanes(home=50.0)))
    assert got == Admitted(path=FAR, step=Step.BUNDLE, mbps=3.0, vcpus=1.2)


def test_of_several_lanes_the_one_with_most_left_is_taken() -> None:
    of, ledger = guide(own=lanes(home=6.0, agg=5.0)), Ledger()
    taken = []
    for _ in range(3):
        got = decide(of, ledger=ledger)
        assert isinstance(got, Admitted)
        ledger.add(ASK, got.path, got.mbps)
        taken.append((got.path, got.step, got.mbps))
    assert taken[:2] == [(HOME, Step.BUNDLE, 4.0), (AGG, Step.BUNDLE, 4.0)]
    assert taken[2] == (HOME, Step.BUNDLE, 2.0)
    # What is left, 1 Mbit/s, is below the least rate; beyond all budgets any path will do.
    assert decide(of, ledger=ledger) == Admitted(path=HOME, step=Step.ANY, mbps=4.0, vcpus=1.2)
    ledger.add(ASK, AGG, -4.0)
    assert decide(of, ledger=ledger) == Admitted(path=AGG, step=Step.BUNDLE, mbps=4.0, vcpus=1.2)


def test_then_the_whole_budget_of_the_end_node() -> None:
    got = decide(guide(own=lanes(far=1.0), whole=lanes(far=1.0, agg=2.0)))
    assert got == Admitted(path=AGG, step=Step.END, mbps=2.0, vcpus=1.2)


def test_the_end_nodes_budget_is_shared_by_its_bundles() -> None:
    ledger = Ledger()
    ledger.add(replace(ASK, content="b"), AGG, 1.5)
    got = decide(guide(whole=lanes(agg=2.0)), ledger=ledger)
    assert isinstance(got, Admitted)
    assert got.step is Step.ANY


def test_a_lane_without_bandwidth_or_vcpus_is_passed_over() -> None:
    own = lanes(home=9.0, agg=8.0, far=7.0)
    full = Free(mbps={HOME: 1.0}, vcpus={"agg": 1.0})
    got = decide(guide(own=own), full)
    assert isinstance(got, Admitted)
    assert (got.path, got.source) == (FAR, "pop")


@pytest.mark.parametrize(
    ("room", "reason"),
    [
        (Free(vcpus={"pop": 1.0, "agg": 0.0}), Reason.CPU),
        (Free(mbps={HOME: 1.0, AGG: 1.0, FAR: 0.0}), Reason.BANDWIDTH),
        (Free(mbps={HOME: 1.0, FAR: 0.0}, vcpus={"agg": 1.0}), Reason.BANDWIDTH),
    ],
)
def test_a_rejection_says_what_is_short(room: Free, reason: Reason) -> None:
    assert decide(guide(own=lanes(home=9.0)), room) == Rejected(reason=reason)


def test_nothing_that_is_on_reaches_the_end() -> None:
    assert decide(guide(every=())) == Rejected(reason=Reason.UNREACHABLE)
    unknown = replace(ASK, end="elsewhere")
    assert decide(guide(), ask=unknown) == Rejected(reason=Reason.UNREACHABLE)


def test_a_slow_last_hop_is_served_at_what_it_carries() -> None:
    slow = replace(ASK, last_hop_mbps=0.5)
    got = decide(guide(own=lanes(home=0.7)), ask=slow)
    assert got == Admitted(path=HOME, step=Step.BUNDLE, mbps=0.5, vcpus=1.2)


def test_the_codes_are_the_papers() -> None:
    assert [CODES[r] for r in (Reason.CPU, Reason.BANDWIDTH, Reason.FILL)] == [1, 2, 4]
    assert set(CODES) == set(Reason)


rates = st.floats(0.0, 20.0)


pairs = st.tuples(rates, rates)


@given(own=pairs, whole=pairs, free=pairs, vcpus=pairs, hop=st.floats(0.1, 20.0))
def test_whoever_is_admitted_fits(
    own: tuple[float, float],
    whole: tuple[float, float],
    free: tuple[float, float],
    vcpus: tuple[float, float],
    hop: float,
) -> None:
    room = Free(
        mbps=dict(zip((HOME, AGG), free, strict=True)),
        vcpus=dict(zip(("pop", "agg"), vcpus, strict=True)),
    )
    of = guide(lanes(home=own[0], agg=own[1]), lanes(home=whole[0], agg=whole[1]), (HOME, AGG))
    ask = replace(ASK, last_hop_mbps=hop)
    got = decide(of, room, ask=ask)
    if isinstance(got, Admitted):
        assert got.mbps <= room.free_mbps(got.path) + 1e-6
        assert min(1.2, hop) - 1e-6 <= got.mbps <= min(4.0, hop) + 1e-6
        assert room.free_vcpus(got.source) >= 1.2 - 1e-6
    else:
        fits = [p for p in (HOME, AGG) if room.free_mbps(p) >= min(1.2, hop)]
        assert not any(room.free_vcpus(path[0]) >= 1.2 for path in fits)


def test_the_guide_of_a_plan_holds_its_budgets_and_only_lit_paths() -> None:
    problem = planning.small_problem()
    routes = paths.find_routes(problem.network, problem.routing)
    plan = solve.plan(problem, Tradeoff(gamma=2.0)).plan
    assert plan is not None
    of = admission.guide_of(problem, routes, plan)
    assert sum(lane.mbps for lane in of.ends["home"]) == pytest.approx(
        sum(s.mbps for s in plan.services if s.end == "home")
    )
    routers = {node.name for node in plan.infrastructure.nodes if node.router_on}
    for end, some in of.paths.items():
        assert some
        for path in some:
            assert path[-1] == plan.infrastructure.hosts.get(end, end)
            assert len(path) == 1 or routers.issuperset(path)
    got = decide(of, ask=Ask(end="cell-1", content="a", resolution=Resolution.R720))
    assert isinstance(got, Admitted)
    assert got.step is Step.BUNDLE


# -- classes --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen() -> demand.Observations:
    random = np.random.default_rng(7)
    return demand.observe(random, topologies.fmc_tree(), load=0.05, contents=300)


def test_contents_are_classified_by_kind_length_size_and_4k(seen: demand.Observations) -> None:
    found = clustering.cluster(seen, 12)
    known = classes.classes_of(seen, found)
    numbers = known.nearest(seen.kind, seen.duration_s, seen.size_gb, seen.uhd)
    rows = known.centroids[numbers]
    # Near means near: no other centroid is closer to any content than its own cluster's.
    own = np.linalg.norm(_scaled(known, seen) - known.centroids[found.labels], axis=1)
    mine = np.linalg.norm(_scaled(known, seen) - rows, axis=1)
    assert (mine <= own + 1e-9).all()
    assert len(set(numbers.tolist())) > 3
    one = known.name(int(seen.kind[0]), seen.duration_s[0], seen.size_gb[0], bool(seen.uhd[0]))
    assert one == known.names[numbers[0]]


def test_without_clusters_every_request_is_unlike_all_others(seen: demand.Observations) -> None:
    empty = replace(
        seen,
        kind=seen.kind[:0],
        duration_s=seen.duration_s[:0],
        size_gb=seen.size_gb[:0],
        uhd=seen.uhd[:0],
        watch_s=seen.watch_s[:0],
        parallel=seen.parallel[:0],
    )
    known = classes.classes_of(empty, clustering.cluster(empty, 5))
    assert known.name(list(Kind).index(Kind.SPORT), 240.0, 1.0, uhd=False) == ""


def _scaled(known: classes.Classes, of: demand.Observations) -> np.ndarray:
    raw = np.column_stack([of.kind / (len(Kind) - 1), of.duration_s, of.size_gb, of.uhd])
    return (raw - known.mean) / known.spread
