"""What passes at a node's border, on switches in memory."""

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.graphs import connected
from umbel.network.drivers.fake.switch import MemoryNetwork, MemorySwitch, Packet, Plug
from umbel.network.edge import compiler, gates, roaming, virtual_services
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Access, Client, Gate, PortalAddress
from umbel.network.edge.roaming import InvalidBinding, MobileFunction
from umbel.network.edge.virtual_services import (
    Surrogate,
    VirtualService,
)
from umbel.network.model import Link, Topology
from umbel.network.switching import diff, tables
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Field, Value

OUTSIDE, INSIDE, MAC = 1, 2, "02:6d:62:00:00:01"
PLUG = PortMap(patch_port=OUTSIDE, local_port=INSIDE, local_mac=MAC)
HOST, HOST_MAC = "10.202.1.10", "02:00:00:00:00:10"
FRONT = PortalAddress(address="10.97.0.1", port=8000)
LINE = Topology(nodes=("pe1", "c1", "pe2"), links=(Link(a="pe1", b="c1"), Link(a="c1", b="pe2")))


def tcp(source: str, sport: int, target: str, port: int, mac: str = HOST_MAC) -> Packet:
    return {
        Field.ETH_DST: MAC,
        Field.ETH_SRC: mac,
        Field.ETH_TYPE: 0x0800,
        Field.IP_PROTO: 6,
        Field.IPV4_SRC: source,
        Field.IPV4_DST: target,
        Field.TCP_SRC: sport,
        Field.TCP_DST: port,
    }


def udp(source: str, target: str, port: int, sport: int = 4000) -> Packet:
    return {
        Field.ETH_DST: MAC,
        Field.ETH_SRC: HOST_MAC,
        Field.ETH_TYPE: 0x0800,
        Field.IP_PROTO: 17,
        Field.IPV4_SRC: source,
        Field.IPV4_DST: target,
        Field.UDP_SRC: sport,
        Field.UDP_DST: port,
    }


def arp(source: str, target: str) -> Packet:
    return {Field.ETH_TYPE: 0x0806, Field.ARP_SPA: source, Field.ARP_TPA: target}


class Border:
    """One node's switch, as its borders are now."""

    def __init__(self) -> None:
        self.switch = MemorySwitch()
        self.become(EdgeState())

    def become(self, state: EdgeState) -> None:
        want = compiler.programs(state, {"pe1": PLUG})["pe1"]
        assert tables.problems(want) == []
        self.switch.apply(diff.diff(self.switch.program, want, make_first=True))
        assert self.switch.program == want

    def ask(self, packet: Packet) -> Packet | None:
        """What of a host's packet comes to the node."""
        out = self.switch.process(packet, OUTSIDE)
        assert [port for port, _ in out] in ([INSIDE], [])
        return out[0][1] if out else None

    def answer(self, packet: Packet) -> Packet | None:
        """What of a node's packet comes to the host."""
        out = self.switch.process(packet, INSIDE)
        assert [port for port, _ in out] in ([OUTSIDE], [])
        return out[0][1] if out else None


def ends(packet: Packet | None) -> tuple[Value, ...]:
    """Where a TCP packet is from and to."""
    assert packet is not None
    names = (Field.IPV4_SRC, Field.TCP_SRC, Field.IPV4_DST, Field.TCP_DST)
    return tuple(packet[name] for name in names)


@pytest.fixture
def border() -> Border:
    return Border()


def test_an_open_border_lets_all_pass_but_streams(border: Border) -> None:
    for packet in (
        tcp(HOST, 5, "192.0.2.1", 443),
        udp(HOST, "192.0.2.1", 9),
        arp(HOST, "10.202.1.1"),
    ):
        assert border.ask(packet) == packet
        assert border.answer(packet) == packet
    for target in ("10.203.0.0", "10.203.7.9", "10.203.255.255"):
        assert border.ask(udp(HOST, target, 5004)) is None
        assert border.answer(udp("10.97.1.1", target, 5004)) is None
    assert border.switch.process(tcp(HOST, 5, "192.0.2.1", 443), 77) == []


