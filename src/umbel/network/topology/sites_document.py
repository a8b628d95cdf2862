"""A network document's switches, checked: mapping in, Sites out; and back.

The document is a network file with two parts more: `sites` says where each node's Open vSwitch is,
`management` where controllers listen. document.py and compute/inventory.py parse the rest of it.
The testbed writes one, an operator writes it for real switches. All problems are reported at once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    ValidationError,
    WithJsonSchema,
)

from umbel.kit.validation import describe_errors
from umbel.network.model import Topology
from umbel.network.topology import document as topology
from umbel.network.topology.added_sites import LinkEnd
from umbel.network.topology.document import BadNetwork
from umbel.network.topology.sites import Site, crossing_cable

_DATABASE = re.compile(r"tcp:(?:\[(?P<six>[^]%]+)\]|(?P<four>[^:]+)):(?P<port>[0-9]{1,5})")
FIRST_DATAPATH = 0x756D62000000
"""The datapath id of node n's overlay is this and n, unless the file says otherwise."""

_HEXADECIMAL = WithJsonSchema({"type": "string", "pattern": "^(0x)?[0-9A-Fa-f]{1,16}$"})
_DEVICE = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")]


@dataclass(frozen=True, kw_only=True)
class Sites:
    """The operator's switches. `controller` is the address where their controllers listen, of the
    machine that runs the platform. `namespaces` is the testbed whose nodes these are: node X is
    the network namespace NAMESPACES-X of this machine; empty for real switches."""

    sites: tuple[Site, ...]
    controller: str
    namespaces: str = ""

    def of(self, node: str) -> Site:
        """A node's. Raises KeyError."""
        return {site.node: site for site in self.sites}[node]

    def namespace_of(self, node: str) -> str | None:
        """The network namespace of a node; None for real switches."""
        return f"{self.namespaces}-{node}" if self.namespaces else None


def _database(text: str) -> str:
    if text.startswith("unix:/"):
        return text
    found = _DATABASE.fullmatch(text)
    if found and 0 < int(found["port"]) < 65536:
        with suppress(ValueError):
            IPv6Address(found["six"]) if found["six"] else IPv4Address(found["four"])
            return text
    raise ValueError("neither tcp:ADDRESS:PORT nor unix:/PATH")


def _socket(text: str) -> str:
    address, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("not ADDRESS:PORT")
    return f"{IPv4Address(address)}:{int(port)}"


def _gateway(text: str) -> str:
    if "/" not in text:
        raise ValueError("an address with its prefix length is needed")
    return str(IPv4Interface(text))


def _datapath(raw: object) -> object:
    """YAML reads 0x1f as a number and 1f as a text; both mean 16 hexadecimal digits."""
    if isinstance(raw, str):
        try:
            raw = int(raw, 16)
        except ValueError:
            raise ValueError("not a hexadecimal number") from None
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 < raw < 1 << 64:
        raise ValueError("not a number from 1 to 0xffffffffffffffff")
    return raw


class SwitchEntry(BaseModel):
    """A node's Open vSwitch: `ovsdb` is where its database listens (`tcp:ADDRESS:PORT` or
    `unix:/PATH`), `gateway` the node's address in its access network with the prefix length; `nic`
    and `hosts` are devices that join br0. Without a `datapath_id` (hexadecimal) it gets a free
    one."""

    model_config = ConfigDict(extra="forbid")

    ovsdb: Annotated[str, AfterValidator(_database), Field(max_length=300)]
    datapath_id: Annotated[int, BeforeValidator(_datapath), _HEXADECIMAL] | None = None
    gateway: Annotated[str, AfterValidator(_gateway)]
    nic: _DEVICE | None = None
    hosts: Annotated[tuple[_DEVICE, ...], Field(max_length=1000)] = ()

    def switch(self, node: str) -> Site:
        """The node's site without ends of links; its datapath id is 0 where none is given."""
        return Site(
            node=node,
            ovsdb=self.ovsdb,
            datapath_id=self.datapath_id or 0,
            underlay={},
            gateway=self.gateway,
            nic=self.nic or "",
            hosts=self.hosts,
        )


class LinkEndEntry(BaseModel):
    """A switch's end of a link: the `underlay` address where the tunnel starts, the device that
    the switch must have to send tunnels over it (`cable`), the one where packets wait (`queue`),
    and where encrypted packets are taken (`crossing`, ADDRESS:PORT)."""

    model_config = ConfigDict(extra="forbid")

    underlay: IPvAnyAddress | None = None
    cable: _DEVICE | None = None
    queue: _DEVICE | None = None
    crossing: Annotated[str, AfterValidator(_socket)] | None = None

    @property
    def end(self) -> LinkEnd:
        """As a value."""
        return LinkEnd(
            underlay=str(self.underlay or ""),
            cable=self.cable or "",
            queue=self.queue or "",
            crossing=self.crossing or "",
        )


