"""Rules on switches in memory: every small network, whole, cut, and while a leaf moves."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import connected
from support.overlay import (
    FUNCTION,
    OUTSIDE,
    PACKET,
    STREAM,
    Overlay,
    path,
    port_maps,
    receiver,
    rollout,
)
from umbel.network.drivers.fake.switch import Plug
from umbel.network.overlay import compiler
from umbel.network.overlay.spanning import Drawing, Role, span
from umbel.network.overlay.streams import InvalidRoute, Path, Receiver, RoutedStream, Slice, Stream
from umbel.network.switching import diff, tables
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Field, GroupKind, Program, Rule, UseGroup

CONNECTED = connected(2, 5)
LARGER = connected(6, 6)


def drawn(graph: nx.Graph, leaves: set[int] | None = None) -> Drawing:
    """Node 0 is the root; the others are leaves, or relays where `leaves` leaves them out."""
    wanted = set(graph.nodes) if leaves is None else leaves
    roles = {f"n{n}": Role.LEAF if n in wanted else Role.RELAY for n in graph.nodes}
    roles["n0"] = Role.ROOT
    return Drawing(roles=roles, links=tuple((f"n{a}", f"n{b}") for a, b in graph.edges))


def carried(drawing: Drawing, leaves: list[str], functions: tuple[str, ...] = ()) -> RoutedStream:
    return RoutedStream(
        stream=STREAM,
        tree=span(drawing),
        paths=tuple(path(leaf) for leaf in leaves),
        functions=dict.fromkeys(functions, FUNCTION),
    )


def once(leaves: list[str]) -> Counter[tuple[str, str]]:
    """Each of these leaves' receivers gets one packet, from that leaf."""
    return Counter((leaf, receiver(leaf).address) for leaf in leaves)


def expected_links(routed: RoutedStream) -> set[tuple[str, str]]:
    chains = [routed.tree.chain(leaf) for leaf in routed.leaves]
    return {pair for chain in chains for pair in pairwise(chain)}


def served_after(routed: RoutedStream, lost: tuple[str, str]) -> list[str]:
    """The leaves that local failover must still serve, told from the graph alone: those not below
    the lost link, and those below it if the node above has a spare link into what is below."""
    tree = routed.tree
    child = next(c for c in lost if tree.parents.get(c) in lost)
    above = tree.parents[child]
    below = {n for n in tree.nodes if child in tree.chain(n)}
    spare = any(
        (a == above and b in below) or (b == above and a in below) for a, b in tree.redundant
    )
    return [leaf for leaf in routed.leaves if leaf not in below or spare]


@pytest.mark.parametrize("graph", CONNECTED, ids=lambda g: g.name)
def test_every_small_network_serves_each_leaf_once_and_nothing_else(graph: nx.Graph) -> None:
    drawing = drawn(graph)
    leaves = [name for name in drawing.roles if name != "n0"]
    overlay = Overlay.of(drawing)
    for asked in (leaves, leaves[:1], leaves[-2:], []):
        routed = carried(drawing, asked)
        overlay.install(routed)
        assert overlay.send("n0") == (once(asked), Counter())
        links = overlay.crossed("n0")
        assert len(links) == len(set(links))
        assert set(links) == expected_links(routed)


@pytest.mark.parametrize("graph", CONNECTED, ids=lambda g: g.name)
def test_any_one_lost_link_is_mended_by_an_adjacent_spare_one(graph: nx.Graph) -> None:
    drawing = drawn(graph)
    leaves = [name for name in drawing.roles if name != "n0"]
    overlay = Overlay.of(drawing)
    for asked in (leaves, leaves[-1:], leaves[:2]):
        routed = carried(drawing, asked)
        overlay.install(routed)
        for lost in drawing.links:
            overlay.net.lose(*lost)
            whole = frozenset(lost) in map(frozenset, routed.tree.redundant)
            served = asked if whole else served_after(routed, lost)
            assert overlay.send("n0") == (once(served), Counter()), lost
            overlay.net.restore(*lost)
        assert overlay.send("n0") == (once(asked), Counter())