def gated() -> Access:
    return gates.close(
        Access(), "pe1", Gate(portal=FRONT, allowed=(PortalAddress(address="10.97.0.1", port=443),))
    )


def signed_in(expires_s: float = 100.0) -> Access:
    client = Client(address=HOST, mac=HOST_MAC.upper(), expires_s=expires_s)
    return gates.sign_in(gated(), "pe1", client)


def test_who_is_not_signed_in_sees_the_front_end_only(border: Border) -> None:
    border.become(EdgeState(access=gated()))
    asked = border.ask(tcp(HOST, 5, "192.0.2.1", 80))
    assert ends(asked) == (HOST, 5, FRONT.address, FRONT.port)
    back = border.answer(tcp(FRONT.address, FRONT.port, HOST, 5))
    assert ends(back) == ("192.0.2.1", 80, HOST, 5)
    for sunk in (tcp(HOST, 5, "192.0.2.1", 443), udp(HOST, "192.0.2.1", 9), udp(HOST, HOST, 67)):
        assert border.ask(sunk) is None
    for free in (
        *(arp(HOST, "10.202.1.1"), udp(HOST, "192.0.2.53", 53), tcp(HOST, 5, "192.0.2.53", 53)),
        *(udp("0.0.0.0", "255.255.255.255", 67, sport=68), tcp(HOST, 6, "10.97.0.1", 443)),
    ):
        assert border.ask(free) == free
    direct = tcp(HOST, 7, FRONT.address, FRONT.port)
    assert border.ask(direct) == direct
    answer = tcp(FRONT.address, FRONT.port, HOST, 7)
    assert border.answer(answer) == answer


def test_signing_in_opens_for_that_client_until_it_ends(border: Border) -> None:
    web, secure = tcp(HOST, 5, "192.0.2.1", 80), tcp(HOST, 5, "192.0.2.1", 443)
    other = [
        tcp(HOST, 5, "192.0.2.1", 443, mac="02:00:00:00:00:11"),
        tcp("10.202.1.11", 5, "192.0.2.1", 443),
    ]
    border.become(EdgeState(access=signed_in()))
    assert border.ask(web) == web
    assert border.ask(secure) == secure
    assert [border.ask(packet) for packet in other] == [None, None]
    assert signed_in().next_expiry_s == 100.0
    for closed in (
        gates.sign_out(signed_in(), "pe1", HOST),
        gates.expire(signed_in(), 100.0),
    ):
        border.become(EdgeState(access=closed))
        assert border.ask(secure) is None
        assert closed.next_expiry_s is None
    assert gates.expire(signed_in(), 99.9) == signed_in()
    border.become(EdgeState(access=gates.open_up(signed_in(), "pe1")))
    assert [border.ask(packet) for packet in other] == other


def test_a_client_without_a_known_ethernet_address_is_known_by_its_own(border: Border) -> None:
    client = Client(address=HOST, mac="", expires_s=100.0)
    border.become(EdgeState(access=gates.sign_in(gated(), "pe1", client)))
    for mac in (HOST_MAC, "02:00:00:00:00:11"):
        packet = tcp(HOST, 5, "192.0.2.1", 443, mac=mac)
        assert border.ask(packet) == packet
    assert border.ask(tcp("10.202.1.11", 5, "192.0.2.1", 443)) is None


def test_gates_and_clients_that_cannot_be() -> None:
    with pytest.raises(gates.NoGate):
        gates.sign_in(Access(), "pe1", Client(address=HOST, mac=HOST_MAC, expires_s=1))
    for address, mac in (("10.1", HOST_MAC), ("::1", HOST_MAC), (HOST, "02:00")):
        with pytest.raises(gates.InvalidClient):
            gates.sign_in(gated(), "pe1", Client(address=address, mac=mac, expires_s=1))
    for door in (
        PortalAddress(address="front", port=80),
        PortalAddress(address="10.0.0.1", port=0),
    ):
        with pytest.raises(gates.InvalidGate):
            gates.close(Access(), "pe1", Gate(portal=door))


