"""What a testbed is made of: a network document in, devices, addresses and names out. Pure.

build.py makes it. Everything has the testbed's name in it or lives in a namespace that has, so
that two never meet and nothing stays behind. Addresses: management 10.K.0.0/16, K the testbed's
own; the rest lives in namespaces only and is the same in all: links 10.201.0.0/16, access networks
10.202.N.0/24, streams 10.203.0.0/16, foreign ground 10.205.0.0/16.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from umbel.compute.hypervisors.document import inspect as inspect_hypervisors
from umbel.compute.hypervisors.document import part as describe_hypervisors
from umbel.compute.hypervisors.model import HYPERVISORS_POOL, Hypervisor
from umbel.compute.model import Node, VimKind
from umbel.compute.service import inspect_nodes, node_entry
from umbel.kit.errors import Invalid
from umbel.network.documents import (
    FIRST_DATAPATH,
    TERMS,
    BadNetwork,
    Grade,
    Site,
    Sites,
    Terms,
    cable_bridge,
    crossing_cable,
    describe_sites,
    inspect_terms,
    inspect_topology,
    link_entry,
)
from umbel.network.model import Host, Link, Topology

OVSDB_PORT = 6640
OCTETS = range(96, 128)
MOST_NODES = 254
LINK_MTU = 1600
"""An access network's frame of 1500 bytes with a tunnel's headers around it."""

_LINKS = IPv4Network("10.201.0.0/16")
_OUTER = IPv4Network("10.205.0.0/16")
_FIRST_CROSSING = 51_820
_FIRST_HOST = 10
_GUESTS, _GUESTS_GATEWAY = (10, 99), 254
_MOST_HOSTS = 200
_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")


class BadTestbedName(Invalid):
    """A testbed's name must be a small letter, then up to nine small letters or digits."""

    code = "umbel.bad_testbed_name"


