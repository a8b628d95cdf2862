"""What passes between a node, its access network and functions away from it: rules. Pure.

In: who may pass (gates.py), who answers virtual addresses (virtual_services.py), who is away from
home (roaming.py), and how switches are plugged. Out: programs that are merged with those of streams
(overlay/compiler.py), which go first: what is for a stream's address never crosses a border.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from umbel.network.edge import gates as access
from umbel.network.edge import roaming, virtual_services
from umbel.network.edge.gates import Access
from umbel.network.edge.roaming import Stays
from umbel.network.edge.virtual_services import Proto, Services
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.program import Field, Match, Output, Program, Rule, Translate
from umbel.network.switching.tables import BORDER, SUNK, USED, Table

STREAMS = "10.203.0.0/16"
"""Where streams are sent: they swim along their paths or sink."""

_IPV4 = 0x0800
_REST = 10


@dataclass(frozen=True, kw_only=True)
class Borders:
    """All borders of the network."""

    access: Access = field(default_factory=Access)
    services: Services = field(default_factory=dict)
    stays: Stays = field(default_factory=dict)


def programs(borders: Borders, plugs: Mapping[str, Plugs]) -> dict[str, Program]:
    """What each plugged switch is to hold besides streams' rules."""
    return {
        node: Program(rules=frozenset(_rules(borders, node, plug)))
        for node, plug in plugs.items()
        if plug.outside and plug.inside
    }


def _rules(borders: Borders, node: str, plug: Plugs) -> Iterator[Rule]:
    yield from _classified(plug)
    yield from access.rules(borders.access, node, plug.outside)
    yield from virtual_services.rules(borders.services, node, plug.outside)
    for proto, address, port in _answering(borders, node):
        yield _answer(plug.inside, proto, address, port)
    yield Rule(table=Table.SERVICES, priority=_REST, goto=Table.HOMES)
    yield from roaming.rules(borders.stays, node, plug)
    yield _cross(plug.outside, plug.inside)
    yield _cross(plug.inside, plug.outside)


def _classified(plug: Plugs) -> Iterator[Rule]:
    stream: Match = ((Field.ETH_TYPE, _IPV4), (Field.IPV4_DST, STREAMS))
    yield Rule(table=Table.CLASSIFIER, priority=SUNK, match=stream)
    for port, goto in ((plug.outside, Table.ACCESS), (plug.inside, Table.SERVICES)):
        match: Match = ((Field.IN_PORT, port),)
        yield Rule(table=Table.CLASSIFIER, priority=BORDER, match=match, goto=goto)


def _answering(borders: Borders, node: str) -> set[tuple[Proto, str, int]]:
    """Each server once, however many services it answers for."""
    gates = access.answering(borders.access, node)
    fronts = {(Proto.TCP, door.address, door.port) for door in gates}
    return fronts | set(virtual_services.answering(borders.services, node))


def _answer(inside: int, proto: Proto, address: str, port: int) -> Rule:
    where = Field.TCP_SRC if proto is Proto.TCP else Field.UDP_SRC
    match: Match = (
        (Field.IN_PORT, inside),
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