A, B = (
    Surrogate(name="a", node="c1", address="10.97.2.1", port=8080),
    Surrogate(name="b", node="pe2", address="10.97.3.1", port=9090),
)
SERVICE = VirtualService(name="video", address="10.204.0.1", port=80, surrogates=(A, B))


def test_the_nearest_surrogate_answers_at_the_virtual_address(border: Border) -> None:
    services = virtual_services.offer({}, SERVICE, LINE)
    assert services["video"].chosen == {"pe1": "a", "c1": "a", "pe2": "b"}
    border.become(EdgeState(services=services))
    assert ends(border.ask(tcp(HOST, 5, "10.204.0.1", 80))) == (HOST, 5, A.address, A.port)
    assert ends(border.answer(tcp(A.address, A.port, HOST, 5))) == ("10.204.0.1", 80, HOST, 5)
    direct = tcp(A.address, A.port, HOST, 6)
    assert border.answer(direct) == direct


def test_a_move_leads_new_connections_and_old_ones_stay(border: Border) -> None:
    services = virtual_services.offer({}, SERVICE, LINE)
    border.become(EdgeState(services=services))
    old, new = tcp(HOST, 5, "10.204.0.1", 80), tcp(HOST, 6, "10.204.0.1", 80)
    border.ask(old)
    services = virtual_services.move(services, "video", "pe1", "b")
    border.become(EdgeState(services=services))
    assert ends(border.ask(old)) == (HOST, 5, A.address, A.port)
    assert ends(border.answer(tcp(A.address, A.port, HOST, 5))) == ("10.204.0.1", 80, HOST, 5)
    assert ends(border.ask(new)) == (HOST, 6, B.address, B.port)
    assert ends(border.answer(tcp(B.address, B.port, HOST, 6))) == ("10.204.0.1", 80, HOST, 6)
    settled = virtual_services.close_old_connections(services, "video")
    assert dict(settled["video"].previous) == {}
    border.become(EdgeState(services=settled))
    answer = tcp(A.address, A.port, HOST, 5)
    assert border.answer(answer) == answer
    border.become(EdgeState(services=virtual_services.withdraw(services, "video")))
    assert border.ask(new) == new


FUNCTION = MobileFunction(
    name="cache", address="10.202.1.20", mac="02:00:00:00:00:20", home_node="n0"
)
FAR = "198.51.100.7"
CONNECTED = connected(2, 5)


class Network:
    """Nodes n0, n1... joined as a graph says, with their borders."""

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
        self.port_maps = {
            node: replace(PLUG, tunnel_ports=ports) for node, ports in tunnel_ports.items()
        }
        self.topology = Topology(
            nodes=tuple(tunnel_ports),
            links=tuple(Link(a=f"n{a}", b=f"n{b}") for a, b in graph.edges),
        )

    def become(self, state: EdgeState) -> None:
        for node, want in compiler.programs(state, self.port_maps).items():
            assert tables.problems(want) == []
            switch = self.net.switches[node]
            switch.apply(diff.diff(switch.program, want))

    def send(self, node: str, port: int, packet: Packet) -> list[tuple[str, int, Packet]]:
        out, _ = self.net.send(Plug(node=node, port=port), packet)
        return [(d.at.node, d.at.port, d.packet) for d in out]


def to_function(mac: str = FUNCTION.mac) -> Packet:
    return {**tcp(FAR, 5, FUNCTION.address, 80), Field.ETH_DST: mac}


def from_function(mac: str = MAC) -> Packet:
    return {**tcp(FUNCTION.address, 80, FAR, 5, mac=FUNCTION.mac), Field.ETH_DST: mac}


