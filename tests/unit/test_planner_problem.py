"""Checks: every fault is named, at once, and nothing but BadProblem comes out."""

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import planning
from support.examples import examples
from umbel.kit.errors import Invalid
from umbel.planner import checks, presets, topologies
from umbel.planner.checks import BadProblem
from umbel.planner.problem import Access, Encoding, Kind, Link, Node, Problem, Resolution


def faults(problem: Problem) -> list[str]:
    return list(checks.inspect(problem))


def test_a_good_problem_has_no_faults() -> None:
    checks.check(planning.small_problem())


@pytest.mark.parametrize("network", [topologies.fmc_tree(), topologies.mobile_backhaul()])
def test_known_networks_have_no_faults(network: Any) -> None:
    assert not list(checks.inspect_network(network, presets.FMC_ROUTING))


def test_every_fault_is_named_at_once() -> None:
    good = planning.small_problem()
    network = replace(
        good.network,
        nodes=(
            *good.network.nodes,
            Node(name="home", storage_gb=math.nan),
            Node(name="island", servers=0),
        ),
        links=(*good.network.links, Link(a="pop", b="agg"), Link(a="agg", b="agg", lightpaths=0)),
    )
    demand = replace(
        good.demand,
        contents=(*good.demand.contents, replace(good.demand.contents[0], size_gb=0.5)),
        bundles=(
            *good.demand.bundles,
            planning.bundle("cell-1", "b", parallel=-1.0),
            planning.bundle("agg", "nothing"),
        ),
    )
    bad = replace(good, network=network, demand=demand, miss_share=1.5)
    with pytest.raises(BadProblem) as caught:
        checks.check(bad)
    assert isinstance(caught.value, Invalid)
    assert caught.value.code == "umbel.bad_problem"
    assert caught.value.details["problems"] == [
        "problem: miss_share is 1.5, outside 1e-06..1",
        "node 'home' is named 2 times",
        "node 'home': storage_gb is nan, outside 1e-06..1e+08 GB",
        "node 'island': servers is 0, outside 1..100000 servers",
        "link agg-agg: lightpaths is 0, outside 1..10000 lightpaths",
        "link agg-agg: joins a node to itself",
        "link 'agg-pop' is named 2 times",
        "node 'island' cannot be reached from the pop",
        "content 'a' is named 2 times",
        "content 'a': mean_gb 1.0 is above size_gb 0.5",
        "bundle cell-1/b/720p: parallel is -1.0, outside 0..1e+09 requests",
        "bundle agg/nothing/720p: 'agg' is not an end node",
        "bundle agg/nothing/720p: 'nothing' is not a content",
    ]


def test_end_nodes_pass_nothing_on_unless_they_relay() -> None:
    network = topologies.graph(
        "pop",
        {"pop": Access.TRANSIT, "near": Access.MOBILE, "far": Access.MOBILE},
        [("pop", "near"), ("near", "far")],
    )
    alone = list(checks.inspect_network(network, presets.FMC_ROUTING))
    assert alone == ["node 'far' cannot be reached from the pop"]
    relaying = replace(presets.FMC_ROUTING, ends_relay=True)
    assert not list(checks.inspect_network(network, relaying))


def test_encodings_must_be_whole_and_ordered() -> None:
    good = planning.small_problem()
    known = dict(good.qoe.known)
    del known[Kind.TOON, Resolution.R360]
    upside_down = Encoding(min_mbps=9.0, max_mbps=1.0, score=1.0, vcpus=1.0)
    known[Kind.SPORT, Resolution.R720] = upside_down
    bad = replace(good, qoe=replace(good.qoe, known=known, unknown={}))
    assert "qoe: no encoding of toon at 360p" in faults(bad)
    assert "encoding sport/720p: min_mbps 9.0 is above max_mbps 1.0" in faults(bad)
    assert "qoe: no encoding of unknown contents at 2160p" in faults(bad)


def test_an_unknown_pop_is_named() -> None:
    good = planning.small_problem()
    bad = replace(good, network=replace(good.network, pop="nowhere"))
    assert faults(bad) == ["pop 'nowhere' is not a node"]


PARTS: dict[str, type] = {
    "network": type(planning.small_network()),
    "routing": type(presets.FMC_ROUTING),
    "power": type(presets.PAPER_POWER),
    "node": Node,
    "link": Link,
    "content": type(planning.content("x")),
    "bundle": type(planning.bundle("x", "y")),
}
NUMBERS = [(part, name) for part, kind in PARTS.items() for name in checks._RANGES[kind]]


def with_value(part: str, name: str, value: object) -> Problem:
    """The small problem with one number of one part replaced."""
    good = planning.small_problem()
    change: dict[str, Any] = {name: value}
    network, demand = good.network, good.demand
    if part == "node":
        nodes = (replace(network.nodes[0], **change), *network.nodes[1:])
        return replace(good, network=replace(network, nodes=nodes))
    if part == "link":
        links = (replace(network.links[0], **change), *network.links[1:])
        return replace(good, network=replace(network, links=links))
    if part == "content":
        contents = (replace(demand.contents[0], **change), *demand.contents[1:])
        return replace(good, demand=replace(demand, contents=contents))
    if part == "bundle":
        bundles = (replace(demand.bundles[0], **change), *demand.bundles[1:])
        return replace(good, demand=replace(demand, bundles=bundles))
    whole: dict[str, Any] = {part: replace(getattr(good, part), **change)}
    return replace(good, **whole)


@pytest.mark.parametrize(("part", "name"), NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e12, "12", None, True])
def test_every_number_is_checked(part: str, name: str, value: object) -> None:
    found = faults(with_value(part, name, value))
    assert any(f"{name} is {value!r}" in fault or f"{name} is {value}" in fault for fault in found)


@given(place=st.sampled_from(NUMBERS), data=st.data())
@examples(200)
def test_a_number_is_refused_exactly_when_it_is_out_of_its_range(
    place: tuple[str, str], data: st.DataObject
) -> None:
    part, name = place
    least, most, _ = checks._RANGES[PARTS[part]][name]
    ends = st.sampled_from([least, most, least - 1, most + 1, math.nextafter(most, math.inf)])
    other = st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans())
    value = data.draw(ends | other)
    found = faults(with_value(part, name, value))
    assert all(isinstance(fault, str) for fault in found)
    says = any(f": {name} is {text}" in fault for fault in found for text in (f"{value!r}", value))
    assert says is not is_in_range(PARTS[part], name, value)


def is_in_range(kind: type, name: str, value: object) -> bool:
    """Whether it is a number that the part's field may have."""
    least, most, _ = checks._RANGES[kind][name]
    is_whole = {field.name: field.type for field in fields(kind)}[name] is int
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and (value == int(value) or not is_whole)


def test_every_number_of_the_values_has_a_range() -> None:
    for kind, ranges in checks._RANGES.items():
        assert is_dataclass(kind)
        numbers = {f.name for f in fields(kind) if f.type in (int, float)}
        assert numbers == set(ranges), kind
