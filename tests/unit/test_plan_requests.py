"""Network documents, demand files and requests: every fault is named, at once, and nothing but our
own error comes out of any text."""

import csv
import io
import math
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from support import plan_files
from support.examples import examples
from umbel.compute import inventory
from umbel.delivery.trees.view import Costs
from umbel.network.topology import document as topology
from umbel.network.topology import files
from umbel.planner import checks, presets, topologies
from umbel.planner.problem import Access, Kind, LeastPower, Resolution, Tradeoff
from umbel.plans import demands, live, networks, requests
from umbel.plans.live import Audience
from umbel.plans.model import PlanRequest
from umbel.plans.requests import BadPlanRequest


def asked(
    network: str = plan_files.NETWORK, demand: str = plan_files.DEMAND, **options: Any
) -> PlanRequest:
    rows, wrong = demands.read_csv(demand)
    assert wrong == []
    return PlanRequest(document=yaml.safe_load(network), rows=rows, **{"gamma": 1.0, **options})


def problems_of(request: PlanRequest) -> list[str]:
    with pytest.raises(BadPlanRequest) as caught:
        requests.problem_of(request)
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    return problems


def test_a_network_and_a_demand_become_a_problem() -> None:
    problem = requests.problem_of(asked())
    by_name = {node.name: node for node in problem.network.nodes}
    assert problem.network.pop == "pop"
    assert {n: by_name[n].access for n in ("agg", "home", "cell-1")} == {
        "agg": Access.TRANSIT,
        "home": Access.FIXED,
        "cell-1": Access.MOBILE,
    }
    assert [by_name[name].level for name in ("pop", "agg", "home")] == [0, 1, 2]
    assert {link.b: link.lightpaths for link in problem.network.links}["cell-1"] == 2
    assert [(c.name, c.kind, c.size_gb, c.mean_gb) for c in problem.demand.contents] == [
        ("a", Kind.MOVIE, 20.0, 1.0),
        ("b", Kind.SPORT, 20.0, 1.0),
    ]
    assert problem.demand.bundles[2].parallel == 5.0
    assert problem.power == presets.PAPER_POWER


@pytest.mark.parametrize("network", [topologies.fmc_tree(), topologies.mobile_backhaul()])
def test_a_network_and_its_document_are_one(network: Any) -> None:
    planned, problems = networks.parse(
        yaml.safe_load(yaml.safe_dump(plan_files.document_of(network)))
    )
    assert problems == []
    assert planned.network == network


def test_a_live_networks_file_can_be_planned_as_it_is() -> None:
    planned, problems = networks.parse(files.builtin("sls"))
    assert problems == []
    network = planned.network
    assert (network.pop, network.vcpus_per_server, network.lightpath_mbps) == ("c1", 2, 1000.0)
    assert {n.name: n.servers for n in network.nodes}["c1"] == 2
    trunk = next(link for link in network.links if {link.a, link.b} == {"c1", "c2"})
    assert trunk.lightpaths == 10
    assert not planned.routing.bypass


def test_planner_parts_do_not_disturb_a_live_network() -> None:
    document: Any = files.builtin("sls")
    document["planner"] = {"pop": "c2", "power": "low", "routing": {"bypass": True}}
    document["nodes"][0]["planner"] = {"access": "mobile", "bbu_vcpus": 1}
    document["links"][0]["planner"] = {"lightpaths": 3}
    nodes, wrong_nodes = inventory.inspect(document)
    links, wrong_links = topology.inspect(document)
    assert (wrong_nodes, wrong_links) == ([], [])
    assert (len(nodes.nodes), len(links.links)) == (7, 7)
    planned, problems = networks.parse(document)
    assert problems == []
    assert planned.power == presets.LOW_POWER
    assert planned.routing.bypass
    assert planned.network.nodes[0].access is Access.MOBILE
    assert planned.network.links[0].lightpaths == 3


