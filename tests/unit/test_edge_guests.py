"""What is for a guest goes to its port, wherever that is: rules on switches in memory."""

from dataclasses import replace

import networkx as nx
import pytest

from support.graphs import connected
from umbel.network.drivers.fake.switch import MemoryNetwork, Packet, Plug
from umbel.network.edge import compiler, guest_routes
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.guest_routes import GuestRoute
from umbel.network.model import Link, Topology
from umbel.network.overlay.streams import Receiver, Stream, StreamIntent, process_ports
from umbel.network.switching import diff, tables
from umbel.network.switching.port_map import GuestPort, PortMap, Side, guest_address, guest_mac
from umbel.network.switching.program import Field, Program

OUTSIDE, INSIDE, GUEST = 1, 2, 3
GATEWAY = "02:6d:62:00:00:01"
ADDRESS, MAC, VIEWER = "10.96.1.10", "52:54:0a:60:01:0a", "10.202.9.10"
HOST_MAC = "02:00:00:00:00:10"
IPV4, ARP = 0x0800, 0x0806
HOME = "n0"


def test_a_guests_ethernet_address_holds_its_address() -> None:
    assert guest_address(MAC.upper()) == ADDRESS
    assert guest_mac(ADDRESS) == MAC
    for other in ("52:54:00:12:34:56", "02:75:6d:00:01:0a", "52:54:0a", ""):
        assert guest_address(other) == ""


class Network:
    """Nodes n0, n1... joined as a graph says; the guest of n0 has ports at some of them."""

    def __init__(self, graph: nx.Graph) -> None:
        self.net = MemoryNetwork()
        tunnel_ports: dict[str, dict[str, int]] = {f"n{n}": {} for n in graph.nodes}
        for a, b in graph.edges:
            here, there = f"n{a}", f"n{b}"
            tunnel_ports[here][there] = 10 + len(tunnel_ports[here])
            tunnel_ports[there][here] = 10 + len(tunnel_ports[there])
            self.net.join(
                Plug(node=here, port=tunnel_ports[here][there]),
                Plug(node=there, port=tunnel_ports[there][here]),
            )
        plug = PortMap(patch_port=OUTSIDE, local_port=INSIDE, local_mac=GATEWAY)
        self.port_maps = {n: replace(plug, tunnel_ports=p) for n, p in tunnel_ports.items()}
        self.topology = Topology(
            nodes=tuple(tunnel_ports),
            links=tuple(Link(a=f"n{a}", b=f"n{b}") for a, b in graph.edges),
        )

    def plug(self, *at: str) -> None:
        """The guest has ports at exactly these nodes."""
        port = {ADDRESS: GuestPort(number=GUEST, mac=MAC)}
        self.port_maps = {
            node: replace(port_map, guests=port if node in at else {})
            for node, port_map in self.port_maps.items()
        }

    def routes(self, expected: str = "") -> tuple[GuestRoute, ...]:
        found = guest_routes.places(self.port_maps, {ADDRESS: expected} if expected else {})
        return guest_routes.routes(found, lambda one: HOME if one == ADDRESS else "", self.topology)

    def install(self, expected: str = "") -> dict[str, Program]:
        """Rules for where the guest is, and is expected."""
        programs = compiler.programs(EdgeState(guests=self.routes(expected)), self.port_maps)
        for node, program in programs.items():
            assert tables.problems(program) == []
            switch = self.net.switches[node]
            switch.apply(diff.diff(switch.program, program))
        return programs

    def send(self, node: str, port: int, packet: Packet) -> list[tuple[str, int, str]]:
        """Where copies leave the network, and for which Ethernet address."""
        out, _ = self.net.send(Plug(node=node, port=port), packet)
        return sorted((d.at.node, d.at.port, str(d.packet.get(Field.ETH_DST))) for d in out)


def ip(source: str, target: str, mac: str, of: str = HOST_MAC) -> Packet:
    return {
        Field.ETH_DST: mac,
        Field.ETH_SRC: of,
        Field.ETH_TYPE: IPV4,
        Field.IP_PROTO: 17,
        Field.IPV4_SRC: source,
        Field.IPV4_DST: target,
        Field.UDP_SRC: 4000,
        Field.UDP_DST: 5004,
    }


def arp(source: str, target: str, of: str = HOST_MAC) -> Packet:
    return {
        Field.ETH_SRC: of,
        Field.ETH_TYPE: ARP,
        Field.ARP_SPA: source,
        Field.ARP_TPA: target,
    }


TO_GUEST, FROM_GUEST = ip(VIEWER, ADDRESS, GATEWAY), ip(ADDRESS, VIEWER, GATEWAY, MAC)


