"""Guests on the overlay: what is for one goes to its port, wherever that is. Pure.

In: the ports of guests that switches have, and where guests are expected. Out: rules, which
compiler.py merges. A guest has an address of its home's network of guests. Away from home its
packets go by the overlay's tunnels, as in roaming.py. While it moves it has two places: what is for
it is copied to both (LIME), and the old way goes with its port.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from umbel.network.model import Pair, Topology, pair
from umbel.network.switching.port_map import GuestPort, PortMap
from umbel.network.switching.program import Action, Field, Match, Output, Rule, SetField
from umbel.network.switching.tables import BORDER, USED, Table
from umbel.network.topology import paths

_IPV4, _ARP = 0x0800, 0x0806
_GATEWAY, _GUEST = USED + 10, USED + 20
"""The priorities of what a guest sends to its gateway, and of what is for a guest."""


@dataclass(frozen=True, kw_only=True)
class GuestRoute:
    """A guest: its address, its home, and the nodes from there to each place where it is."""

    address: str
    home: str
    paths: tuple[tuple[str, ...], ...]

    @property
    def places(self) -> tuple[str, ...]:
        """The nodes where it is."""
        return tuple(path[-1] for path in self.paths)


def places(
    port_maps: Mapping[str, PortMap], expected: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Where guests are, by their addresses: at the nodes whose switches have ports of theirs, and
    where they are `expected`."""
    found: dict[str, set[str]] = defaultdict(set)
    for node, port_map in port_maps.items():
        for address in port_map.guests:
            found[address].add(node)
    for address, node in expected.items():
        found[address].add(node)
    return {address: tuple(sorted(nodes)) for address, nodes in sorted(found.items())}


def routes(
    found: Mapping[str, Sequence[str]], home_of: Callable[[str], str], topology: Topology
) -> tuple[GuestRoute, ...]:
    """The ways to guests over the links there are; none to an address that has no home."""
    from_home: dict[str, dict[str, tuple[str, ...]]] = {}
    made = []
    for address, nodes in found.items():
        home = home_of(address)
        if home not in topology.nodes:
            continue
        if home not in from_home:
            ways = paths.routes(topology, home)
            from_home[home] = {name: route.nodes for name, route in ways.items()}
        reached = tuple(from_home[home][node] for node in nodes if node in from_home[home])
        if reached:
            made.append(GuestRoute(address=address, home=home, paths=reached))
    return tuple(made)


def links(guests: Sequence[GuestRoute]) -> frozenset[Pair]:
    """The links that need tunnels for it."""
    return frozenset(pair(*link) for one in guests for path in one.paths for link in pairwise(path))


def rules(guests: Sequence[GuestRoute], node: str, port_map: PortMap) -> Iterator[Rule]:
    """What leads guests' packets on at a node, as far as its ports are there."""
    for guest in guests:
        if any(node in path for path in guest.paths):
            yield from _rules(_here(guest, node, port_map), port_map)


@dataclass(frozen=True, kw_only=True)
class _Here:
    """A guest as one node has it: the port that leads home (0: this is its home), those that lead
    on to its places, and its own."""

    address: str
    is_home: bool
    back: int
    on: tuple[int, ...]
    port: GuestPort | None


def _here(guest: GuestRoute, node: str, port_map: PortMap) -> _Here:
    on, back = [], 0
    for path in guest.paths:
        if node in path:
            at = path.index(node)
            on += [port_map.tunnel_ports.get(name, 0) for name in path[at + 1 : at + 2]]
            back = port_map.tunnel_ports.get(path[at - 1], 0) if at else 0
    return _Here(
        address=guest.address,
        is_home=node == guest.home,
        back=back,
        on=tuple(sorted({port for port in on if port})),
        port=port_map.guests.get(guest.address) if node in guest.places else None,
    )


def _rules(here: _Here, port_map: PortMap) -> Iterator[Rule]:
    if not here.is_home and not here.back:
        return
    for tunnel in (*here.on, *([here.back] if here.back else ())):
        match: Match = ((Field.IN_PORT, tunnel),)
        yield Rule(table=Table.CLASSIFIER, priority=BORDER, match=match, goto=Table.HOMES)
    if here.port is not None:
        its: Match = ((Field.IN_PORT, here.port.number), (Field.ETH_SRC, here.port.mac))
        yield Rule(table=Table.CLASSIFIER, priority=BORDER, match=its, goto=Table.HOMES)
    yield from _to(here)
    sources = (*here.on, *([here.port.number] if here.port is not None else ()))
    for port in sources:
        yield from _from_home(here, port, port_map) if here.is_home else _back(here, port)


def _to(here: _Here) -> Iterator[Rule]:
    """What is for the guest: at its home from all ports, elsewhere by the port that leads home."""
    came: Match = () if here.is_home else ((Field.IN_PORT, here.back),)
    onward: tuple[Action, ...] = tuple(Output(port=port) for port in here.on)
    for kind, asked in ((_IPV4, Field.IPV4_DST), (_ARP, Field.ARP_TPA)):
        own: tuple[Action, ...] = ()
        if here.port is not None:
            own = (Output(port=here.port.number),)
            if kind == _IPV4:
                own = (SetField(field=Field.ETH_DST, value=here.port.mac), *own)
        if onward or own:
            yield Rule(
                table=Table.HOMES,
                priority=_GUEST,
                match=(*came, (Field.ETH_TYPE, kind), (asked, here.address)),
                actions=(*onward, *own),
            )


def _from_home(here: _Here, port: int, port_map: PortMap) -> Iterator[Rule]:
    """What the guest sends leaves at its home: to the node, its gateway, or to the access
    network."""
    yield _sent(here, port, (port_map.patch_port,))
    to_gateway: Match = (
        (Field.IN_PORT, port),
        (Field.ETH_DST, port_map.local_mac),
        (Field.ETH_TYPE, _IPV4),
        (Field.IPV4_SRC, here.address),
    )
    out = (Output(port=port_map.local_port),)
    yield Rule(table=Table.HOMES, priority=_GATEWAY, match=to_gateway, actions=out)
    yield _sent(here, port, (port_map.patch_port, port_map.local_port), kind=_ARP)


def _back(here: _Here, port: int) -> Iterator[Rule]:
    """What the guest sends goes home."""
    for kind in (_IPV4, _ARP):
        yield _sent(here, port, (here.back,), kind=kind)


def _sent(here: _Here, port: int, out: tuple[int, ...], *, kind: int = _IPV4) -> Rule:
    of = Field.IPV4_SRC if kind == _IPV4 else Field.ARP_SPA
    return Rule(
        table=Table.HOMES,
        priority=USED,
        match=((Field.IN_PORT, port), (Field.ETH_TYPE, kind), (of, here.address)),
        actions=tuple(Output(port=one) for one in out),
    )