def test_every_fault_of_both_files_is_named_at_once() -> None:
    network = """
planner: {pop: nowhere, lightpath_mbps: 0, speed: 3, miss_share: 2}
nodes:
  - {name: pop, planner: {access: transit}}
  - {name: home, planner: {storage_gb: -5, servers: 1.5}}
  - {name: home, planner: {access: sideways}}
  - {name: island, planner: {radio_mbps: .nan}}
links:
  - {a: pop, b: home, mbps: 0}
  - {a: pop, b: mars}
"""
    rows: tuple[dict[str, object], ...] = (
        {"end": "home", "content": "a", "resolution": "720p", "parallel": -3},
        {"end": "home", "content": "a", "resolution": "720p", "parallel": "many", "kind": "opera"},
        {"end": "moon", "content": "b", "resolution": "720p", "parallel": math.nan},
        {"content": "b", "resolution": "360p", "parallel": 1, "colour": "red"},
    )
    request = PlanRequest(document=yaml.safe_load(network), rows=rows, gamma=math.nan, time_s=0.0)
    found = problems_of(request)
    for part in (
        "planner: speed",
        "node home: named twice",
        "node home: planner.access",
        "node home: planner.servers",
        "radio_mbps is nan",
        "link pop-home: mbps",
        "link pop-mars: unknown node mars",
        "pop 'nowhere' is not a node",
        "lightpath_mbps is 0.0, outside",
        "row 2: parallel is 'many', not a number",
        "row 2: kind is 'opera'",
        "row 3: parallel is nan, not a finite number",
        "row 4: end is missing",
        "row 4: field 'colour' is unknown",
        "parallel is -3.0, outside",
        "storage_gb is -5.0, outside",
        "planner: speed",
        "gamma is nan",
        "time_s is 0.0",
    ):
        assert any(part in problem for problem in found), (part, found)


def test_a_disconnected_network_is_named() -> None:
    network = plan_files.NETWORK.replace("  - {a: agg, b: cell-2}\n", "")
    assert problems_of(asked(network)) == ["node 'cell-2' cannot be reached from the pop"]


def test_one_goal_is_needed() -> None:
    wrong = "one of gamma and qoe is needed, and not both"
    assert problems_of(asked(gamma=None)) == [wrong]
    assert problems_of(asked(qoe="90%")) == [wrong]
    assert problems_of(asked(points=5)) == ["a Pareto front has neither gamma nor qoe"]
    assert problems_of(asked(gamma=None, qoe="lots"))[0].startswith("qoe is 'lots'")
    assert requests.problem_of(asked(gamma=None, points=5))


def test_a_floor_is_a_number_or_a_share() -> None:
    assert requests.goal_of(asked(gamma=None, qoe="90%"), 50.0) == LeastPower(qoe_floor=45.0)
    assert requests.goal_of(asked(gamma=None, qoe="12.5"), 50.0) == LeastPower(qoe_floor=12.5)
    assert requests.goal_of(asked(gamma=0.3), 50.0) == Tradeoff(gamma=0.3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "column 'end' is missing"),
        ("end,content,resolution\n", "column 'parallel' is missing"),
        (plan_files.DEMAND.replace("kind", "genre"), "column 'genre' is unknown"),
        (plan_files.DEMAND.replace("kind", "end"), "column 'end' is named twice"),
        (plan_files.DEMAND + "home,a\n", "row 4: fewer fields than columns"),
        (plan_files.DEMAND + "home,a,360p,1,1,movie,1,1,1,1\n", "row 4: more fields than columns"),
    ],
)
def test_the_form_of_a_demand_file_is_checked(text: str, problem: str) -> None:
    _rows, problems = demands.read_csv(text)
    assert problem in problems


def test_rows_of_one_content_must_agree() -> None:
    rows = [*plan_files.rows(), {**plan_files.rows()[0], "resolution": "360p"}]
    rows[0]["size_gb"], rows[3]["size_gb"] = 20, 21
    _demand, problems = demands.parse(rows)
    assert problems == ["row 4: content 'a' has size_gb 21.0 here and 20.0 before"]


def test_what_is_watched_becomes_rows() -> None:
    audience = [
        Audience(stream="ev_1", access_node="pe1", viewers=3, watched_s=600.0),
        Audience(stream="ev_1", access_node="pe2", viewers=1, watched_s=5.0),
        Audience(stream="ev_1-360p", access_node="pe2", viewers=2, watched_s=5.0),
    ]
    rows = live.rows(audience, {}, Costs())
    assert [(row["end"], row["parallel"], row["watch_s"]) for row in rows] == [
        ("pe1", 3.0, 600.0),
        ("pe2", 1.0, 60.0),
        ("pe2", 2.0, 60.0),
    ]
    first, second, small = (row["size_gb"] for row in rows)
    assert first == second == pytest.approx(3.0 * 600 / 8000)
    assert small == pytest.approx(0.8 * 60 / 8000)
    demand, problems = demands.parse(rows)
    assert problems == []
    sizes = [bundle.resolution for bundle in demand.bundles]
    assert sizes == [Resolution.R720, Resolution.R720, Resolution.R360]


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10**20),
        st.floats(),
        st.text(max_size=5),
        st.dates(),
        st.sampled_from(["pop", "agg", "home", "mobile", "transit"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6) | st.integers() | st.none(), inner, max_size=3),
    ),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """The good document with a few places replaced by anything."""
    document = yaml.safe_load(plan_files.NETWORK)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(PLAIN)
            break
    return document