def network(graph: nx.Graph, *at: str) -> Network:
    made = Network(graph)
    made.plug(*at)
    return made


@pytest.mark.parametrize("graph", connected(2, 4), ids=str)
def test_wherever_a_guest_is_it_is_reached_as_if_at_home(graph: nx.Graph) -> None:
    made = Network(graph)
    for place in (f"n{n}" for n in graph.nodes):
        made.plug(place)
        made.install()
        assert made.send(HOME, INSIDE, TO_GUEST) == [(place, GUEST, MAC)]
        assert made.send(HOME, INSIDE, arp(VIEWER, ADDRESS)) == [(place, GUEST, "None")]
        assert made.send(place, GUEST, FROM_GUEST) == [(HOME, INSIDE, GATEWAY)]
        near = ip(ADDRESS, VIEWER, HOST_MAC, MAC)
        assert made.send(place, GUEST, near) == [(HOME, OUTSIDE, HOST_MAC)]
        said = made.send(place, GUEST, arp(ADDRESS, "10.96.1.254", MAC))
        assert said == [(HOME, OUTSIDE, "None"), (HOME, INSIDE, "None")]


def test_a_guest_sends_as_nobody_else() -> None:
    made = network(nx.path_graph(2), HOME)
    made.install()
    assert made.send(HOME, GUEST, ip(ADDRESS, VIEWER, GATEWAY, HOST_MAC)) == []
    assert made.send(HOME, GUEST, ip("10.96.1.11", VIEWER, GATEWAY, MAC)) == []
    assert made.send(HOME, GUEST, ip(ADDRESS, "10.203.0.1", GATEWAY, MAC)) == []


@pytest.mark.parametrize("source", ["n0", "n1", "n2"])
def test_what_is_for_a_guest_that_moves_is_copied_until_the_old_port_goes(source: str) -> None:
    made = network(nx.path_graph(4), source)
    before = made.install()
    expecting = made.install("n3")
    assert expecting["n3"] != before["n3"]
    assert made.send(HOME, INSIDE, TO_GUEST) == [(source, GUEST, MAC)]  # no port is there yet
    made.plug(source, "n3")
    made.install("n3")
    both = [(source, GUEST, MAC), ("n3", GUEST, MAC)]
    assert made.send(HOME, INSIDE, TO_GUEST) == both
    assert made.send(source, GUEST, FROM_GUEST) == [(HOME, INSIDE, GATEWAY)]
    assert made.send("n3", GUEST, FROM_GUEST) == [(HOME, INSIDE, GATEWAY)]
    made.plug(source)
    assert made.install() == before  # it was aborted
    made.plug("n3")
    after = made.install()
    assert made.send(HOME, INSIDE, TO_GUEST) == [("n3", GUEST, MAC)]
    made.plug(source, "n3")
    made.install()
    made.plug("n3")
    assert made.install() == after


def test_what_has_no_home_or_no_way_has_no_rules() -> None:
    made = network(nx.path_graph(3), "n2")
    assert guest_routes.links(made.routes()) == {("n0", "n1"), ("n1", "n2")}
    bare = network(nx.path_graph(3)).install()
    made.topology = replace(made.topology, links=made.topology.links[:1])
    assert made.routes() == ()
    assert made.install() == bare
    lost = guest_routes.places(made.port_maps, {})
    assert guest_routes.routes(lost, lambda _: "", made.topology) == ()


def test_rules_for_an_expected_guest_are_those_of_the_guest_that_is_there() -> None:
    made = network(nx.path_graph(3), HOME)
    away = made.port_maps["n2"]
    port = GuestPort(number=9, mac=guest_mac(ADDRESS), is_expected=True)
    made.port_maps["n2"] = replace(away, guests={ADDRESS: port})
    expecting = made.install("n2")
    assert made.send(HOME, INSIDE, TO_GUEST) == [(HOME, GUEST, MAC), ("n2", 9, MAC)]
    made.port_maps["n2"] = replace(away, guests={ADDRESS: replace(port, is_expected=False)})
    assert made.install("n2") == expecting


def test_no_stream_passes_a_function_whose_port_is_only_expected() -> None:
    port = GuestPort(number=9, mac=MAC, is_expected=True)
    passing = Receiver(address=ADDRESS, port=5004, side=Side.INSIDE, is_guest=True)
    stream = Stream(name="talk", number=1, target="10.203.0.1", port=5004)
    intent = StreamIntent(stream=stream, root="n0", processes={"n1": passing})
    for is_expected, ports in ((True, {}), (False, {"n1": 9})):
        seen = PortMap(guests={ADDRESS: replace(port, is_expected=is_expected)})
        assert process_ports(intent, {"n1": seen}) == ports
