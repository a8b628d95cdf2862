"""Functions that moved to another node and keep their addresses, as in Mobile IP (vCDN). Pure.

In: where a function's home is and where it went, the topology. Out: values that compiler.py turns
into rules. The home agent and the foreign agent are rules of the two nodes' switches: what is for
the function goes there by the overlay's tunnels, what it sends comes back by them and leaves as if
it were at home (RFC 5944 with reverse tunnels, RFC 3024). The function knows nothing of it.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from umbel.kit.errors import NotFound, Unprocessable
from umbel.network.model import Topology
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.program import Field, Match, Output, Rule, SetField
from umbel.network.switching.tables import AWAY, BORDER, USED, Table
from umbel.network.topology import paths

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_IPV4, _ARP = 0x0800, 0x0806
_GATEWAY = USED + 10


class InvalidBinding(Unprocessable):
    """The function cannot be relocated with these addresses."""

    code = "umbel.invalid_binding"


class NotRegistered(NotFound):
    """No function with that name is registered at another node."""

    code = "umbel.not_registered"


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A function away from home: its addresses, and the nodes from home to where it is."""

    name: str
    address: str
    mac: str
    path: tuple[str, ...]

    @property
    def home_node(self) -> str:
        """The node in whose access network its address is."""
        return self.path[0]

    @property
    def foreign_node(self) -> str:
        """The node in whose access network it is now."""
        return self.path[-1]


Bindings = Mapping[str, Binding]
"""By the functions' names."""


@dataclass(frozen=True, kw_only=True)
class MobileFunction:
    """A function that may move: its addresses and its home."""

    name: str
    address: str
    mac: str
    home_node: str


def register(
    bindings: Bindings, function: MobileFunction, foreign_node: str, topology: Topology
) -> Bindings:
    """The function is at another node now; from there it may go on to a third, or home. Raises
    InvalidBinding, NotInTopology, NoPath."""
    others = {name: binding for name, binding in bindings.items() if name != function.name}
    if foreign_node == function.home_node:
        return others
    problems = [*_wrong(others, function)]
    if problems:
        raise InvalidBinding(f"{function.name}: {'; '.join(problems)}", problems=problems)
    binding = Binding(
        name=function.name,
        address=function.address,
        mac=function.mac.lower(),
        path=paths.shortest(topology, function.home_node, foreign_node).nodes,
    )
    return {**others, function.name: binding}


def find(bindings: Bindings, name: str) -> Binding:
    """Raises NotRegistered."""
    if name not in bindings:
        raise NotRegistered(function=name)
    return bindings[name]


def deregister(bindings: Bindings, name: str) -> Bindings:
    """Deregister the function: it is at its home node again. One that is not away is not an
    error."""
    return {other: binding for other, binding in bindings.items() if other != name}


def reroute(bindings: Bindings, topology: Topology) -> Bindings:
    """The ways over the links there are now; who cannot be reached keeps the way there was."""
    found = {}
    for name, binding in bindings.items():
        is_there = binding.home_node in topology.nodes
        path = (
            paths.routes(topology, binding.home_node).get(binding.foreign_node)
            if is_there
            else None
        )
        found[name] = Binding(
            name=name,
            address=binding.address,
            mac=binding.mac,
            path=path.nodes if path else binding.path,
        )
    return found


def links(bindings: Bindings) -> frozenset[tuple[str, str]]:
    """The links that need tunnels for it, in name order."""
    return frozenset(
        (min(pair), max(pair)) for binding in bindings.values() for pair in pairwise(binding.path)
    )


def unreachable(bindings: Bindings, port_maps: Mapping[str, PortMap]) -> dict[str, str]:
    """The functions that cannot be reached away, each with the first tunnel that is not there."""
    found: dict[str, str] = {}
    for name, binding in bindings.items():
        for here, there in (*pairwise(binding.path), *pairwise(binding.path[::-1])):
            if there not in port_maps.get(here, PortMap()).tunnel_ports:
                found.setdefault(name, f"node {here}: no port leads to {there}")
    return found


