"""The network file's links, the built-in network, the fake fabric's losses, and the door."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from support import documents
from umbel.network.drivers.fake.fabric import FakeFabric
from umbel.network.model import Endpoint, Hop, Host, Link, Topology
from umbel.network.service import TopologyService
from umbel.network.topology import document as topology
from umbel.network.topology import files, paths
from umbel.network.topology.document import BadNetwork
from umbel.network.topology.paths import NoPath, NotInTopology

GROWING = "nodes: [{name: a}]\nlinks:\n  - &a {a: x, b: y}\n" + "".join(
    f"  - &{here} {{a: [*{last}, *{last}, *{last}], b: [*{last}, *{last}, *{last}]}}\n"
    for last, here in pairwise("abcdefgh")
)
"""Each link holds the one before six times: short as YAML, long when it is written out."""

names = st.sampled_from(["a", "b", "c", "d"])
SLS = Path(files.__file__).with_name("builtin").joinpath("sls.yaml").read_text()


def document(*links: Mapping[str, object], nodes: str = "abc") -> dict[str, object]:
    return {"nodes": [{"name": name} for name in nodes], "links": list(links)}


def problems_of(raw: object) -> list[str]:
    with pytest.raises(BadNetwork) as caught:
        topology.parse(raw)
    assert caught.value.code == "umbel.bad_network"
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


def test_a_document_becomes_a_topology() -> None:
    raw = document({"a": "a", "b": "b", "mbps": 100, "delay_ms": 2.5}, {"a": "b", "b": "c"})
    assert topology.parse(raw) == Topology(
        nodes=("a", "b", "c"),
        links=(Link(a="a", b="b", mbps=100, delay_ms=2.5), Link(a="b", b="c")),
    )


def test_all_problems_are_told_at_once_and_by_name() -> None:
    raw = document(
        {"a": "a", "b": "z"},
        {"a": "b", "b": "b"},
        {"a": "a", "b": "b"},
        {"a": "b", "b": "a"},
        {"a": "a", "b": "c", "mbps": -1, "delay_ms": -2},
        {"a": "b"},
        {"a": "b", "b": "c", "colour": "red"},
        nodes="abcb",
    )
    raw["switches"] = []
    raw["hosts"] = [
        {"name": "v", "node": "a"},
        {"name": "v", "node": "b"},
        {"name": "w", "node": "z"},
        {"name": "c", "node": "c"},
        {"name": "x/y", "node": "c"},
        7,
    ]
    assert problems_of(raw) == [
        "unknown part 'switches'",
        "node b: named twice",
        "link a-z: unknown node z",
        "link b-b: joins a node to itself",
        "link b-a: listed twice",
        "link a-c: mbps: Input should be greater than 0",
        "link a-c: delay_ms: Input should be greater than or equal to 0",
        "link 6: b: Field required",
        "link b-c: colour: Extra inputs are not permitted",
        "host v: named twice",
        "host w: unknown node z",
        "host c: is a node's name",
        "host x/y: name: String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
        "host 6: Input should be a valid dictionary or instance of _HostEntry",
    ]


def test_hosts_are_at_their_nodes() -> None:
    raw = document() | {"hosts": [{"name": "v", "node": "b"}]}
    assert topology.parse(raw).hosts == (Host(name="v", node="b"),)


@pytest.mark.parametrize("raw", [None, [], "nodes", 7, {}, {"nodes": {}}, {"nodes": [{}]}])
def test_a_document_without_nodes_is_refused(raw: object) -> None:
    assert problems_of(raw)


def test_capacity_must_be_a_number_that_ends() -> None:
    assert problems_of(document({"a": "a", "b": "b", "mbps": float("inf")}))
    assert problems_of(document({"a": "a", "b": "b", "delay_ms": float("nan")}))


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Any network that is good."""
    nodes = draw(st.lists(st.text(min_size=1, max_size=9), unique=True, min_size=1, max_size=6))
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[:i]]
    ends = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    hosts = draw(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)))
    return Topology(
        nodes=tuple(nodes),
        links=tuple(
            Link(
                a=a,
                b=b,
                mbps=draw(st.floats(0, 1e12, exclude_min=True)),
                delay_ms=draw(st.floats(0, 1e12)),
                crosses=draw(st.booleans()),
            )
            for a, b in ends
        ),
        hosts=tuple(
            Host(name=name, node=draw(st.sampled_from(nodes)))
            for name in dict.fromkeys(hosts)
            if name not in nodes
        ),
    )


def assert_sound(raw: Any) -> None:
    """A document is accepted as what it says, or refused with problems in proportion to it."""
    try:
        found = topology.parse(raw)
    except BadNetwork as error:
        problems = error.details["problems"]
        assert isinstance(problems, list)
        assert problems
        assert sum(map(len, problems)) <= documents.MOST_TOLD * len(yaml.safe_dump(raw))
        return
    assert topology.parse(documents.of_topology(found)) == found
    names = [e.get("name") for e in documents.entries_of(raw, "nodes") if isinstance(e, dict)]
    assert list(found.nodes) == [name for name in names if isinstance(name, str)] != []
    assert [(link.a, link.b) for link in found.links] == [
        (entry["a"], entry["b"]) for entry in documents.entries_of(raw, "links")
    ]
    assert [(host.name, host.node) for host in found.hosts] == [
        (entry["name"], entry["node"]) for entry in documents.entries_of(raw, "hosts")
    ]
    for link, entry in zip(found.links, documents.entries_of(raw, "links"), strict=True):
        assert link.mbps == float(entry.get("mbps", 1000.0))
        assert link.delay_ms == float(entry.get("delay_ms", 1.0))
        assert link.crosses is entry.get("crosses", False)