@st.composite
def situations(draw: st.DrawFn) -> RoutedStream:
    graph = draw(st.sampled_from(LARGER))
    some = draw(st.sets(st.integers(1, 5), min_size=1))
    drawing = drawn(graph, some)
    tree = span(drawing)
    names = [n for n in tree.nodes if n != "n0"]
    leaves = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    functions = draw(st.lists(st.sampled_from(tree.nodes), unique=True))
    order = list(range(len(drawing.links)))
    draw(st.randoms()).shuffle(order)
    mixed = Drawing(roles=drawing.roles, links=tuple(drawing.links[i] for i in order))
    return carried(mixed, leaves, tuple(functions))


def network_of(routed: RoutedStream) -> tuple[Overlay, int]:
    """Switches for a carriage's tree with its functions running, and the port the root sends by."""
    tree = routed.tree
    drawing = Drawing(
        roles=dict.fromkeys(tree.nodes, Role.NONE), links=(*tree.links, *tree.redundant)
    )
    overlay = Overlay.of(drawing)
    overlay.functions([node for node in routed.functions if node != tree.root])
    return overlay, routed.functions.get(tree.root, OUTSIDE)


def meets(routed: RoutedStream) -> list[str]:
    """The functions on the ways to the leaves, below the root."""
    on = {n for leaf in routed.leaves for n in routed.tree.chain(leaf)}
    return [n for n in routed.functions if n in on and n != routed.tree.root]


@examples(300)
@given(situations())
def test_functions_on_the_way_get_the_stream_first(routed: RoutedStream) -> None:
    overlay, entry = network_of(routed)
    overlay.install(routed)
    leaves = list(routed.leaves)
    assert overlay.send("n0", entry) == (once(leaves), Counter(meets(routed)))
    links = overlay.crossed("n0", entry)
    assert len(links) == len(set(links))
    assert set(links) == expected_links(routed)
    for program in overlay.held().values():
        assert not tables.problems(program)


@examples(300)
@given(situations())
def test_failover_with_functions_never_sends_twice(routed: RoutedStream) -> None:
    overlay, entry = network_of(routed)
    overlay.install(routed)
    mended = compiler.spares(routed, overlay.switches)
    for parent, child in routed.tree.links:
        overlay.net.lose(parent, child)
        out, took = overlay.send("n0", entry)
        cut = [leaf for leaf in routed.leaves if child in routed.tree.chain(leaf)]
        served = [leaf for leaf in routed.leaves if leaf not in cut or child in mended]
        assert out == once(served)
        assert set(took.values()) <= {1}
        overlay.net.restore(parent, child)


@examples(200)
@given(situations(), st.data())
def test_a_diff_is_small_and_leads_there(routed: RoutedStream, data: st.DataObject) -> None:
    """Any state leads to any other, each change legal by itself, in both orders."""
    overlay, entry = network_of(routed)
    fewer = data.draw(st.integers(0, len(routed.paths)))
    other = RoutedStream(
        stream=STREAM,
        tree=routed.tree,
        paths=routed.paths[:fewer],
        functions=routed.functions if data.draw(st.booleans()) else {},
    )
    for have, want in ((routed, other), (other, routed)):
        a = compiler.programs([have], overlay.switches)
        b = compiler.programs([want], overlay.switches)
        for node, switch in overlay.net.switches.items():
            for make_first in (False, True):
                switch.apply(diff.diff(switch.program, a[node]))
                found = diff.diff(a[node], b[node], make_first=make_first)
                for change in found:
                    switch.apply([change])
                assert switch.program == b[node]
                assert diff.apply(a[node], found) == b[node]
                assert not diff.diff(b[node], b[node])
                both = a[node].rules & b[node].rules
                assert not both & {change.entry for change in found}
    overlay.install(routed)
    overlay.install()
    assert overlay.send("n0", entry) == (Counter(), Counter())


@examples(200)
@given(situations(), st.data())
def test_a_rollout_loses_nothing_at_any_step(routed: RoutedStream, data: st.DataObject) -> None:
    overlay, entry = network_of(routed)
    overlay.install(routed)
    names = list(routed.tree.parents)
    more = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    target = RoutedStream(
        stream=STREAM,
        tree=routed.tree,
        paths=tuple(path(leaf) for leaf in more),
        functions=routed.functions,
    )
    want = compiler.programs([target], overlay.switches)
    kept = set(once(more)) & set(once(list(routed.leaves)))
    for node, step in rollout(overlay.held(), want, routed):
        for change in step:
            overlay.net.switches[node].apply([change])
            out, _ = overlay.send("n0", entry)
            assert kept <= set(out)
            assert set(out.values()) <= {1}
    assert overlay.held() == want
    assert overlay.send("n0", entry)[0] == once(more)


