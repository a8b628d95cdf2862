"""Rules in words: streams' by their paths, borders' by whom they let pass, answer and lead home."""

from umbel.network.edge import compiler as edge
from umbel.network.edge import gates, roaming, virtual_services
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Access, Client, Gate, PortalAddress
from umbel.network.edge.roaming import MobileFunction
from umbel.network.edge.virtual_services import Surrogate, VirtualService
from umbel.network.model import Link, Topology
from umbel.network.operator import explain
from umbel.network.overlay import compiler
from umbel.network.overlay.intent import Overlay
from umbel.network.overlay.links import LinkState
from umbel.network.overlay.spanning import Drawing, Role
from umbel.network.overlay.streams import Path, Receiver, RoutedStream, Slice, Stream, StreamIntent
from umbel.network.switching.port_map import PortMap, Side
from umbel.network.switching.program import Program, Rule
from umbel.network.switching.tables import STEPS, PipelineStep, Table

LINE = Topology(nodes=("pe1", "c1", "pe2"), links=(Link(a="pe1", b="c1"), Link(a="c1", b="pe2")))
PLUGS = {
    "pe1": PortMap(
        patch_port=1, local_port=2, local_mac="02:00:00:00:00:01", tunnel_ports={"c1": 10}
    ),
    "c1": PortMap(
        patch_port=1,
        local_port=2,
        local_mac="02:00:00:00:00:03",
        tunnel_ports={"pe1": 10, "pe2": 11},
    ),
    "pe2": PortMap(
        patch_port=1, local_port=2, local_mac="02:00:00:00:00:02", tunnel_ports={"c1": 10}
    ),
}
GROUND = LinkState(
    drawing=Drawing(
        roles={"pe1": Role.ROOT, "c1": Role.RELAY, "pe2": Role.LEAF},
        links=(("pe1", "c1"), ("c1", "pe2")),
    )
)
STREAM = Stream(name="feed", number=7, target="10.203.0.7", port=5004)
SLICE = Slice(number=3, kbps=100_000, burst_kb=100, dscp=46)
PATH = Path(leaf="pe2", receiver=Receiver(address="192.0.2.4", mac="02:00:00:00:00:aa", port=6000))
SURROGATES = (
    Surrogate(name="near", node="pe1", address="10.97.1.1", port=8080),
    Surrogate(name="far", node="pe2", address="10.97.2.1", port=8080),
)


def made() -> EdgeState:
    """A gate at pe1 with a client that signed in, a service, and a function of pe1's at pe2."""
    gated = gates.close(Access(), "pe1", Gate(portal=PortalAddress(address="10.97.0.1", port=8000)))
    client = Client(address="10.202.1.10", mac="02:00:00:00:00:bb", expires_s=99.0, username="ann")
    video = VirtualService(name="video", address="10.204.0.1", port=80, surrogates=SURROGATES)
    moved = MobileFunction(
        name="f", address="10.202.1.20", mac="02:00:00:00:00:20", home_node="pe1"
    )
    return EdgeState(
        access=gates.sign_in(gated, "pe1", client),
        services=virtual_services.offer({}, video, LINE),
        bindings=roaming.register({}, moved, "pe2", LINE),
    )


def told(
    node: str, held: Program, overlay: Overlay, borders_: EdgeState | None = None
) -> list[tuple[str, str]]:
    asked = explain.index(overlay, borders_ or EdgeState())
    found = explain.explain(node, held, PLUGS[node], asked)
    assert {one.rule for one in found} == held.rules
    return [(one.step, one.text) for one in found]


