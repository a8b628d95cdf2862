"""What receivers report comes to the sender, and what it sends again to the one that asked."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.overlay import INSIDE, MAC, STREAM, Overlay, path
from umbel.network.drivers.fake.switch import DeliveredPacket, Packet, Plug
from umbel.network.overlay import returns
from umbel.network.overlay.spanning import Drawing, Role, span
from umbel.network.overlay.streams import Path, Receiver, RoutedStream, Slice
from umbel.network.switching import tables
from umbel.network.switching.port_map import Side
from umbel.network.switching.program import Field
from umbel.network.switching.tables import RETURNS

NAMES = ["r", "a", "b", "x", "y"]
DRAWING = Drawing(
    roles={"r": Role.ROOT, "a": Role.RELAY, "b": Role.RELAY, "x": Role.LEAF, "y": Role.LEAF},
    links=(("r", "a"), ("r", "b"), ("a", "x"), ("b", "y"), ("x", "y"), ("a", "b")),
)
SENDER, SENDER_PORT = "10.99.0.9", 40_001
KIND = Slice(number=3, kbps=1000, burst_kb=100, dscp=34)
TARGET = "10.203.1.2"


def process(node: str, number: int) -> Receiver:
    """A process of a node. The same ports are used at several nodes."""
    return Receiver(address=f"10.99.{NAMES.index(node)}.1", port=7000 + number, side=Side.INSIDE)


def routed(*paths: Path, **changes: object) -> RoutedStream:
    given_: dict[str, object] = {
        "stream": replace(STREAM, target=TARGET, source=""),
        "tree": span(DRAWING),
        "paths": paths,
        "functions": {"r": INSIDE},
        "reports": Receiver(address=SENDER, side=Side.INSIDE),
        **changes,
    }
    return RoutedStream(**given_)  # type: ignore[arg-type]


def ends(node: str, number: int = 1) -> Path:
    return Path(leaf=node, receiver=process(node, number))


def packet(source: tuple[str, int], target: tuple[str, int]) -> Packet:
    return {
        Field.ETH_DST: "02:00:00:00:00:fe",
        Field.ETH_TYPE: 0x0800,
        Field.IP_PROTO: 17,
        Field.IPV4_SRC: source[0],
        Field.IPV4_DST: target[0],
        Field.UDP_SRC: source[1],
        Field.UDP_DST: target[1],
    }


def sent(overlay: Overlay, node: str, datagram: Packet) -> list[DeliveredPacket]:
    return overlay.net.send(Plug(node=node, port=INSIDE), datagram)[0]


def ends_of(copy: DeliveredPacket) -> tuple[str, tuple[object, ...], tuple[object, ...]]:
    """The node, the source and the destination of what came to a process."""
    fields = copy.packet
    assert (copy.at.port, fields[Field.ETH_DST]) == (INSIDE, MAC)
    return (
        copy.at.node,
        (fields[Field.IPV4_SRC], fields[Field.UDP_SRC]),
        (fields[Field.IPV4_DST], fields[Field.UDP_DST]),
    )


def reported(overlay: Overlay, end: Path) -> tuple[object, ...]:
    """Where the sender sees a receiver's report come from."""
    assert end.receiver is not None
    own = (end.receiver.address, end.receiver.port)
    ((node, source, target),) = map(
        ends_of, sent(overlay, end.leaf, packet(own, (TARGET, SENDER_PORT)))
    )
    assert (node, target) == ("r", (SENDER, SENDER_PORT))
    assert source[0] == TARGET
    return source


@examples(200)
@given(
    st.lists(
        st.builds(ends, st.sampled_from(NAMES), st.integers(1, 3)),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    st.sampled_from([None, KIND]),
)
def test_each_receiver_reaches_the_sender_which_reaches_it_alone(
    paths: list[Path], kind: Slice | None
) -> None:
    overlay = Overlay.of(DRAWING)
    carried = routed(*paths)
    overlay.install(replace(carried, stream=replace(carried.stream, slice=kind)))
    assert not [p for held in overlay.held().values() for p in tables.problems(held)]
    seen = {}
    for end in paths:
        assert end.receiver is not None
        source = reported(overlay, end)
        again = packet((SENDER, SENDER_PORT), (TARGET, int(str(source[1]))))
        own = (end.receiver.address, end.receiver.port)
        (copy,) = sent(overlay, "r", again)
        assert ends_of(copy) == (end.leaf, (TARGET, SENDER_PORT), own)
        assert copy.packet.get(Field.IP_DSCP, 0) == (kind.dscp if kind else 0)
        seen[end] = source
    for one, other in combinations(paths, 2):
        assert seen[one] != seen[other]


def test_what_a_receivers_node_sends_otherwise_goes_nowhere() -> None:
    overlay = Overlay.of(DRAWING)
    overlay.install(routed(ends("x"), ends("y")))
    stranger = packet(("10.99.3.1", 9999), (TARGET, SENDER_PORT))
    assert sent(overlay, "x", stranger) == []
    assert overlay.net.send(Plug(node="x", port=100), stranger)[0] == []
    # Neither does what claims to be a report and comes from outside.
    forged = packet((TARGET, 2000), (TARGET, SENDER_PORT))
    assert overlay.net.send(Plug(node="a", port=100), forged)[0] == []


def test_receivers_outside_behind_functions_and_of_unknown_senders_have_no_way_back() -> None:
    def ways(carried: RoutedStream) -> int:
        overlay = Overlay.of(DRAWING)
        overlay.install(carried)
        return sum(
            rule.priority == RETURNS for held in overlay.held().values() for rule in held.rules
        )

    assert ways(routed(path("x"))) == 0
    assert ways(routed(ends("x"), reports=None)) == 0
    both = routed(ends("a"), ends("x"))
    (above,) = {node for node in both.tree.chain("x") if node not in ("r", "x")}
    behind = routed(ends("x"), functions={"r": INSIDE, above: 50})
    assert ways(behind) == 0
    assert ways(routed(ends("x"))) > 0


def test_a_receivers_port_stays_when_others_come_and_go() -> None:
    some = [("x", process("x", number)) for number in range(200)]
    ports = returns.ports(some)
    assert len(set(ports.values())) == len(some)
    limits = (returns.FIRST_PORT, returns.FIRST_PORT + returns.PORTS - 1)
    assert limits[0] <= min(ports.values()) <= max(ports.values()) <= limits[1]
    fewer = returns.ports(some[:100])
    assert sum(ports[one] == port for one, port in fewer.items()) >= 98


def test_more_receivers_than_ports_are_carried_and_the_last_have_none() -> None:
    some = [("x", Receiver(address=f"10.1.{n >> 8}.{n & 255}", port=1)) for n in range(15_400)]
    assert len(set(returns.ports(some).values())) == returns.PORTS