@given(st.data())
def test_tunnels_that_are_not_there_yet_are_not_counted_on(data: st.DataObject) -> None:
    """After losses a tree may lead, where no leaf is, over links that are yet to be plugged; those
    that died stay plugged, as spare ones."""
    drawing = drawn(data.draw(st.sampled_from(CONNECTED)), leaves=set())
    leaves = data.draw(st.lists(st.sampled_from(sorted(drawing.roles)), min_size=1, unique=True))
    last = data.draw(st.dictionaries(st.sampled_from(drawing.links), st.integers(1, 3)))
    roles = {**drawing.roles, **dict.fromkeys(set(leaves) - {"n0"}, Role.LEAF)}
    tree = span(Drawing(roles=roles, links=drawing.links), last)
    routed = replace(carried(drawing, leaves), tree=tree)
    needed = {frozenset(link) for link in expected_links(routed)}
    rest = [link for link in drawing.links if frozenset(link) not in needed]
    missing = data.draw(st.sets(st.sampled_from(rest))) if rest else set()
    overlay = Overlay.of(drawing)
    overlay.switches = {
        node: replace(
            switch,
            tunnel_ports={
                near: port
                for near, port in switch.tunnel_ports.items()
                if not missing & {(node, near), (near, node)}
            },
        )
        for node, switch in overlay.switches.items()
    }
    overlay.install(routed)
    assert overlay.send("n0") == (once(leaves), Counter())


def test_an_all_group_branches_and_a_failover_group_watches() -> None:
    drawing = Drawing(
        roles={"r": Role.ROOT, "a": Role.RELAY, "x": Role.LEAF, "y": Role.LEAF},
        links=(("r", "a"), ("a", "x"), ("r", "y"), ("r", "x")),
    )
    routed = carried(drawing, ["x", "y"])
    assert routed.tree.redundant == (("a", "x"),)
    found = compiler.programs([routed], port_maps(drawing))
    (branch,) = found["r"].groups
    assert branch.kind is GroupKind.ALL
    assert len(branch.buckets) == 2
    (rule,) = [r for r in found["r"].rules if r.actions]
    assert rule.table == tables.Table.PATH
    assert rule.actions == (UseGroup(group=branch.id),)
    assert not any(found[node].groups for node in "axy")


def diamond() -> Drawing:
    """r - a - b - x, with a spare link a - x."""
    roles = {"r": Role.ROOT, "a": Role.RELAY, "b": Role.RELAY, "x": Role.LEAF}
    return Drawing(roles=roles, links=(("r", "a"), ("a", "b"), ("b", "x"), ("a", "x")))


def test_a_failover_group_watches_the_spare_link_beside() -> None:
    routed = carried(diamond(), ["x"])
    overlay = Overlay.of(diamond())
    assert compiler.spares(routed, overlay.switches) == {"b": ("x",)}
    overlay.install(routed)
    (group,) = overlay.held()["a"].groups
    assert group.kind is GroupKind.FAILOVER
    assert [bucket.watch for bucket in group.buckets] == [2, 3]
    overlay.net.lose("a", "b")
    assert overlay.crossed("r") == [("r", "a"), ("a", "x")]
    assert overlay.send("r") == (once(["x"]), Counter())


def test_other_packets_sink() -> None:
    drawing = Drawing(roles={"r": Role.ROOT, "x": Role.LEAF}, links=(("r", "x"),))
    overlay = Overlay.of(drawing)
    overlay.install(carried(drawing, ["x"]))
    others: dict[Field, int | str] = {
        Field.UDP_DST: 5006,
        Field.IPV4_SRC: "10.0.0.2",
        Field.IP_PROTO: 6,
        Field.ETH_TYPE: 0x0806,
    }
    for name, value in others.items():
        packet: dict[Field, int | str] = {**PACKET, name: value}
        assert overlay.net.send(Plug(node="r", port=OUTSIDE), packet) == ([], [])
    assert overlay.net.send(Plug(node="r", port=FUNCTION), PACKET) == ([], [])