@pytest.mark.parametrize("graph", CONNECTED, ids=str)
def test_wherever_it_is_a_function_is_reached_as_if_at_home(graph: nx.Graph) -> None:
    network = Network(graph)
    for place in (f"n{n}" for n in graph.nodes if n):
        bindings = roaming.register({}, FUNCTION, place, network.topology)
        assert roaming.unreachable(bindings, network.port_maps) == {}
        network.become(EdgeState(bindings=bindings))
        for door in (INSIDE, OUTSIDE):
            assert network.send("n0", door, to_function()) == [(place, OUTSIDE, to_function())]
            asked = arp(FAR, FUNCTION.address)
            assert network.send("n0", door, asked) == [(place, OUTSIDE, asked)]
        back = network.send(place, OUTSIDE, from_function())
        assert back == [("n0", INSIDE, from_function())]
        near = from_function(mac=HOST_MAC)
        assert network.send(place, OUTSIDE, near) == [("n0", OUTSIDE, near)]
        said = network.send(place, OUTSIDE, arp(FUNCTION.address, FAR))
        assert sorted((node, port) for node, port, _ in said) == [("n0", OUTSIDE), ("n0", INSIDE)]
        other = tcp("10.202.9.9", 5, FAR, 80)
        assert network.send(place, OUTSIDE, other) == [(place, INSIDE, other)]
    network.become(EdgeState(bindings=roaming.deregister(bindings, "cache")))
    assert network.send("n0", INSIDE, to_function()) == [("n0", OUTSIDE, to_function())]


def test_a_gate_at_the_foreign_node_does_not_hold_a_function_up() -> None:
    network = Network(nx.path_graph(2))
    bindings = roaming.register({}, FUNCTION, "n1", network.topology)
    closed = gates.close(Access(), "n1", Gate(portal=FRONT))
    network.become(EdgeState(bindings=bindings, access=closed))
    assert network.send("n1", OUTSIDE, from_function()) == [("n0", INSIDE, from_function())]
    liar = {**from_function(), Field.ETH_SRC: HOST_MAC}
    assert network.send("n1", OUTSIDE, liar) == []


def test_a_way_follows_the_links() -> None:
    ring = Network(nx.cycle_graph(4))
    bindings = roaming.register({}, FUNCTION, "n1", ring.topology)
    assert roaming.links(bindings) == {("n0", "n1")}
    cut = replace(
        ring.topology, links=tuple(k for k in ring.topology.links if {k.a, k.b} != {"n0", "n1"})
    )
    around = roaming.reroute(bindings, cut)
    assert roaming.links(around) == {("n0", "n3"), ("n2", "n3"), ("n1", "n2")}
    assert roaming.reroute(bindings, replace(cut, links=())) == bindings
    ring.become(EdgeState(bindings=around))
    assert ring.send("n0", INSIDE, to_function()) == [("n1", OUTSIDE, to_function())]
    deaf = {**ring.port_maps, "n2": replace(PLUG, tunnel_ports={})}
    assert roaming.unreachable(around, deaf) == {"cache": "node n2: no port leads to n1"}
    assert roaming.register(bindings, FUNCTION, "n0", ring.topology) == {}


def test_functions_that_cannot_be_away() -> None:
    bindings = roaming.register({}, replace(FUNCTION, home_node="pe1"), "pe2", LINE)
    for wrong in (
        replace(FUNCTION, name="other"),
        replace(FUNCTION, address="cache"),
        replace(FUNCTION, mac="02"),
    ):
        with pytest.raises(InvalidBinding):
            roaming.register(bindings, replace(wrong, home_node="pe1"), "c1", LINE)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 3), st.sampled_from(["a", "b"]), st.booleans()),
        max_size=6,
    )
)
def test_whatever_happens_rules_are_legal_and_doing_nothing_changes_nothing(
    steps: list[tuple[int, int, str, bool]],
) -> None:
    network = Network(nx.cycle_graph(4))
    surrogates = (replace(A, node="n1"), replace(B, node="n2"))
    state = EdgeState(
        services=virtual_services.offer(
            {}, replace(SERVICE, surrogates=surrogates), network.topology
        )
    )
    for place, node, surrogate, gate in steps:
        closed = gates.close(state.access, f"n{node}", Gate(portal=FRONT))
        state = EdgeState(
            access=closed if gate else gates.open_up(state.access, f"n{node}"),
            services=virtual_services.move(state.services, "video", f"n{node}", surrogate),
            bindings=roaming.register(state.bindings, FUNCTION, f"n{place}", network.topology),
        )
        network.become(state)
        want = compiler.programs(state, network.port_maps)
        assert {node: s.program for node, s in network.net.switches.items()} == want
