"""Virtual service addresses, and which surrogate returns each node's clients. Pure (vCDN).

In: services, the surrogates there are, the topology; moves. Out: values that compiler.py turns into
rules. Switches track connections: one that began with a surrogate stays with it after a move, and
is answered as before until the surrogate is gone; new ones go to the new one.
"""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from umbel.kit.errors import Conflict, NotFound, Unprocessable
from umbel.network.model import Topology
from umbel.network.switching.program import Field, Match, Rule, Translate
from umbel.network.switching.tables import USED, Table
from umbel.network.topology import paths

SERVICES = ipaddress.IPv4Network("10.204.0.0/16")
"""Where virtual service addresses are."""

_IPV4 = 0x0800


class InvalidService(Unprocessable):
    """The service's address, port or surrogates cannot be used."""

    code = "umbel.invalid_service"


class NoSuchService(NotFound):
    """There is no virtual service with that name."""

    code = "umbel.no_such_service"


class NoSuchSurrogate(Conflict):
    """The service has no surrogate with that name."""

    code = "umbel.no_such_surrogate"


class Proto(IntEnum):
    """What a service speaks, by its number in IP packets."""

    TCP = 6
    UDP = 17


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """A function that can answer for a service: on which node, at which address and port."""

    name: str
    node: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class VirtualService:
    """A virtual address and port, who can answer there, and who does for each node's clients.
    `pinned` nodes keep their choice when others would be nearer. `previous` are those that may have
    connections still, by node."""

    name: str
    address: str
    port: int
    proto: Proto = Proto.TCP
    surrogates: tuple[Surrogate, ...] = ()
    chosen: Mapping[str, str] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()
    previous: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def surrogate(self, name: str) -> Surrogate:
        """Raises NoSuchSurrogate."""
        for surrogate in self.surrogates:
            if surrogate.name == name:
                return surrogate
        raise NoSuchSurrogate(
            f"{self.name} has no surrogate {name}", service=self.name, surrogate=name
        )


Services = Mapping[str, VirtualService]
"""By their names."""


def offer(services: Services, service: VirtualService, topology: Topology) -> Services:
    """The service with these surrogates: each node's clients are answered by the one chosen for
    them as long as it is there, then by the nearest. Without an address it keeps what it had, or
    gets a free one. Raises InvalidService."""
    before = services.get(service.name)
    if not service.address:
        address = before.address if before else free_address(services)
        service = replace(service, address=address)
    _check(services, service, topology)
    return {**services, service.name: _assign(service, before or service, topology)}


def follow(services: Services, topology: Topology) -> Services:
    """The services over the nodes and links there are now: surrogates go with their nodes, and
    each node's clients are answered as `offer` would have it."""
    return {
        name: _assign(
            replace(
                service,
                surrogates=tuple(s for s in service.surrogates if s.node in topology.nodes),
            ),
            service,
            topology,
        )
        for name, service in services.items()
    }


def _assign(service: VirtualService, before: VirtualService, topology: Topology) -> VirtualService:
    """The service with a surrogate for each node: the pinned one, or the nearest."""
    known = {surrogate.name for surrogate in service.surrogates}
    kept = before.chosen
    pinned = frozenset(n for n in before.pinned if kept[n] in known and n in topology.nodes)
    chosen = {**nearest(service.surrogates, topology), **{node: kept[node] for node in pinned}}
    previous = dict(before.previous)
    for node, name in kept.items():
        if chosen.get(node) != name:
            previous[node] = previous.get(node, frozenset()) | {name}
    return replace(service, chosen=chosen, pinned=pinned, previous=_known(previous, known))


def move(services: Services, name: str, node: str, surrogate: str) -> Services:
    """New connections of the node's clients go to another surrogate; those that there are stay
    with theirs. Raises NoSuchService, NoSuchSurrogate."""
    service = find(services, name)
    service.surrogate(surrogate)
    before = service.chosen.get(node)
    previous = dict(service.previous)
    if before is not None and before != surrogate:
        previous[node] = previous.get(node, frozenset()) | {before}
    if node in previous:
        previous[node] = previous[node] - {surrogate}
    pinned = replace(
        service,
        chosen={**service.chosen, node: surrogate},
        pinned=service.pinned | {node},
        previous=previous,
    )
    return {**services, name: pinned}


