"""The plan in force as the policy reads it, and the live network as the planner reads it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from support.views import ROUTES, X, edge, planted, room, view
from umbel.bootstrap import network_document, read_network
from umbel.compute.model import NodeState
from umbel.delivery import guidance
from umbel.delivery.guidance import Steering, Watch
from umbel.delivery.policy.sls import Sls
from umbel.delivery.policy.virca import Virca, ledger_of
from umbel.delivery.steering import translation
from umbel.delivery.steering.translation import Audience
from umbel.delivery.trees.grafting import repair
from umbel.delivery.trees.view import NoCapacity, NodeView, View
from umbel.planner import checks, drift, jobs
from umbel.planner.admission import Ask
from umbel.planner.jobs import Job
from umbel.planner.problem import Effort, Problem, Resolution, Tradeoff

NODES = read_network(network_document(None))[0].nodes
ACCESS = frozenset(f"pe{n}" for n in range(1, 6))


def audience(watching: Mapping[Watch, float], mbps: float = 2.0) -> Audience:
    return Audience(watching=watching, mbps={X: mbps}, resolution={X: Resolution.R720})


def problem(watching: Mapping[Watch, float], serving: frozenset[str] = ACCESS) -> Problem:
    return translation.problem_of(NODES, ROUTES.current(), 0.004, audience(watching), serving)


def steered(watching: Mapping[Watch, float], serving: frozenset[str] = ACCESS) -> Steering:
    job = Job(
        problems=(problem(watching, serving),),
        goal=Tradeoff(gamma=10.0),
        effort=Effort(time_s=30.0, gap_share=0.0005),
    )
    answer = jobs.run(job)
    assert answer.result.plan is not None
    assert answer.guide is not None
    return translation.steering_of(answer.result.plan, answer.guide, NODES, ["pe1"])


def seen(of: Steering | None, base: View | None = None, **nodes: NodeView) -> View:
    made = base or view(planted())
    closed = {
        name: replace(node, is_closed=of is not None and name in of.resting)
        for name, node in made.nodes.items()
    }
    return replace(made, nodes=closed | nodes, steering=of)


FEW = {(X, "pe2", "pe2"): 2.0, (X, "pe4", "pe4"): 3.0}


# -- the policy -----------------------------------------------------------------------------


def test_without_a_plan_sls_decides() -> None:
    plain = view(planted(edge("pe4")))
    for access in ("pe4", "pe5", "pe2"):
        assert Virca().assign(plain, X, access) == Sls().assign(plain, X, access)


def test_a_viewer_goes_where_the_plan_says() -> None:
    at_root = steered(FEW, frozenset({"pe1"}))
    assert at_root.resting == {"pe2", "pe3", "pe4", "pe5", "c2"}
    for access in ("pe2", "pe4"):
        assert Virca().assign(seen(at_root), X, access).node == "pe1"


def test_an_event_the_plan_does_not_know_is_served_by_what_is_on() -> None:
    at_root = steered(FEW, frozenset({"pe1"}))
    other = planted(stream="ev_new")
    got = Virca().assign(seen(at_root, view(other)), "ev_new", "pe5")
    assert got.node == "pe1"


def test_a_crowd_is_split_as_the_plan_splits_it() -> None:
    of = steered({(X, "pe4", "pe4"): 700.0})
    sources = {service.source for service in of.plan.services}
    assert len(sources) == 2
    first = Virca().assign(seen(of), X, "pe4").node
    assert first in sources
    full = {(X, "pe4", first): 399}
    got = Virca().assign(replace(seen(of), watching=full), X, "pe4")
    assert got.node in sources - {first}


def test_a_full_node_of_the_plan_is_passed_over() -> None:
    of = steered({(X, "pe4", "pe4"): 700.0})
    first = Virca().assign(seen(of), X, "pe4").node
    got = Virca().assign(seen(of, None, **{first: room(first, cores_free=0.0)}), X, "pe4")
    assert got.node != first
    assert got.node not in of.resting


def test_where_every_node_that_is_on_is_full_there_is_no_capacity() -> None:
    at_root = steered(FEW, frozenset({"pe1"}))
    with pytest.raises(NoCapacity) as refusal:
        Virca().assign(seen(at_root, pe1=room("pe1", cores_free=0.0)), X, "pe4")
    assert refusal.value.details["reason"] == "cpu"


def test_a_refusal_says_that_bandwidth_is_short() -> None:
    at_root = steered(FEW, frozenset({"pe1"}))
    with pytest.raises(NoCapacity, match="bandwidth") as refusal:
        Virca().assign(seen(at_root, pe1=room("pe1", mbps_free=0.0)), X, "pe4")
    assert refusal.value.details == {"stream": X, "access_node": "pe4", "reason": "bandwidth"}


def test_running_viewers_count_against_the_budgets() -> None:
    of = steered({(X, "pe4", "pe4"): 10.0})
    lane = of.guide.ends["pe4"][0]
    source = lane.path[0]
    counted = ledger_of(replace(seen(of), watching={(X, "pe4", source): 4}), of)
    ask = Ask(end="pe4", content=X, resolution=Resolution.R720)
    lanes = [one for one in of.guide.ends["pe4"] if one.path[0] == source]
    assert sum(counted.of_end(ask, one.path) for one in lanes) == pytest.approx(8.0)


def test_a_resting_node_keeps_its_edges_and_hands_its_forwarding_on() -> None:
    base = view(planted())
    tree = Sls().assign(base, X, "pe4").tree
    grown = view(tree)
    resting = {n: replace(grown.nodes[n], is_closed=True) for n in ("c2", "pe4")}
    mended = repair(replace(grown, nodes={**grown.nodes, **resting}), tree, Sls.relaying)
    assert [b.function for b in mended.branches] == [
        "acquirer-pe1-1",
        "forwarder-c1-1",
        "edge-pe4-1",
    ]
    assert mended.branch("edge-pe4-1").parent == "forwarder-c1-1"


# -- the problem ----------------------------------------------------------------------------


def test_the_live_network_makes_a_sound_problem() -> None:
    of = problem(FEW)
    assert list(checks.inspect(of)) == []
    assert of.network.pop == "c1"
    servers = {node.name: node.servers for node in of.network.nodes}
    assert (servers["pe1"], servers["c1"]) == (1, 2)
    assert list(checks.inspect(problem({}))) == []
    assert list(checks.inspect(problem({(X, "pe1", "pe1"): 2e6}))) == []


def test_all_viewers_together_fetch_one_copy() -> None:
    for count in (1.0, 10.0, 10_000.0):
        of = problem({(X, "pe4", "pe4"): count})
        content, bundle = of.demand.contents[0], of.demand.bundles[0]
        fetched = of.miss_share * bundle.parallel * content.mean_gb * 8000 / bundle.watch_s
        assert fetched == pytest.approx(2.0)


def test_nodes_that_may_not_serve_do_not() -> None:
    of = steered({(X, "pe4", "pe4"): 5.0}, frozenset({"pe1", "pe3"}))
    assert {service.source for service in of.plan.services} <= {"pe1", "pe3"}


def test_refused_viewers_are_planned_for() -> None:
    refused = problem({(X, "pe4", ""): 7.0, (X, "pe4", "pe1"): 3.0})
    assert [(b.end, b.parallel) for b in refused.demand.bundles] == [("pe4", 10.0)]


def test_the_peak_of_the_samples_is_what_is_planned_for() -> None:
    now = audience({(X, "pe4", "pe1"): 2.0})
    before = translation.sample_of(audience({(X, "pe4", "pe1"): 9.0}))
    over = {("pe4", "ev_over", Resolution.R720, "pe1"): 50.0}
    assert translation.peak_of(now, [before, over]).watching == {(X, "pe4", "pe1"): 9.0}


def test_an_audience_as_planned_has_not_outgrown_the_plan() -> None:
    of = steered(FEW, frozenset({"pe1"}))
    served = {(X, access, "pe1"): count for (_, access, _), count in FEW.items()}
    sample = translation.sample_of(audience(served))
    spare = drift.slack(of.guide.problem, of.plan)
    assert not drift.outgrown(drift.variation(of.guide.problem, of.plan, sample), spare)
    more = translation.sample_of(audience({(X, "pe4", "pe1"): 500.0}))
    names = drift.outgrown(drift.variation(of.guide.problem, of.plan, more), spare)
    assert set(names) == {"bandwidth to pe4", "vCPUs of pe1"}


def test_with_nobody_watching_one_access_node_stays_on() -> None:
    of = steered({})
    made = translation.steering_of(of.plan, of.guide, NODES, [])
    assert made.resting == {"pe2", "pe3", "pe4", "pe5", "c2"}


@pytest.mark.parametrize(
    ("height", "resolution"),
    [(0, "720p"), (240, "360p"), (360, "360p"), (720, "720p"), (1080, "1080p"), (2160, "2160p")],
)
def test_pictures_count_as_the_next_higher_resolution(height: int, resolution: str) -> None:
    assert guidance.resolution_of(height) == resolution


def test_a_node_in_standby_draws_what_its_clients_need() -> None:
    pe1, core = NODES[0], NODES[5]
    units = guidance.units_of(NODES)
    active = guidance.watts(pe1, units, NodeState.ACTIVE, 3.0)
    assert active == pytest.approx(2020 + 4550 + 106.4 + 10.417 * 3)
    assert guidance.watts(pe1, units, NodeState.STANDBY, 0.0) == 2020 + 4550
    assert guidance.watts(core, units, NodeState.STANDBY, 0.0) == 0.0
    assert guidance.watts(core, units, NodeState.WAKING, 0.0) > 6570