def test_a_slice_meters_and_marks_where_the_stream_enters() -> None:
    gold = Slice(number=1, kbps=10_000, burst_kb=1_000, dscp=46)
    drawing = Drawing(roles={"r": Role.ROOT, "x": Role.LEAF}, links=(("r", "x"),))
    stream = Stream(name="ev1", number=7, target="10.0.0.255", port=5004, slice=gold)
    overlay = Overlay.of(drawing)
    overlay.install(RoutedStream(stream=stream, tree=span(drawing), paths=(path("x"),)))
    delivered, _ = overlay.net.send(Plug(node="r", port=OUTSIDE), PACKET)
    assert [d.packet[Field.IP_DSCP] for d in delivered] == [46]
    assert overlay.net.switches["r"].metered == {1: 1}
    assert not overlay.net.switches["x"].metered


def test_several_receivers_of_a_leaf_and_a_function_that_keeps_the_stream() -> None:
    drawing = Drawing(
        roles={"r": Role.ROOT, "x": Role.LEAF, "y": Role.LEAF}, links=(("r", "x"), ("r", "y"))
    )
    overlay = Overlay.of(drawing)
    overlay.install(
        RoutedStream(
            stream=STREAM,
            tree=span(drawing),
            paths=(path("x", 1), path("x", 2), Path(leaf="y")),
            functions={"y": FUNCTION},
        )
    )
    out, took = overlay.send("r")
    assert out == Counter({("x", receiver("x", n).address): 1 for n in (1, 2)})
    assert took == Counter(["y"])


def test_the_whole_page_is_current_and_every_table_is_used(request: pytest.FixtureRequest) -> None:
    page = request.config.rootpath / "docs" / "reference" / "pipeline.md"
    assert page.read_text() == tables.markdown()
    assert [stage.table for stage in tables.PIPELINE] == sorted(tables.Table)
    for stage in tables.PIPELINE:
        assert all(after > stage.table for after in (*stage.next, stage.miss or 99))


def test_rules_outside_the_pipeline_are_told() -> None:
    program = Program(
        rules=frozenset(
            {
                Rule(table=9, priority=1),
                Rule(table=0, priority=1, match=((Field.METADATA, 1),)),
                Rule(table=3, priority=1, goto=9),
            }
        )
    )
    assert sorted(tables.problems(program)) == [
        "table 9: not in the pipeline",
        "table classifier: metadata is not matched there",
        "table path: does not lead to table 9",
    ]


def test_all_problems_of_carriages_are_told() -> None:
    drawing = Drawing(
        roles={"r": Role.ROOT, "x": Role.LEAF, "y": Role.LEAF}, links=(("r", "x"), ("r", "y"))
    )
    tree = span(drawing)
    one = RoutedStream(stream=STREAM, tree=tree, paths=(Path(leaf="x"), path("z")))
    two = RoutedStream(
        stream=Stream(name="ev1", number=70_000, target="10.0.0.255", port=5004),
        tree=tree,
        paths=(Path(leaf="x", receiver=Receiver(address="192.0.2.1")), path("y")),
    )
    switches = {
        "r": PortMap(tunnel_ports={"x": 1}, patch_port=100),
        "x": PortMap(tunnel_ports={"r": 20_000}, patch_port=1),
    }
    with pytest.raises(InvalidRoute) as caught:
        compiler.programs([one, two], switches)
    assert caught.value.details["problems"] == [
        "2 streams are named ev1",
        "2 streams have the target 10.0.0.255:5004",
        "stream ev1: leaf z is not in the tree below the root",
        "stream ev1: the path to x ends at no function and no receiver",
        "stream ev1: its number is not in 1..65534",
        "stream ev1: receiver 192.0.2.1 has no Ethernet address: no host at x answers for it, and "
        "none is given",
        "stream ev1: node r: no port leads to y",
        "stream ev1: node y: no port leads to r",
        "stream ev1: node x: a port is not in 1..16383",
    ]