def close_old_connections(services: Services, name: str) -> Services:
    """Returns of surrogates that were left are translated no longer: their connections end. Raises
    NoSuchService."""
    return {**services, name: replace(find(services, name), previous={})}


def find(services: Services, name: str) -> VirtualService:
    """Raises NoSuchService."""
    if name not in services:
        raise NoSuchService(f"There is no service {name}", service=name)
    return services[name]


def free_address(services: Services) -> str:
    """The first that no service has. Raises InvalidService when all are taken."""
    taken = {service.address for service in services.values()}
    for address in SERVICES.hosts():
        if str(address) not in taken:
            return str(address)
    raise InvalidService(f"All addresses of {SERVICES} are taken")


def withdraw(services: Services, name: str) -> Services:
    """There is no such service any more. An unknown one is not an error."""
    return {other: service for other, service in services.items() if other != name}


def nearest(surrogates: Sequence[Surrogate], topology: Topology) -> dict[str, str]:
    """For each node that a surrogate can be reached from, the name of the nearest one (see
    paths.py); of several the first by name."""
    found: dict[str, tuple[int, float, str]] = {}
    for surrogate in sorted(surrogates, key=lambda s: s.name):
        for node, way in paths.routes(topology, surrogate.node).items():
            here = (way.hops, way.delay_ms, surrogate.name)
            found[node] = min(here, found.get(node, here))
    return {node: name for node, (_, _, name) in found.items()}


def rules(services: Services, node: str, patch_port: int) -> Iterator[Rule]:
    """What leads a node's clients to surrogates; `outside` is its patch port."""
    for service in services.values():
        chosen = service.chosen.get(node)
        if chosen is None:
            continue
        surrogate = service.surrogate(chosen)
        where = Field.TCP_DST if service.proto is Proto.TCP else Field.UDP_DST
        match: Match = (
            (Field.IN_PORT, patch_port),
            (Field.ETH_TYPE, _IPV4),
            (Field.IP_PROTO, int(service.proto)),
            (Field.IPV4_DST, service.address),
            (where, service.port),
        )
        there = Translate(table=Table.HOMES, address=surrogate.address, port=surrogate.port)
        yield Rule(table=Table.SERVICES, priority=USED, match=match, actions=(there,))


def answering(services: Services, node: str) -> Iterator[tuple[Proto, str, int]]:
    """The servers whose answers to a node's clients are to be translated back."""
    for service in services.values():
        names = {*service.previous.get(node, ()), service.chosen.get(node)}
        for surrogate in service.surrogates:
            if surrogate.name in names:
                yield service.proto, surrogate.address, surrogate.port


def _check(services: Services, service: VirtualService, topology: Topology) -> None:
    problems = [*_wrong(service)]
    strange = (s for s in service.surrogates if s.node not in topology.nodes)
    problems += [f"{s.name} is at {s.node}, which is no node" for s in strange]
    for other in services.values():
        same = (other.address, other.port, other.proto) == (
            *(service.address, service.port, service.proto),
        )
        if same and other.name != service.name:
            problems.append(f"{other.name} has {service.address}:{service.port} already")
    if problems:
        raise InvalidService(f"{service.name}: {'; '.join(problems)}", problems=problems)


def _wrong(service: VirtualService) -> Iterator[str]:
    if not _within(service.address):
        yield f"{service.address} is not in {SERVICES}"
    names = [surrogate.name for surrogate in service.surrogates]
    yield from (f"several surrogates {n}" for n in sorted(set(names)) if names.count(n) > 1)
    for title, port in [("it", service.port), *((s.name, s.port) for s in service.surrogates)]:
        if not 1 <= port <= 0xFFFF:
            yield f"{title} has the port {port}"
    for surrogate in service.surrogates:
        if not _is_address(surrogate.address):
            yield f"{surrogate.name} has the address {surrogate.address!r}"


def _within(text: str) -> bool:
    return _is_address(text) and ipaddress.IPv4Address(text) in SERVICES


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def _known(previous: Mapping[str, frozenset[str]], names: set[str]) -> dict[str, frozenset[str]]:
    return {node: some & names for node, some in previous.items() if some & names}