@dataclass(frozen=True, kw_only=True)
class Cable:
    """A node's end of a link to neighbour number `number`, which may send `mbps` Mbit/s.

    `bridge` is what the switch will have there, with the underlay `address` (and prefix length);
    `device` the switch's port. From there packets go by the kernel's own bridge to the wire:
    device - back, hop, wire. So they wait at a device that is not the switch's.

    Where the link crosses foreign ground, the wire has the `outer` address, and there is nothing
    between it and the bridge: the caller that makes the tunnel through it makes that.
    """

    neighbour: str
    number: int
    bridge: str
    address: str
    mbps: float
    outer: str = ""

    @property
    def device(self) -> str:
        """The switch's port."""
        return f"link{self.number}"

    @property
    def back(self) -> str:
        """The other end of `device`, in the same namespace."""
        return f"back{self.number}"

    @property
    def hop(self) -> str:
        """The kernel's bridge between `back` and `wire`."""
        return f"hop{self.number}"

    @property
    def wire(self) -> str:
        """The device whose other end is at the neighbour; it keeps to the link's rate."""
        return f"wire{self.number}"


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """A node. `management` is its address; `outer` the root namespace's end of its `mgmt0`;
    `hosts` the devices that lead to hosts, with each host's Ethernet address and own address. Its
    guests, if it is a hypervisor, have addresses of the management network that begin with
    `guest_prefix`: clients that reach the node reach them."""

    number: int
    node: Node
    namespace: str
    management: str
    outer: str
    site: Site
    cables: tuple[Cable, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def guest_prefix(self) -> str:
        """The first three numbers of its guests' addresses."""
        return self.management.rpartition(".")[0]

    @property
    def guest_numbers(self) -> tuple[int, int]:
        """The last number of the first guest's address, and of the last one's."""
        return _GUESTS


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """A host. `device` is the node's end of its cable, `address` has the prefix length."""

    name: str
    node: str
    namespace: str
    device: str
    mac: str
    address: str
    gateway: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A testbed. `octet` is its K, `terms` what slices have there. It `has_guests`: its nodes are
    hypervisors."""

    name: str
    octet: int
    nodes: tuple[NodePlan, ...]
    hosts: tuple[HostPlan, ...]
    links: tuple[Link, ...]
    default_access: str = ""
    terms: Mapping[Grade, Terms] = field(default_factory=lambda: TERMS)
    pools: Mapping[str, VimKind] = field(default_factory=dict)
    has_guests: bool = False

    @property
    def bridge(self) -> str:
        """The management network's bridge in the root namespace."""
        return f"{self.name}-mgmt"

    @property
    def controller(self) -> str:
        """The root namespace's address in the management network."""
        return f"10.{self.octet}.0.1"

    def hosts_of(self, node: str) -> tuple[HostPlan, ...]:
        """Those on a node's access network."""
        return tuple(host for host in self.hosts if host.node == node)


def check_name(name: str) -> str:
    """The name. Raises BadTestbedName: device names have room for no longer, and a hyphen would let
    one testbed's names begin like another's."""
    if not _NAME.fullmatch(name):
        raise BadTestbedName(f"{name!r}: {(BadTestbedName.__doc__ or '').strip()}", name=name)
    return name


@dataclass(frozen=True, kw_only=True)
class GuestSettings:
    """Whether nodes are hypervisors, and at which of them functions stay processes all the same:
    what needs GStreamer does not run in guests."""

    wanted: bool = False
    processes_at: tuple[str, ...] = ()


def plan(document: object, name: str, octet: int, guests: GuestSettings = GuestSettings()) -> Plan:
    """The testbed of a network document; its nodes are hypervisors where `guests` are wanted, or
    the document has them. Raises BadNetwork with every problem in `problems`, BadTestbedName."""
    check_name(name)
    nodes, wrong_nodes = inspect_nodes(document)
    found, wrong_links = inspect_topology(document)
    terms, wrong_terms = inspect_terms(document)
    named, wrong_guests = inspect_hypervisors(document)
    wrong_guests += [
        f"--processes-at {node}: unknown node"
        for node in guests.processes_at
        if node not in found.nodes
    ]
    wrong = (*wrong_nodes, *wrong_links, *wrong_terms, *wrong_guests, *_too_many(found))
    problems = list(dict.fromkeys(wrong))
    if problems:
        raise BadNetwork(f"The network file has {len(problems)} problem(s)", problems=problems)
    numbers = {node.name: number for number, node in enumerate(nodes.nodes, start=1)}
    has_guests, pools = guests.wanted or bool(named), dict(nodes.pools)
    pools |= {HYPERVISORS_POOL: VimKind.LIBVIRT} if has_guests else {}
    hosts = tuple(_hosts(found.hosts, numbers, name))
    cables = _cables(found.links, numbers)
    return Plan(
        name=name,
        octet=octet,
        nodes=tuple(
            _node(
                _placed(node, f"10.{octet}.{number}", guests),
                number,
                name,
                cables,
                hosts,
                has_guests=has_guests,
            )
            for number, node in enumerate(nodes.nodes, start=1)
        ),
        hosts=hosts,
        links=found.links,
        default_access=nodes.default_access,
        terms=terms,
        pools=pools,
        has_guests=has_guests,
    )


def sites(testbed: Plan) -> Sites:
    """Its switches."""
    return Sites(
        sites=tuple(node.site for node in testbed.nodes),
        controller=testbed.controller,
        namespaces=testbed.name,
    )


def document(testbed: Plan, hypervisors: Iterable[Hypervisor] = ()) -> dict[str, object]:
    """The sites file of a testbed: a network document whose nodes have their addresses there, and
    their switches and hypervisors."""
    access = {"default_access": testbed.default_access} if testbed.default_access else {}
    return {
        **access,
        "nodes": [node_entry(plan.node) for plan in testbed.nodes],
        "pools": {name: kind.value for name, kind in testbed.pools.items()},
        "links": [link_entry(link) for link in testbed.links],
        "hosts": [{"name": host.name, "node": host.node} for host in testbed.hosts],
        "slices": {
            grade.value: {"min_mbps": terms.min_mbps, "max_mbps": terms.max_mbps}
            for grade, terms in testbed.terms.items()
        },
        **describe_sites(sites(testbed)),
        **describe_hypervisors(hypervisors),
    }


ACCESS_NETWORKS = "10.202.0.0/16"
"""All access networks of a testbed."""


def access_network(number: int) -> str:
    """Of node `number`."""
    return f"10.202.{number}.0/24"


def free_octet(used: Iterable[IPv4Network]) -> int | None:
    """A K whose 10.K.0.0/16 meets none of the networks in use, or at worst lies within a wider
    one; None when there is none."""
    used = tuple(used)
    for taken in (used, tuple(network for network in used if network.prefixlen >= 16)):
        for octet in OCTETS:
            network = IPv4Network(f"10.{octet}.0.0/16")
            if not any(network.overlaps(other) for other in taken):
                return octet
    return None


def _too_many(found: Topology) -> Iterator[str]:
    if len(found.nodes) > MOST_NODES:
        yield f"{len(found.nodes)} nodes are more than a testbed's {MOST_NODES}"
    if len(found.links) > _LINKS.num_addresses // 4:
        yield f"{len(found.links)} links are more than a testbed's {_LINKS.num_addresses // 4}"
    for name in sorted({host.node for host in found.hosts}):
        count = sum(host.node == name for host in found.hosts)
        if count > _MOST_HOSTS:
            yield f"node {name}: {count} hosts are more than a testbed's {_MOST_HOSTS}"


def _placed(node: Node, prefix: str, guests: GuestSettings) -> Node:
    """The node at its address, and in the pool that runs its functions."""
    in_guests = guests.wanted and node.name not in guests.processes_at
    return replace(node, address=f"{prefix}.1", pool=HYPERVISORS_POOL if in_guests else node.pool)


def _node(
    node: Node,
    number: int,
    testbed: str,
    cables: Mapping[str, list[Cable]],
    hosts: Iterable[HostPlan],
    *,
    has_guests: bool,
) -> NodePlan:
    mine = tuple(cables.get(node.name, ()))
    site = Site(
        node=node.name,
        ovsdb=f"tcp:{node.address}:{OVSDB_PORT}",
        datapath_id=FIRST_DATAPATH + number,
        underlay={cable.neighbour: cable.address.partition("/")[0] for cable in mine},
        gateway=f"10.202.{number}.1/24",
        hosts=tuple(host.device for host in hosts if host.node == node.name),
        cables={cable.neighbour: _switch_port(cable) for cable in mine},
        queues={cable.neighbour: cable.wire for cable in mine},
        crossings={
            cable.neighbour: f"{cable.outer.partition('/')[0]}:{_FIRST_CROSSING + cable.number}"
            for cable in mine
            if cable.outer
        },
        guests=f"{node.address.rpartition('.')[0]}.{_GUESTS_GATEWAY}/24" if has_guests else "",
    )
    return NodePlan(
        number=number,
        node=replace(node, prefixes=(access_network(number),)),
        namespace=f"{testbed}-{node.name}",
        management=node.address,
        outer=f"{testbed}-m{number}",
        site=site,
        cables=mine,
    )


def _switch_port(cable: Cable) -> str:
    return crossing_cable(cable.neighbour) if cable.outer else cable.device


def _cables(links: Iterable[Link], numbers: Mapping[str, int]) -> dict[str, list[Cable]]:
    found: dict[str, list[Cable]] = {}
    for index, link in enumerate(links):
        first, outer = (int(part.network_address) + 4 * index + 1 for part in (_LINKS, _OUTER))
        for offset, (here, there) in enumerate(((link.a, link.b), (link.b, link.a))):
            found.setdefault(here, []).append(
                Cable(
                    neighbour=there,
                    number=numbers[there],
                    bridge=cable_bridge(there),
                    address=f"{IPv4Address(first + offset)}/30",
                    mbps=link.mbps,
                    outer=f"{IPv4Address(outer + offset)}/30" if link.crosses else "",
                )
            )
    return found


def _hosts(hosts: Iterable[Host], numbers: Mapping[str, int], testbed: str) -> Iterator[HostPlan]:
    next_free = dict.fromkeys(numbers, _FIRST_HOST)
    for host in hosts:
        number, last = numbers[host.node], next_free[host.node]
        next_free[host.node] += 1
        yield HostPlan(
            name=host.name,
            node=host.node,
            namespace=f"{testbed}-{host.name}",
            device=f"host{last}",
            mac=f"02:75:6d:00:{number:02x}:{last:02x}",
            address=f"10.202.{number}.{last}/24",
            gateway=f"10.202.{number}.1",
        )