def assert_sound(request: PlanRequest) -> None:
    """A request becomes the problem that it states, or is refused with sentences."""
    try:
        problem = requests.problem_of(request)
    except BadPlanRequest as error:
        problems = error.details["problems"]
        assert isinstance(problems, list)
        assert problems
        assert all(isinstance(one, str) for one in problems)
    else:
        assert list(checks.inspect(problem)) == []
        document: Any = request.document
        assert [n.name for n in problem.network.nodes] == [n["name"] for n in document["nodes"]]
        assert [(link.a, link.b) for link in problem.network.links] == [
            (link["a"], link["b"]) for link in document.get("links") or ()
        ]
        rows: Any = request.rows
        assert [
            (b.end, b.content, b.resolution.value, b.parallel) for b in problem.demand.bundles
        ] == [
            (
                *(row[name].strip() for name in ("end", "content", "resolution")),
                float(row["parallel"]),
            )
            for row in rows
        ]
        assert {one.name for one in problem.demand.contents} == {
            one.content for one in problem.demand.bundles
        }
        assert (request.points == 0) == ((request.gamma is None) != (request.qoe is None))


@given(document=st.one_of(damaged(), PLAIN))
@example(document=yaml.safe_load(plan_files.NETWORK))
@examples(300)
def test_a_plan_of_any_document_is_what_it_says_or_refused(document: Any) -> None:
    assert_sound(replace(asked(), document=document))


ROW = st.dictionaries(st.sampled_from(demands.COLUMNS) | st.text(max_size=3), PLAIN, max_size=9)


@given(
    rows=st.lists(ROW | st.sampled_from(plan_files.rows()) | PLAIN, max_size=4),
    options=st.fixed_dictionaries(
        {},
        optional={
            "gamma": st.none() | st.floats(),
            "qoe": st.none() | st.text(max_size=6),
            "points": st.integers(),
            "variant": st.text(max_size=6),
            "time_s": st.floats(),
            "gap_share": st.floats(),
        },
    ),
)
@example(rows=[plan_files.rows()[0] | {"parallel": "2.5"}, plan_files.rows()[1]], options={})
@examples(200)
def test_a_plan_of_any_rows_and_options_is_what_they_say_or_refused(
    rows: list[Any], options: dict[str, Any]
) -> None:
    assert_sound(replace(asked(), rows=tuple(rows), **options))


@given(text=st.text() | st.text(alphabet=st.sampled_from('end,\n\r"\0;1'), max_size=40))
@example('end,content,resolution,parallel\n"')
@example("end,content,resolution,parallel\r\n\0,1")
@examples(200)
def test_any_text_is_rows_or_problems(text: str) -> None:
    for whole in (text, plan_files.DEMAND + text):
        rows, problems = demands.read_csv(whole)
        assert all(isinstance(problem, str) for problem in problems)
        # No row is made up: what is read is no more than the text, a row a line.
        assert len(rows) <= len(whole.splitlines())
        assert sum(len(str(value)) for row in rows for value in row.values()) <= len(whole)
        demand, wrong = demands.parse(rows)
        assert len(demand.bundles) <= len(rows)
        assert wrong or len(demand.bundles) == len(rows) > 0


CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@given(
    columns=st.lists(st.sampled_from(demands.COLUMNS[4:]), unique=True).flatmap(
        lambda more: st.permutations([*demands.NEEDED, *more])
    ),
    data=st.data(),
)
def test_rows_are_read_back_from_their_csv(columns: list[str], data: st.DataObject) -> None:
    row = st.fixed_dictionaries({name: CELLS.map(str.strip) for name in columns})
    written = data.draw(st.lists(row, max_size=4))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(written)
    assert demands.read_csv(text.getvalue()) == (tuple(written), [])
