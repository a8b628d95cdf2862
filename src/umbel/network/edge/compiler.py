"""What passes between a node, its access network and functions away from it: rules. Pure.

In: who may pass (gates.py), who answers virtual addresses (virtual_services.py), who is away from
home (roaming.py), where guests are (guest_routes.py), and how switches are plugged. Out: programs
that are merged with those of streams (overlay/compiler.py), which go first: what is for a stream's
address never crosses a border.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from umbel.network.edge import gates as access
from umbel.network.edge import guest_routes, roaming, virtual_services
from umbel.network.edge.gates import Access
from umbel.network.edge.guest_routes import GuestRoute
from umbel.network.edge.roaming import Bindings
from umbel.network.edge.virtual_services import Proto, Services
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Field, Match, Output, Program, Rule, Translate
from umbel.network.switching.tables import BORDER, SUNK, USED, Table

STREAMS = "10.203.0.0/16"
"""Where streams are sent: along their paths, or nowhere."""

_IPV4 = 0x0800
_REST = 10


@dataclass(frozen=True, kw_only=True)
class EdgeState:
    """All borders of the network. `guests` is seen, the rest is asked for and kept."""

    access: Access = field(default_factory=Access)
    services: Services = field(default_factory=dict)
    bindings: Bindings = field(default_factory=dict)
    guests: tuple[GuestRoute, ...] = ()


def programs(edge: EdgeState, port_maps: Mapping[str, PortMap]) -> dict[str, Program]:
    """What each plugged switch is to hold in addition to streams' rules."""
    return {
        node: Program(rules=frozenset(_rules(edge, node, port_map)))
        for node, port_map in port_maps.items()
        if port_map.patch_port and port_map.local_port
    }


def _rules(edge: EdgeState, node: str, port_map: PortMap) -> Iterator[Rule]:
    yield from _classified(port_map)
    yield from access.rules(edge.access, node, port_map.patch_port)
    yield from virtual_services.rules(edge.services, node, port_map.patch_port)
    for proto, address, port in _answering(edge, node):
        yield _answer(port_map.local_port, proto, address, port)
    yield Rule(table=Table.SERVICES, priority=_REST, goto=Table.HOMES)
    yield from roaming.rules(edge.bindings, node, port_map)
    yield from guest_routes.rules(edge.guests, node, port_map)
    yield _cross(port_map.patch_port, port_map.local_port)
    yield _cross(port_map.local_port, port_map.patch_port)


def _classified(port_map: PortMap) -> Iterator[Rule]:
    stream: Match = ((Field.ETH_TYPE, _IPV4), (Field.IPV4_DST, STREAMS))
    yield Rule(table=Table.CLASSIFIER, priority=SUNK, match=stream)
    for port, goto in ((port_map.patch_port, Table.ACCESS), (port_map.local_port, Table.SERVICES)):
        match: Match = ((Field.IN_PORT, port),)
        yield Rule(table=Table.CLASSIFIER, priority=BORDER, match=match, goto=goto)


def _answering(edge: EdgeState, node: str) -> set[tuple[Proto, str, int]]:
    """Each server once, however many services it answers for."""
    gates = access.answering(edge.access, node)
    fronts = {(Proto.TCP, server.address, server.port) for server in gates}
    return fronts | set(virtual_services.answering(edge.services, node))


def _answer(local_port: int, proto: Proto, address: str, port: int) -> Rule:
    where = Field.TCP_SRC if proto is Proto.TCP else Field.UDP_SRC
    match: Match = (
        (Field.IN_PORT, local_port),
        (Field.ETH_TYPE, _IPV4),
        (Field.IP_PROTO, int(proto)),
        (Field.IPV4_SRC, address),
        (where, port),
    )
    back = Translate(table=Table.HOMES)
    return Rule(table=Table.SERVICES, priority=USED, match=match, actions=(back,))


def _cross(port: int, other: int) -> Rule:
    match: Match = ((Field.IN_PORT, port),)
    return Rule(table=Table.HOMES, priority=_REST, match=match, actions=(Output(port=other),))
