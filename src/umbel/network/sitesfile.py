"""A network document's switches, checked: mapping in, Sites out; and back.

The document is a network file with two parts more: `sites` says where each node's Open vSwitch is,
`management` where controllers listen. topology.py and compute/inventory.py parse the rest of it.
The testbed writes one, an operator writes it for real switches. Every problem is told at once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError

from umbel.network import topology
from umbel.network.model import Topology
from umbel.network.sites import Site
from umbel.network.topology import BadNetwork, told

_DATABASE = re.compile(r"unix:/.+|tcp:(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
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


def _database(text: str) -> str:
    found = _DATABASE.fullmatch(text)
    if not found or (found[2] and not 0 < int(found[2]) < 65536):
        raise ValueError("neither tcp:ADDRESS:PORT nor unix:/PATH")
    return text


def _gateway(text: str) -> str:
    if "/" not in text:
        raise ValueError("an address with its prefix length is needed")
    return str(IPv4Interface(text))


class _SiteEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    node: str = Field(min_length=1)
    ovsdb: Annotated[str, AfterValidator(_database)]
    datapath_id: str = Field(pattern=r"^(0x)?[0-9a-fA-F]{1,16}$")
    underlay: dict[str, IPvAnyAddress] = Field(default_factory=dict)
    gateway: Annotated[str, AfterValidator(_gateway)]
    nic: _DEVICE | None = None
    hosts: tuple[_DEVICE, ...] = ()
    cables: dict[str, _DEVICE] = Field(default_factory=dict)

    def site(self) -> Site:
        return Site(
            node=self.node,
            ovsdb=self.ovsdb,
            datapath_id=int(self.datapath_id, 16),
            underlay={name: str(address) for name, address in self.underlay.items()},
            gateway=self.gateway,
            nic=self.nic or "",
            hosts=self.hosts,
            cables=self.cables,
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
        site = _site(index, entry, problems)
        if site is not None:
            found.append(site)
    problems.extend(_misplaced(found, known))
    controller, namespaces = _management(document.get("management"), problems)
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
                "cables": dict(site.cables),
            }
            for site in sites.sites
        ],
    }


def _site(index: int, raw: object, problems: list[str]) -> Site | None:
    title = f"site {index + 1}"
    if isinstance(raw, Mapping) and isinstance(raw.get("node"), str):
        title = f"site {raw['node']}"
    try:
        return _SiteEntry.model_validate(raw).site()
    except ValidationError as error:
        problems.extend(told(title, error))
        return None


def _management(raw: object, problems: list[str]) -> tuple[str, str]:
    try:
        entry = _ManagementEntry.model_validate(raw)
    except ValidationError as error:
        problems.extend(told("management", error))
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
        for word, ends in (("underlay", site.underlay), ("cables", site.cables)):
            for name in sorted(set(ends) - neighbours[site.node]):
                yield f"site {site.node}: {word}: no link leads to {name}"
    yield from _shared("node", (site.node for site in sites))
    yield from _shared("ovsdb", (site.ovsdb for site in sites))
    yield from _shared("datapath_id", (f"{site.datapath_id:#x}" for site in sites))
    yield from _shared("underlay", (a for site in sites for a in site.underlay.values()))


def _shared(word: str, values: Iterable[str]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"sites: {times} have the {word} {value}"