class _SiteEntry(SwitchEntry):
    node: str = Field(min_length=1)
    underlay: dict[str, IPvAnyAddress] = Field(default_factory=dict)
    cables: dict[str, _DEVICE] = Field(default_factory=dict)
    queues: dict[str, _DEVICE] = Field(default_factory=dict)
    crossings: dict[str, Annotated[str, AfterValidator(_socket)]] = Field(default_factory=dict)
    guests: Annotated[str, AfterValidator(_gateway)] | None = None

    def site(self, number: int) -> Site:
        made = {name: crossing_cable(name) for name in self.crossings}
        return replace(
            self.switch(self.node),
            datapath_id=self.datapath_id or FIRST_DATAPATH + number,
            underlay={name: str(address) for name, address in self.underlay.items()},
            cables={**self.cables, **made},
            queues=self.queues,
            crossings=self.crossings,
            guests=self.guests or "",
        )


class _ManagementEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    controller: IPvAnyAddress
    namespaces: str = Field("", pattern=r"^([a-z][a-z0-9]{0,9})?$")


def parse(document: object) -> Sites:
    """The switches a document describes. Raises BadNetwork with every problem in `problems`."""
    sites, problems = inspect(document)
    if problems:
        raise BadNetwork(f"The sites file has {len(problems)} problem(s)", problems=problems)
    return sites


def inspect(document: object) -> tuple[Sites, list[str]]:
    """What can be read of a document, and what is wrong with it, also with its nodes' names and
    its links; wrong sites are left out."""
    known, problems = topology.inspect(document)
    if not isinstance(document, Mapping):
        return Sites(sites=(), controller=""), problems
    found: list[Site] = []
    raw = document.get("sites")
    if not isinstance(raw, list):
        problems.append("sites is not a list")
        raw = []
    for index, entry in enumerate(raw):
        site = _site(index, entry, known, problems)
        if site is not None:
            found.append(site)
    problems.extend(_misplaced(found, known))
    controller, namespaces = _management(document.get("management"), problems)
    if not namespaces:
        problems += [
            f"site {site.node}: crossings: they are made for namespaces of this machine only"
            for site in found
            if site.crossings
        ]
    return Sites(sites=tuple(found), controller=controller, namespaces=namespaces), problems


def part(sites: Sites) -> dict[str, object]:
    """The two parts of the document that describe these switches."""
    return {
        "management": {"controller": sites.controller, "namespaces": sites.namespaces},
        "sites": [
            {
                "node": site.node,
                "ovsdb": site.ovsdb,
                "datapath_id": f"{site.datapath_id:#018x}",
                "underlay": dict(site.underlay),
                "gateway": site.gateway,
                "nic": site.nic or None,
                "hosts": list(site.hosts),
                "cables": {n: d for n, d in site.cables.items() if n not in site.crossings},
                "queues": dict(site.queues),
                "crossings": dict(site.crossings),
                **({"guests": site.guests} if site.guests else {}),
            }
            for site in sites.sites
        ],
    }


def _site(index: int, raw: object, known: Topology, problems: list[str]) -> Site | None:
    title = f"site {index + 1}"
    if isinstance(raw, Mapping) and isinstance(raw.get("node"), str):
        title = f"site {raw['node']}"
    try:
        entry = _SiteEntry.model_validate(raw)
    except ValidationError as error:
        problems.extend(describe_errors(title, error))
        return None
    return entry.site(known.nodes.index(entry.node) + 1 if entry.node in known.nodes else 0)


def _management(raw: object, problems: list[str]) -> tuple[str, str]:
    try:
        entry = _ManagementEntry.model_validate(raw)
    except ValidationError as error:
        problems.extend(describe_errors("management", error))
        return "", ""
    return str(entry.controller), entry.namespaces


def _misplaced(sites: Iterable[Site], known: Topology) -> Iterator[str]:
    """Sites of no node, and what two sites may not share; addresses toward no neighbour."""
    sites = tuple(sites)
    neighbours: dict[str, set[str]] = {name: set() for name in known.nodes}
    for link in known.links:
        neighbours[link.a].add(link.b)
        neighbours[link.b].add(link.a)
    for site in sites:
        if site.node not in neighbours:
            yield f"site {site.node}: unknown node"
            continue
        ends_by_word = {
            "underlay": site.underlay,
            "cables": site.cables.keys() - site.crossings.keys(),
            "queues": site.queues,
            "crossings": site.crossings,
        }
        for word, ends in ends_by_word.items():
            for name in sorted(set(ends) - neighbours[site.node]):
                yield f"site {site.node}: {word}: no link leads to {name}"
        yield from _crossed_by_one(site, sites)
    yield from _shared("node", (site.node for site in sites))
    yield from _shared("ovsdb", (site.ovsdb for site in sites))
    yield from _shared("datapath_id", (f"{site.datapath_id:#x}" for site in sites))
    yield from _shared("guests", (str(site.guest_network) for site in sites if site.guests))
    yield from _shared("underlay", (a for site in sites for a in site.underlay.values()))


def _crossed_by_one(site: Site, sites: Iterable[Site]) -> Iterator[str]:
    """What a crossing lacks: its other end, or an address for the tunnel inside it."""
    by_name = {other.node: other for other in sites}
    for name in site.crossings:
        if name in by_name and site.node not in by_name[name].crossings:
            yield f"site {name}: crossings: {site.node} has one to it, but it has none back"
        if name not in site.underlay:
            yield f"site {site.node}: crossings: no underlay address toward {name}"


def _shared(word: str, values: Iterable[str]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"sites: {times} have the {word} {value}"
