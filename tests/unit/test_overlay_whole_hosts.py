"""Streams of port 0: whatever a host sends to another goes along their path, and nowhere else."""

from itertools import permutations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.graphs import connected
from support.overlay import FUNCTION, INSIDE, OUTSIDE, Overlay, port_maps
from umbel.network.drivers.fake.switch import Packet, Plug
from umbel.network.overlay import compiler
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import (
    InvalidRoute,
    Move,
    Path,
    Receiver,
    RoutedStream,
    Slice,
    Stream,
    clashes,
)
from umbel.network.switching import tables
from umbel.network.switching.port_map import Side
from umbel.network.switching.program import Field

GRAPHS = connected(2, 5)
ICMP, TCP, UDP, ESP = 1, 6, 17, 50
GOLD = Slice(number=1, kbps=10_000, burst_kb=1_000, dscp=46)

Way = tuple[str, str]


def drawn(graph: nx.Graph) -> Drawing:
    """Every node may be a leaf; a host is outside each."""
    links = tuple((f"n{a}", f"n{b}") for a, b in graph.edges)
    return Drawing(roles={f"n{n}": Role.LEAF for n in graph.nodes}, links=links)


def address(node: str) -> str:
    return f"10.0.0.{node.removeprefix('n')}"


def host(node: str) -> Receiver:
    return Receiver(address=address(node), mac=f"02:00:00:00:01:0{node.removeprefix('n')}")


def stream(number: int, way: Way, kind: Slice | None = None) -> Stream:
    """Whatever the host of one node sends to that of the other."""
    a, b = way
    return Stream(
        name=f"{a}-{b}",
        number=number,
        target=address(b),
        port=0,
        source=address(a),
        slice=kind,
    )


def carried(drawing: Drawing, ways: list[Way], kind: Slice | None = None) -> list[RoutedStream]:
    link_state = LinkState(drawing=drawing)
    return [
        RoutedStream(
            stream=stream(number, way, kind),
            tree=link_state.tree(way[0], [way[1]]),
            paths=(Path(leaf=way[1], receiver=host(way[1])),),
        )
        for number, way in enumerate(ways, start=1)
    ]


def packet(way: Way, proto: int) -> Packet:
    """What a host sends to another: no ports but where the protocol has some."""
    ports = {TCP: (Field.TCP_SRC, Field.TCP_DST), UDP: (Field.UDP_SRC, Field.UDP_DST)}
    return {
        Field.ETH_DST: "02:00:00:00:09:09",
        Field.ETH_TYPE: 0x0800,
        Field.IP_PROTO: proto,
        Field.IPV4_SRC: address(way[0]),
        Field.IPV4_DST: address(way[1]),
        **dict.fromkeys(ports.get(proto, ()), 4000),
    }


def taken(overlay: Overlay, way: Way, proto: int) -> list[tuple[Plug, Packet]]:
    """The copies that left the network, and where."""
    delivered, _ = overlay.net.send(Plug(node=way[0], port=OUTSIDE), packet(way, proto))
    return [(one.at, one.packet) for one in delivered]


@st.composite
def asked(draw: st.DrawFn) -> tuple[Drawing, list[Way]]:
    drawing = drawn(draw(st.sampled_from(GRAPHS)))
    every = list(permutations(drawing.roles, 2))
    return drawing, draw(st.lists(st.sampled_from(every), unique=True))


@examples(200)
@given(asked(), st.sampled_from([ICMP, TCP, UDP, ESP]))
def test_hosts_reach_those_they_have_a_path_to_and_nobody_else(
    found: tuple[Drawing, list[Way]], proto: int
) -> None:
    drawing, ways = found
    overlay = Overlay.of(drawing)
    overlay.install(*carried(drawing, ways))
    for program in overlay.held().values():
        assert not tables.problems(program)
    for way in permutations(drawing.roles, 2):
        target = way[1]
        as_sent = {**packet(way, proto), Field.ETH_DST: host(target).mac}
        expected = [(Plug(node=target, port=OUTSIDE), as_sent)] if way in ways else []
        assert taken(overlay, way, proto) == expected
    overlay.install(*carried(drawing, ways[1:]))
    assert not any(taken(overlay, way, proto) for way in ways[:1])


