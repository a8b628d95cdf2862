"""Streams between processes of the nodes: by the inner port, to several on a node, at the root."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.examples import examples
from support.overlay import INSIDE, MAC, OUTSIDE, PACKET, STREAM, Overlay, path, port_maps, rollout
from umbel.network.drivers.fake.switch import Packet, Plug
from umbel.network.overlay import compiler, moves, streams
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.spanning import Drawing, Role, span
from umbel.network.overlay.streams import Path, Receiver, RoutedStream
from umbel.network.switching import port_map, tables
from umbel.network.switching.port_map import Side
from umbel.network.switching.program import BACK, Field, Output

NAMES = ["r", "a", "b", "x", "y"]
DRAWING = Drawing(
    roles={"r": Role.ROOT, "a": Role.RELAY, "b": Role.RELAY, "x": Role.LEAF, "y": Role.LEAF},
    links=(("r", "a"), ("r", "b"), ("a", "x"), ("b", "y"), ("x", "y"), ("a", "b")),
)
FUNCTION_PORT = 7009
Got = Counter[tuple[str, int, str, int]]


def process(node: str, number: int = 1) -> Receiver:
    """A process of a node that takes the stream at a port of its own."""
    return Receiver(address=f"10.99.{NAMES.index(node)}.1", port=7000 + number, side=Side.INSIDE)


def ends(node: str, number: int = 1) -> Path:
    return Path(leaf=node, receiver=process(node, number))


def expected(carried: RoutedStream) -> Got:
    """One copy for each receiver at its door, and one for each process on the way."""
    got: Got = Counter()
    for leaf in carried.leaves:
        for taker in carried.receivers(leaf):
            port = INSIDE if taker.side is Side.INSIDE else OUTSIDE
            got[leaf, port, taker.address, taker.port or 5004] += 1
    on = {node for leaf in carried.leaves for node in carried.tree.chain(leaf)}
    for node, host in carried.processes.items():
        if node in on:
            got[node, INSIDE, host.address, host.port] += 1
    return got


def overlay_of(carried: RoutedStream) -> Overlay:
    """Switches in memory where the processes on the way send on what they take."""
    overlay = Overlay.of(DRAWING)
    for node, host in carried.processes.items():
        own = {**PACKET, Field.IPV4_SRC: f"10.98.{NAMES.index(node)}.1", Field.UDP_SRC: 777}

        def answer(packet: Packet, host: Receiver = host, own: Packet = own) -> Packet | None:
            mine = (packet[Field.IPV4_DST], packet[Field.UDP_DST]) == (host.address, host.port)
            return own if mine else None

        overlay.net.attach(Plug(node=node, port=INSIDE), answer)
    return overlay


def unprocessed(overlay: Overlay, port: int) -> Got:
    """What came to receivers as the source sent it, on the one path that a function is on."""
    delivered, _ = overlay.net.send(Plug(node="r", port=port), PACKET)
    return Counter(
        (copy.at.node, copy.at.port, str(copy.packet[Field.IPV4_DST]), 0)
        for copy in delivered
        if copy.packet[Field.UDP_SRC] != 777 and copy.packet[Field.UDP_DST] != FUNCTION_PORT
    )


def sent(overlay: Overlay, port: int) -> tuple[Got, list[tuple[str, str]]]:
    delivered, crossed = overlay.net.send(Plug(node="r", port=port), PACKET)
    got: Got = Counter()
    for copy in delivered:
        fields = copy.packet
        got[
            copy.at.node,
            copy.at.port,
            str(fields[Field.IPV4_DST]),
            int(fields[Field.UDP_DST]),
        ] += 1
        if copy.at.port == INSIDE:
            assert fields[Field.ETH_DST] == MAC
            assert fields[Field.IPV4_SRC] == STREAM.target
    return got, crossed


@st.composite
def routed_streams(draw: st.DrawFn) -> RoutedStream:
    """Any receivers of either door at any node, the root too, and processes on the way."""
    near = st.tuples(st.sampled_from(NAMES), st.integers(1, 3)).map(lambda n: ends(*n))
    far = st.sampled_from(NAMES).map(path)
    paths = draw(st.lists(near | far, min_size=1, max_size=6, unique=True))
    on_way = draw(st.sets(st.sampled_from(NAMES[1:]), max_size=2))
    sender = draw(st.sampled_from([{"r": INSIDE}, {}]))
    return RoutedStream(
        stream=STREAM,
        tree=span(DRAWING),
        paths=tuple(paths),
        functions={**sender, **dict.fromkeys(on_way, INSIDE)},
        processes={node: process(node, 9) for node in on_way},
    )


@examples(300)
@given(routed_streams())
def test_every_process_gets_one_copy_of_its_own_and_nothing_else_moves(
    carried: RoutedStream,
) -> None:
    overlay = overlay_of(carried)
    overlay.install(carried)
    got, crossed = sent(overlay, carried.functions.get("r", OUTSIDE))
    assert got == expected(carried)
    links = {p for leaf in carried.leaves for p in pairwise(carried.tree.chain(leaf))}
    assert Counter(crossed) == Counter(links)
    other = OUTSIDE if "r" in carried.functions else INSIDE
    assert sent(overlay, other) == (Counter(), [])
    for program in overlay.held().values():
        assert not tables.problems(program)


@examples(200)
@given(routed_streams(), st.sampled_from(DRAWING.links))
def test_no_lost_link_makes_a_second_copy(carried: RoutedStream, lost: tuple[str, str]) -> None:
    overlay = overlay_of(carried)
    overlay.install(carried)
    overlay.net.lose(*lost)
    got, _ = sent(overlay, carried.functions.get("r", OUTSIDE))
    assert got <= expected(carried)
    child = next((c for c in lost if carried.tree.parents.get(c) in lost), None)
    if child is None or child in compiler.spares(carried, overlay.switches):
        served = {key: times for key, times in got.items() if key not in hosted(carried)}
        assert served == {k: n for k, n in expected(carried).items() if k not in hosted(carried)}


def hosted(carried: RoutedStream) -> set[tuple[str, int, str, int]]:
    return {(n, INSIDE, host.address, host.port) for n, host in carried.processes.items()}


def test_what_the_root_sends_comes_back_by_the_same_port() -> None:
    carried = RoutedStream(
        stream=STREAM, tree=span(DRAWING), paths=(ends("r"),), functions={"r": INSIDE}
    )
    found = compiler.programs([carried], port_maps(DRAWING))["r"]
    (leaf,) = [rule for rule in found.rules if rule.table == tables.Table.LEAF]
    assert leaf.actions[-1] == Output(port=BACK)


@examples(100)
@given(routed_streams(), st.sampled_from(NAMES), st.data())
def test_handing_over_clones_first_and_loses_nothing(
    carried: RoutedStream, target: str, data: st.DataObject
) -> None:
    """While a leaf is handed over, change by change, every other receiver gets each packet once,
    and the leaving one or the coming one or both get it."""
    leaving = data.draw(st.sampled_from(carried.paths))
    assume(leaving.leaf not in carried.processes or target in carried.processes)
    coming = ends(target, 8)
    overlay = overlay_of(carried)
    overlay.install(carried)
    before = expected(carried)
    cloned = moves.hand_over(carried, leaving, coming)
    assert moves.hand_over(cloned, leaving, coming) is cloned
    done = moves.commit(cloned)
    assert expected(done) + expected(carried) >= expected(cloned)
    entry = carried.functions.get("r", OUTSIDE)
    kept = {k: n for k, n in (before & expected(done)).items() if k not in hosted(carried)}
    for want, certain in ((cloned, before), (done, expected(done))):
        programs = compiler.programs([want], overlay.switches)
        for node, step in rollout(overlay.held(), programs, carried):
            overlay.net.switches[node].apply(step)
            got, _ = sent(overlay, entry)
            assert all(got[key] == 1 for key in kept)
        got, _ = sent(overlay, entry)
        assert got == expected(want)
        assert got >= certain
    assert moves.abort(cloned) == carried


@examples(100)
@given(
    st.sampled_from(NAMES[1:]), st.sampled_from(NAMES[1:]), st.booleans(), st.sampled_from([1, -1])
)
def test_a_path_and_its_function_move_and_no_unprocessed_packet_arrives(
    source: str, target: str, inside: bool, order: int
) -> None:
    """The path is cloned, the function goes and comes in either order, the old way goes: at no
    step, switch by switch, does a receiver get what no function took."""
    leaving = path(source, 1)
    coming = ends(target, 8) if inside else path(target, 8)
    here, there = {source: process(source, 9)}, {target: process(target, 9)}
    base = RoutedStream(stream=STREAM, tree=span(DRAWING), paths=(leaving,), functions={})

    def met(routed: RoutedStream, at: Mapping[str, Receiver]) -> RoutedStream:
        return replace(routed, functions=dict.fromkeys(at, INSIDE), processes=at)

    before = met(base, here)
    overlay = overlay_of(replace(before, processes={**here, **there}))
    overlay.install(before)
    assert sum(sent(overlay, OUTSIDE)[0].values()) == 2
    cloned = moves.hand_over(before, leaving, coming)
    both = {**here, **there}
    moving = [({}, there), (both, there)][order > 0]
    if source != target:
        with pytest.raises(InvalidMove, match="No function takes the stream"):
            moves.commit(met(cloned, {}))
    steps = [cloned, *(met(cloned, at) for at in moving)]
    steps.append(moves.commit(steps[-1]))
    for want in steps:
        programs = compiler.programs([want], overlay.switches)
        for node, step in rollout(overlay.held(), programs, want):
            overlay.net.switches[node].apply(step)
            assert not unprocessed(overlay, OUTSIDE)
        assert overlay.held() == programs
        assert not unprocessed(overlay, OUTSIDE)
    receiver = coming.receiver
    assert receiver is not None
    port = INSIDE if inside else OUTSIDE
    assert sent(overlay, OUTSIDE)[0][target, port, receiver.address, receiver.port or 5004] == 1


def test_what_cannot_be_handed_over() -> None:
    carried = RoutedStream(
        stream=STREAM, tree=span(DRAWING), paths=(ends("x"),), functions={"r": INSIDE}
    )
    for leaving, coming in (
        (ends("y"), ends("a")),
        (ends("x"), Path(leaf="a")),
        (ends("x"), Path(leaf="nowhere", receiver=process("a"))),
    ):
        with pytest.raises(InvalidMove):
            moves.hand_over(carried, leaving, coming)
    moving = moves.hand_over(carried, ends("x"), ends("a"))
    with pytest.raises(InvalidMove):
        moves.hand_over(moving, ends("x"), ends("b"))


def test_a_node_without_an_inner_port_is_told() -> None:
    carried = RoutedStream(stream=STREAM, tree=span(DRAWING), paths=(ends("x"), Path(leaf="r")))
    bare = {
        name: port_map.PortMap(tunnel_ports=switch.tunnel_ports, patch_port=OUTSIDE)
        for name, switch in port_maps(DRAWING).items()
    }
    with pytest.raises(streams.InvalidRoute) as caught:
        compiler.programs([carried], bare)
    assert caught.value.details["problems"] == [
        "stream ev1: the path to r ends at no function and no receiver",
        "stream ev1: node x: its switch has no inner port",
    ]