@given(topologies())
def test_a_topology_is_read_back_from_its_document_also_through_yaml(written: Topology) -> None:
    raw = documents.of_topology(written)
    assert topology.parse(raw) == written
    assert topology.parse(files.decode(yaml.safe_dump(raw))) == written


@given(documents.JUNK | documents.damaged(files.decode(SLS)))
def test_any_document_is_accepted_as_what_it_says_or_refused(raw: object) -> None:
    assert_sound(raw)


@given(st.lists(st.tuples(names, names), max_size=8), st.sets(names, min_size=1))
def test_what_is_accepted_is_a_simple_graph_and_what_is_not_has_its_problem(
    pairs: list[tuple[str, str]], nodes: set[str]
) -> None:
    raw = document(*({"a": a, "b": b} for a, b in pairs), nodes="".join(sorted(nodes)))
    found, problems = topology.inspect(raw)
    ends = [frozenset((link.a, link.b)) for link in found.links]
    assert len(set(ends)) == len(ends)
    assert all(len(pair) == 2 and pair <= nodes for pair in ends)
    sound = {frozenset(pair) for pair in pairs if len(set(pair)) == 2 and set(pair) <= nodes}
    assert set(ends) == sound
    assert bool(problems) == (len(pairs) > len(ends))


def assert_text_sound(text: str) -> None:
    try:
        raw = files.decode(text)
    except BadNetwork as error:
        assert error.details["problems"]
        with pytest.raises((yaml.YAMLError, ValueError, RecursionError)):
            yaml.safe_load(text)
    else:
        assert_sound(raw)


@given(st.binary(max_size=200))
@example(b"nodes: 2024-99-99")
@example(b"[" * 1000)
def test_any_bytes_are_a_network_file_or_refused(raw: bytes) -> None:
    assert_text_sound(raw.decode(errors="replace"))


@given(documents.damaged_text(SLS))
@example(GROWING)
def test_a_damaged_network_file_is_read_or_refused(text: str) -> None:
    assert_text_sound(text)


def test_a_file_is_read_or_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    with pytest.raises(BadNetwork, match=r"net\.yaml cannot be read"):
        files.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadNetwork):
        files.read(path)
    path.write_text("nodes: [{name: a}\nlinks: ]")
    with pytest.raises(BadNetwork, match="not YAML"):
        files.read(path)
    path.write_text("nodes: [{name: a}]")
    assert topology.parse(files.read(path)).nodes == ("a",)
    with pytest.raises(BadNetwork):
        files.builtin("nowhere")


def test_the_built_in_network_is_that_of_the_prototype() -> None:
    sls = topology.parse(files.builtin())
    assert sls.nodes == ("pe1", "pe2", "pe3", "pe4", "pe5", "c1", "c2")
    assert {(link.a, link.b) for link in sls.links} == {
        ("pe1", "c1"),
        ("pe2", "c1"),
        ("pe3", "c1"),
        ("pe3", "c2"),
        ("pe4", "c2"),
        ("pe5", "c2"),
        ("c1", "c2"),
    }
    assert paths.shortest(sls, "pe1", "pe5").nodes == ("pe1", "c1", "c2", "pe5")
    cut = paths.without(sls, "c1", "c2")
    assert paths.shortest(cut, "pe1", "pe5").nodes == ("pe1", "c1", "pe3", "c2", "pe5")


async def test_the_fake_fabric_routes_around_and_then_gives_up() -> None:
    sls = topology.parse(files.builtin())
    fabric = FakeFabric(sls)
    hop = Hop(source_node="pe1", target=Endpoint(node="pe5", address="127.0.5.1", port=5000))
    await fabric.ensure("ev_1", [hop])
    direct = fabric.route("ev_1", hop)
    assert direct == paths.links_of(sls, ("pe1", "c1", "c2", "pe5"))
    fabric.lose("c2", "c1")
    assert fabric.route("ev_1", hop) == paths.links_of(sls, ("pe1", "c1", "pe3", "c2", "pe5"))
    fabric.lose("pe3", "c1")
    assert fabric.route("ev_1", hop) is None
    with pytest.raises(NoPath):
        await fabric.ensure("ev_1", [hop])
    assert fabric.streams["ev_1"] == (hop,)
    with pytest.raises(NotInTopology):
        fabric.lose("c1", "c2")
    fabric.restore("c1", "c2")
    fabric.restore("c1", "c2")
    assert fabric.route("ev_1", hop) == direct
    await fabric.remove("ev_1")
    assert fabric.route("ev_1", hop) is None


async def test_the_topology_answers_and_streams_pass_on() -> None:
    sls = topology.parse(files.builtin())
    fabric = FakeFabric(sls)
    nodes = TopologyService(sls)
    assert nodes.current() is sls
    assert nodes.path("pe4", "pe5").nodes == ("pe4", "c2", "pe5")
    assert nodes.links("pe4", "pe5") == paths.links_of(sls, ("pe4", "c2", "pe5"))
    near = nodes.nearest("pe1")
    assert [way.target for way in near] == ["c1", "pe2", "pe3", "c2", "pe4", "pe5"]
    assert [way.hops for way in near] == [1, 2, 2, 2, 3, 3]
    assert near == nodes.nearest("pe1")
    with pytest.raises(NotInTopology):
        nodes.nearest("pe9")
    hop = Hop(source_node="pe1", target=Endpoint(node="pe2", address="127.0.2.1", port=5000))
    assert await fabric.ensure("ev_1", [hop]) == {hop: hop.target}
    assert fabric.streams == {"ev_1": (hop,)}
    await fabric.remove("ev_1")
    assert fabric.streams == {}