@examples(100)
@given(asked())
def test_a_spare_link_beside_a_lost_one_carries_them(found: tuple[Drawing, list[Way]]) -> None:
    drawing, ways = found
    overlay = Overlay.of(drawing)
    routed_streams = carried(drawing, ways)
    overlay.install(*routed_streams)
    for lost in drawing.links:
        overlay.net.lose(*lost)
        for way, routed in zip(ways, routed_streams, strict=True):
            chain = routed.tree.chain(way[1])
            mended = compiler.spares(routed, overlay.switches)
            cut = [b for b in chain[1:] if {routed.tree.parents[b], b} == set(lost)]
            served = not cut or cut[0] in mended
            assert len(taken(overlay, way, ICMP)) == served
        overlay.net.restore(*lost)


def line() -> Drawing:
    return Drawing(roles={"n1": Role.ROOT, "n2": Role.LEAF}, links=(("n1", "n2"),))


def test_other_sources_and_other_than_ipv4_sink() -> None:
    overlay = Overlay.of(line())
    overlay.install(*carried(line(), [("n1", "n2")]))
    at = Plug(node="n1", port=OUTSIDE)
    for name, value in ((Field.IPV4_SRC, "10.0.0.9"), (Field.ETH_TYPE, 0x0806)):
        sent = {**packet(("n1", "n2"), ICMP), name: value}
        assert overlay.net.send(at, sent) == ([], [])


def test_they_are_held_to_a_slice_whatever_they_are() -> None:
    overlay = Overlay.of(line())
    overlay.install(*carried(line(), [("n1", "n2")], GOLD))
    ((_, got),) = taken(overlay, ("n1", "n2"), ICMP)
    assert got[Field.IP_DSCP] == GOLD.dscp
    assert overlay.net.switches["n1"].metered == {GOLD.number: 1}


def test_a_process_of_the_node_sees_who_sent_it() -> None:
    """It is to answer. A UDP stream's packets come from the stream's own address instead."""
    (routed,) = carried(line(), [("n1", "n2")])
    inside = Receiver(address="10.99.2.1", side=Side.INSIDE)
    paths = (Path(leaf="n2", receiver=inside),)
    overlay = Overlay.of(line())
    overlay.install(RoutedStream(stream=routed.stream, tree=routed.tree, paths=paths))
    ((at, got),) = taken(overlay, ("n1", "n2"), ICMP)
    assert at == Plug(node="n2", port=INSIDE)
    assert (got[Field.IPV4_SRC], got[Field.IPV4_DST]) == ("10.0.0.1", "10.99.2.1")


def test_functions_and_other_ports_are_for_udp_streams() -> None:
    (routed,) = carried(line(), [("n1", "n2")])
    given_port = Receiver(address="10.0.0.2", mac="02:00:00:00:01:02", port=5000)
    wrong = RoutedStream(
        stream=routed.stream,
        tree=routed.tree,
        paths=(Path(leaf="n2", receiver=given_port),),
        functions={"n1": FUNCTION, "n2": FUNCTION},
    )
    moving = RoutedStream(
        stream=routed.stream,
        tree=routed.tree,
        paths=routed.paths,
        move=Move(source="n2", target="n1", function=FUNCTION),
    )
    for one, problems in (
        (
            wrong,
            [
                "stream n1-n2: only a stream with a UDP port meets functions",
                "stream n1-n2: only a stream with a UDP port is given another at a leaf",
            ],
        ),
        (moving, ["stream n1-n2: only a stream with a UDP port meets functions"]),
    ):
        with pytest.raises(InvalidRoute) as caught:
            compiler.programs([one], port_maps(line()))
        assert caught.value.details["problems"] == problems


def test_streams_that_have_packets_in_common_are_told() -> None:
    one, two = stream(1, ("n1", "n3")), stream(2, ("n2", "n3"))
    udp = Stream(name="udp", number=3, target=address("n3"), port=5004)
    anybody = Stream(name="any", number=4, target=address("n3"), port=0)
    again = Stream(name="again", number=5, target=address("n3"), port=0, source=one.source)
    elsewhere = Stream(name="else", number=6, target=address("n2"), port=5004)
    problem = ["2 streams have packets to 10.0.0.3 in common"]
    assert list(clashes([one, two, elsewhere])) == []
    for other in (udp, anybody, again):
        assert list(clashes([one, other, elsewhere])) == problem