def rules(bindings: Bindings, node: str, port_map: PortMap) -> Iterator[Rule]:
    """What leads functions' packets on at a node, as far as its tunnels are there."""
    for binding in bindings.values():
        if node not in binding.path:
            continue
        at = binding.path.index(node)
        near = [binding.path[i] for i in (at - 1, at + 1) if 0 <= i < len(binding.path)]
        if any(name not in port_map.tunnel_ports for name in near):
            continue
        yield from (_enter(port_map.tunnel_ports[name]) for name in near)
        if node == binding.home_node:
            yield from _home(binding, port_map, port_map.tunnel_ports[binding.path[1]])
        elif node == binding.foreign_node:
            yield from _foreign(binding, port_map, port_map.tunnel_ports[binding.path[-2]])
        else:
            back, on = (port_map.tunnel_ports[name] for name in near)
            yield from _to(binding, back, (on,))
            yield from _from(binding, on, (back,))


def _home(binding: Binding, port_map: PortMap, tunnel: int) -> Iterator[Rule]:
    """The home agent."""
    for port in (port_map.local_port, port_map.patch_port):
        yield from _to(binding, port, (tunnel,))
    yield from _from(
        binding, tunnel, (port_map.patch_port,), arp=(port_map.patch_port, port_map.local_port)
    )
    to_gateway: Match = (
        (Field.IN_PORT, tunnel),
        (Field.ETH_DST, port_map.local_mac),
        (Field.ETH_TYPE, _IPV4),
        (Field.IPV4_SRC, binding.address),
    )
    yield Rule(
        table=Table.HOMES,
        priority=_GATEWAY,
        match=to_gateway,
        actions=(Output(port=port_map.local_port),),
    )


def _foreign(binding: Binding, port_map: PortMap, tunnel: int) -> Iterator[Rule]:
    """The foreign agent."""
    yield from _to(binding, tunnel, (port_map.patch_port,), mac=binding.mac)
    yield from _from(binding, port_map.patch_port, (tunnel,))
    away: Match = (
        (Field.IN_PORT, port_map.patch_port),
        (Field.ETH_SRC, binding.mac),
        (Field.ETH_TYPE, _IPV4),
        (Field.IPV4_SRC, binding.address),
    )
    yield Rule(table=Table.CLASSIFIER, priority=AWAY, match=away, goto=Table.HOMES)


def _enter(tunnel: int) -> Rule:
    match: Match = ((Field.IN_PORT, tunnel),)
    return Rule(table=Table.CLASSIFIER, priority=BORDER, match=match, goto=Table.HOMES)


def _to(binding: Binding, port: int, out: tuple[int, ...], mac: str = "") -> Iterator[Rule]:
    """Packets for the function that come in by a port."""
    rewrite = (SetField(field=Field.ETH_DST, value=mac),) if mac else ()
    for kind, asked in ((_IPV4, Field.IPV4_DST), (_ARP, Field.ARP_TPA)):
        actions = (*(rewrite if kind == _IPV4 else ()), *(Output(port=p) for p in out))
        yield Rule(
            table=Table.HOMES,
            priority=USED,
            match=((Field.IN_PORT, port), (Field.ETH_TYPE, kind), (asked, binding.address)),
            actions=actions,
        )


def _from(
    binding: Binding, port: int, out: tuple[int, ...], arp: tuple[int, ...] = ()
) -> Iterator[Rule]:
    """Packets of the function that come in by a port."""
    for kind, asked, ports in (
        (_IPV4, Field.IPV4_SRC, out),
        (_ARP, Field.ARP_SPA, arp or out),
    ):
        yield Rule(
            table=Table.HOMES,
            priority=USED,
            match=((Field.IN_PORT, port), (Field.ETH_TYPE, kind), (asked, binding.address)),
            actions=tuple(Output(port=p) for p in ports),
        )


def _wrong(others: Bindings, function: MobileFunction) -> Iterator[str]:
    try:
        ipaddress.IPv4Address(function.address)
    except ValueError:
        yield f"{function.address!r} is no IPv4 address"
    if not _MAC.fullmatch(function.mac.lower()):
        yield f"{function.mac!r} is no Ethernet address"
    for binding in others.values():
        if binding.address == function.address:
            yield f"{binding.name} has {binding.address} already"