def test_rules_of_borders_name_whom_they_are_for() -> None:
    wanted = made()
    held = edge.programs(wanted, PLUGS)
    here = told("pe1", held["pe1"], Overlay(link_state=GROUND), wanted)
    gone = "10.202.1.20 (f of pe1, now at pe2)"
    service = "10.204.0.1:80 (service video)"
    for line in (
        (
            "classifier",
            "what is sent to streams' addresses (10.203.0.0/16) and is no stream here; dropped",
        ),
        ("classifier", "all else from the network outside; then table access"),
        (
            "access",
            "packets of 10.202.1.10 (ann, signed in) from the network outside; then table services",
        ),
        ("access", "questions to DHCP from the network outside; then table services"),
        (
            "access",
            "TCP to 10.97.0.1:8000 (the front end) from the network outside; then table services",
        ),
        (
            "access",
            "web requests from the network outside; its connection is led to "
            "10.97.0.1:8000 (the front end), then table homes",
        ),
        (
            "services",
            f"TCP to {service} from the network outside; its connection is led to "
            "10.97.1.1:8080 (near of service video), then table homes",
        ),
        (
            "services",
            "TCP of 10.97.1.1:8080 (near of service video) from the node's own processes; "
            "translated as its connection is, then table homes",
        ),
        ("services", "all else; then table homes"),
        ("homes", f"packets to {gone} from the network outside; to the tunnel to c1"),
        ("homes", f"ARP for {gone} from the node's own processes; to the tunnel to c1"),
        ("homes", "all else from the node's own processes; to the network outside"),
    ):
        assert line in here
    there = told("pe2", held["pe2"], Overlay(link_state=GROUND), wanted)
    assert ("classifier", f"packets of {gone} from the network outside; then table homes") in there
    assert all("signed in" not in words for _, words in there)


def test_a_stream_that_is_asked_for_again_keeps_the_functions_that_it_passes() -> None:
    intent = StreamIntent(stream=STREAM, root="pe1", paths=(PATH,))
    met = {"c1": Receiver(address="10.97.6.1", port=7000, side=Side.INSIDE)}
    overlay = Overlay(link_state=GROUND).carry(intent).set_processes("feed", met)
    assert overlay.carry(intent).intents["feed"].processes == met
    assert overlay.set_processes("feed", {}).carry(intent).intents["feed"].processes == {}


def test_rules_of_a_stream_say_which_and_how() -> None:
    intent = StreamIntent(stream=STREAM, root="pe1", paths=(PATH,))
    overlay = Overlay(link_state=GROUND).carry(intent).set_slice("feed", SLICE)
    held = overlay.compile(PLUGS).programs
    assert told("c1", held["c1"], overlay)[0] == (
        "classifier",
        "stream feed by the tunnel from pe1; known by addresses and ports; then table slices",
    )
    assert (
        "slices",
        "stream feed from the node's own processes; held to the rate of meter 3; "
        "then table redirect",
    ) in told("pe1", held["pe1"], overlay)
    assert (
        "leaf",
        "stream feed; to the network outside, for 192.0.2.4:6000",
    ) in told("pe2", held["pe2"], overlay)
    (entry, *_) = explain.explain("pe2", held["pe2"], PLUGS["pe2"], explain.index(overlay))
    assert (entry.root, entry.leaves) == ("pe1", ("pe2",))


def test_a_stream_from_before_a_restart_is_no_other_packet() -> None:
    tree = GROUND.tree("pe1", ("pe2",))
    carried = RoutedStream(stream=STREAM, tree=tree, paths=(PATH,))
    switches = PLUGS
    held = compiler.programs([carried], switches)["c1"]
    (step, words), *_ = told("c1", held, Overlay(link_state=GROUND))
    assert (step, words) == (
        "classifier",
        "a stream that is not asked for by the tunnel from pe1; known by addresses and ports; "
        "then table slices",
    )


def test_every_table_of_the_pipeline_is_a_step_and_others_are_named_so() -> None:
    assert [STEPS[table] for table in Table] == [table.name.lower() for table in Table]
    assert set(PipelineStep) == {*STEPS.values(), PipelineStep.OTHER}
    held = Program(rules=frozenset({Rule(table=99, priority=1)}))
    index = explain.index(Overlay(link_state=GROUND))
    (foreign,) = explain.explain("c1", held, PortMap(), index)
    assert (foreign.step, foreign.rule.table) == (PipelineStep.OTHER, 99)
