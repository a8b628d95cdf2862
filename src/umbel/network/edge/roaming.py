"""Functions that moved to another node and keep their addresses, as in Mobile IP. Pure (vCDN).

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
from umbel.network.switching.port_map import Plugs
from umbel.network.switching.program import Field, Match, Output, Rule, SetField
from umbel.network.switching.tables import AWAY, BORDER, USED, Table
from umbel.network.topology import paths

_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_IPV4, _ARP = 0x0800, 0x0806
_GATEWAY = USED + 10


class BadStay(Unprocessable):
    """The function cannot be away so."""

    code = "umbel.bad_stay"


class NotAway(NotFound):
    """No function of that name is away from home."""

    code = "umbel.not_away"


@dataclass(frozen=True, kw_only=True)
class Stay:
    """A function away from home: its addresses, and the nodes from home to where it is."""

    name: str
    address: str
    mac: str
    way: tuple[str, ...]

    @property
    def home(self) -> str:
        """The node in whose access network its address is."""
        return self.way[0]

    @property
    def place(self) -> str:
        """The node in whose access network it is now."""
        return self.way[-1]


Stays = Mapping[str, Stay]
"""By the functions' names."""


@dataclass(frozen=True, kw_only=True)
class Mobile:
    """A function that may move: its addresses and its home."""

    name: str
    address: str
    mac: str
    home: str


def depart(stays: Stays, function: Mobile, place: str, topology: Topology) -> Stays:
    """The function is at another node now; from there it may go on to a third, or home. Raises
    BadStay, NotInTopology, NoPath."""
    others = {name: stay for name, stay in stays.items() if name != function.name}
    if place == function.home:
        return others
    problems = [*_wrong(others, function)]
    if problems:
        raise BadStay(f"{function.name}: {'; '.join(problems)}", problems=problems)
    stay = Stay(
        name=function.name,
        address=function.address,
        mac=function.mac.lower(),
        way=paths.shortest(topology, function.home, place).nodes,
    )
    return {**others, function.name: stay}


def find(stays: Stays, name: str) -> Stay:
    """Raises NotAway."""
    if name not in stays:
        raise NotAway(function=name)
    return stays[name]


def come_home(stays: Stays, name: str) -> Stays:
    """The function is at home again. One that is not away is no error."""
    return {other: stay for other, stay in stays.items() if other != name}


def reroute(stays: Stays, topology: Topology) -> Stays:
    """The ways over the links there are now; who cannot be reached keeps the way there was."""
    found = {}
    for name, stay in stays.items():
        is_there = stay.home in topology.nodes
        way = paths.ways(topology, stay.home).get(stay.place) if is_there else None
        found[name] = Stay(
            name=name,
            address=stay.address,
            mac=stay.mac,
            way=way.nodes if way else stay.way,
        )
    return found


def links(stays: Stays) -> frozenset[tuple[str, str]]:
    """The links that need tunnels for it, in name order."""
    return frozenset(
        (min(pair), max(pair)) for stay in stays.values() for pair in pairwise(stay.way)
    )


def unplugged(stays: Stays, plugs: Mapping[str, Plugs]) -> dict[str, str]:
    """The functions that cannot be reached away, each with the first tunnel that is not there."""
    found: dict[str, str] = {}
    for name, stay in stays.items():
        for here, there in (*pairwise(stay.way), *pairwise(stay.way[::-1])):
            if there not in plugs.get(here, Plugs()).toward:
                found.setdefault(name, f"node {here}: no port leads to {there}")
    return found


def rules(stays: Stays, node: str, plug: Plugs) -> Iterator[Rule]:
    """What leads functions' packets on at a node, as far as its tunnels are there."""
    for stay in stays.values():
        if node not in stay.way:
            continue
        at = stay.way.index(node)
        near = [stay.way[i] for i in (at - 1, at + 1) if 0 <= i < len(stay.way)]
        if any(name not in plug.toward for name in near):
            continue
        yield from (_enter(plug.toward[name]) for name in near)
        if node == stay.home:
            yield from _home(stay, plug, plug.toward[stay.way[1]])
        elif node == stay.place:
            yield from _foreign(stay, plug, plug.toward[stay.way[-2]])
        else:
            back, on = (plug.toward[name] for name in near)
            yield from _to(stay, back, (on,))
            yield from _from(stay, on, (back,))


def _home(stay: Stay, plug: Plugs, tunnel: int) -> Iterator[Rule]:
    """The home agent."""
    for port in (plug.inside, plug.outside):
        yield from _to(stay, port, (tunnel,))
    yield from _from(stay, tunnel, (plug.outside,), arp=(plug.outside, plug.inside))
    to_gateway: Match = (
        (Field.IN_PORT, tunnel),
        (Field.ETH_DST, plug.inside_mac),
        (Field.ETH_TYPE, _IPV4),
        (Field.IPV4_SRC, stay.address),
    )
    yield Rule(
        table=Table.HOMES,
        priority=_GATEWAY,
        match=to_gateway,
        actions=(Output(port=plug.inside),),
    )


def _foreign(stay: Stay, plug: Plugs, tunnel: int) -> Iterator[Rule]:
    """The foreign agent."""
    yield from _to(stay, tunnel, (plug.outside,), mac=stay.mac)
    yield from _from(stay, plug.outside, (tunnel,))
    away: Match = (
        (Field.IN_PORT, plug.outside),
        (Field.ETH_SRC, stay.mac),
        (Field.ETH_TYPE, _IPV4),
        (Field.IPV4_SRC, stay.address),
    )
    yield Rule(table=Table.CLASSIFIER, priority=AWAY, match=away, goto=Table.HOMES)


def _enter(tunnel: int) -> Rule:
    match: Match = ((Field.IN_PORT, tunnel),)
    return Rule(table=Table.CLASSIFIER, priority=BORDER, match=match, goto=Table.HOMES)


def _to(stay: Stay, port: int, out: tuple[int, ...], mac: str = "") -> Iterator[Rule]:
    """Packets for the function that come in by a port."""
    rewrite = (SetField(field=Field.ETH_DST, value=mac),) if mac else ()
    for kind, asked in ((_IPV4, Field.IPV4_DST), (_ARP, Field.ARP_TPA)):
        actions = (*(rewrite if kind == _IPV4 else ()), *(Output(port=p) for p in out))
        yield Rule(
            table=Table.HOMES,
            priority=USED,
            match=((Field.IN_PORT, port), (Field.ETH_TYPE, kind), (asked, stay.address)),
            actions=actions,
        )


def _from(stay: Stay, port: int, out: tuple[int, ...], arp: tuple[int, ...] = ()) -> Iterator[Rule]:
    """Packets of the function that come in by a port."""
    for kind, asked, ports in (
        (_IPV4, Field.IPV4_SRC, out),
        (_ARP, Field.ARP_SPA, arp or out),
    ):
        yield Rule(
            table=Table.HOMES,
            priority=USED,
            match=((Field.IN_PORT, port), (Field.ETH_TYPE, kind), (asked, stay.address)),
            actions=tuple(Output(port=p) for p in ports),
        )


def _wrong(others: Stays, function: Mobile) -> Iterator[str]:
    try:
        ipaddress.IPv4Address(function.address)
    except ValueError:
        yield f"{function.address!r} is no IPv4 address"
    if not _MAC.fullmatch(function.mac.lower()):
        yield f"{function.mac!r} is no Ethernet address"
    for stay in others.values():
        if stay.address == function.address:
            yield f"{stay.name} has {stay.address} already"
