"""A network document as the planner sees it: the mapping of a network file in, a Network out.

The same file that `umbel serve` reads; what only planning needs is in `planner` parts, at the top,
in a node or in a link (docs/howto/plan-a-network.md). A file for planning alone needs no addresses.
What is not said follows from cores and rates. Every problem is reported at once, by name.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from umbel.compute.model import NodeKind
from umbel.kit.validation import describe_errors
from umbel.network.documents import inspect_topology
from umbel.planner import presets
from umbel.planner.problem import Access, Link, Network, Node, PowerModel, Routing

P = TypeVar("P", bound=BaseModel)
_MOST_NODES = 1000


class _Part(BaseModel):
    """Numbers may be infinite or NaN here: the planner's own checks name those with the rest."""

    model_config = ConfigDict(extra="forbid")


class _RoutingPart(_Part):
    bypass: bool | None = None
    follow_fibre: bool | None = None
    lightpaths_per_path: int | None = None
    routes_per_pair: int | None = None
    detour_hops: int | None = None
    cpri_reach_hops: int | None = None
    serve_reach_hops: int | None = None
    ends_relay: bool | None = None
    ends_serve_others: bool | None = None
    most_paths: int | None = None


class _PowerPart(_Part):
    server_w: float | None = None
    vcpu_w: float | None = None
    switch_w: float | None = None
    router_w: float | None = None


class _TopPart(_Part):
    pop: str | None = None
    vcpus_per_server: int | None = None
    lightpath_mbps: float | None = None
    bypass_lightpaths: int | None = None
    cpri_lightpaths: int | None = None
    miss_share: float | None = None
    unknown_share: float | None = None
    routing: _RoutingPart = Field(default_factory=_RoutingPart)
    power: Literal["paper", "low"] | _PowerPart = "paper"


class _NodePart(_Part):
    access: Access | None = None
    level: int | None = None
    servers: int | None = None
    storage_gb: float | None = None
    switch_mbps: float | None = None
    router_mbps: float | None = None
    connectivity_mbps: float | None = None
    bbu_vcpus: float | None = None
    radio_mbps: float | None = None


class _LinkPart(_Part):
    lightpaths: int | None = None


class _NodeEntry(_Part):
    """What of a node's entry matters here; its other fields are compute's to check."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=63)
    kind: NodeKind = NodeKind.PROVIDER_EDGE
    cores: float | None = Field(None, gt=0, allow_inf_nan=False)
    planner: _NodePart = Field(default_factory=_NodePart)
    address: object = None
    pool: object = None
    memory_mb: object = None
    watts: object = None
    mbps: object = None
    prefixes: object = None


class _LinkEntry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    planner: _LinkPart = Field(default_factory=_LinkPart)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A document's network and how it is to be planned; a share is None where it is not said."""

    network: Network
    routing: Routing
    power: PowerModel
    miss_share: float | None = None
    unknown_share: float | None = None


def parse(document: object) -> tuple[Planned, list[str]]:
    """What can be read of a document, and what is wrong with its form. What is wrong with the
    values is for `planner.checks`."""
    links, problems = inspect_topology(document)
    given = document if isinstance(document, Mapping) else {}
    top = _top(given.get("planner"), problems)
    entries = list(_nodes(given, problems))
    raw = given.get("links")
    parts = _link_parts(raw if isinstance(raw, list) else [], problems)
    nodes, per_server = _sized(entries, top)
    if len(nodes) > _MOST_NODES:
        problems.append(f"there are {len(nodes)} nodes, more than {_MOST_NODES}")
    lightpath_mbps = _lightpath(top, [link.mbps for link in links.links], parts)
    network = Network(
        nodes=nodes,
        links=tuple(
            Link(a=link.a, b=link.b, lightpaths=_bundle(link.mbps, lightpath_mbps, parts, link))
            for link in links.links
        ),
        pop=top.pop if top.pop is not None else _pop(entries),
        vcpus_per_server=per_server,
        lightpath_mbps=lightpath_mbps,
    )
    said = _given_values(top, ("bypass_lightpaths", "cpri_lightpaths"))
    network = replace(network, **said)  # type: ignore[arg-type]
    planned = Planned(
        network=replace(network, nodes=_levelled(network, entries)),
        routing=_routing(top, given),
        power=_power(top),
        miss_share=top.miss_share,
        unknown_share=top.unknown_share,
    )
    return planned, problems


def _given_values(part: BaseModel, names: tuple[str, ...] | None = None) -> dict[str, object]:
    found = part.model_dump(exclude_none=True)
    return {name: found[name] for name in names or tuple(found) if name in found}


def _lenient(kind: type[P], raw: object, title: str, problems: list[str]) -> P | None:
    """What can be read once the fields that cannot are left out; None where too little is left."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        problems += describe_errors(title, error)
        if not isinstance(raw, Mapping):
            return None
        rest = _without(raw, [found["loc"] for found in error.errors(include_url=False)])
    try:
        return kind.model_validate(rest)
    except ValidationError:
        return None


def _without(raw: Mapping[object, object], places: list[tuple[int | str, ...]]) -> object:
    """The mapping without the fields at some places; of nested ones only the inner goes."""
    made: dict[object, object] = {}
    for key, value in raw.items():
        here = [place for place in places if place[0] == key]
        deeper = [place[1:] for place in here if len(place) > 1]
        if not here:
            made[key] = value
        elif isinstance(value, Mapping) and deeper and len(deeper) == len(here):
            made[key] = _without(value, deeper)
    return made


def _top(raw: object, problems: list[str]) -> _TopPart:
    part = _lenient(_TopPart, {} if raw is None else raw, "planner", problems)
    return part if part is not None else _TopPart()


def _nodes(given: Mapping[object, object], problems: list[str]) -> Iterator[_NodeEntry]:
    raw = given.get("nodes")
    if raw is not None and not isinstance(raw, list):
        problems.append("nodes is not a list")
        return
    for number, entry in enumerate(raw or (), start=1):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        title = f"node {name}" if isinstance(name, str) else f"node {number}"
        read = _lenient(_NodeEntry, entry, title, problems)
        if read is not None:
            yield read


def _link_parts(raw: list[object], problems: list[str]) -> dict[frozenset[str], int]:
    """The lightpaths that links say they have."""
    parts: dict[frozenset[str], int] = {}
    for entry in raw:
        if not isinstance(entry, Mapping):
            continue
        ends = [str(entry.get("a")), str(entry.get("b"))]
        try:
            part = _LinkEntry.model_validate(entry).planner
        except ValidationError as error:
            problems += describe_errors(f"link {'-'.join(ends)}", error)
            continue
        if part.lightpaths is not None:
            parts[frozenset(ends)] = part.lightpaths
    return parts


def _sized(entries: list[_NodeEntry], top: _TopPart) -> tuple[tuple[Node, ...], int]:
    """The nodes, and the vCPUs of a server: where no node says how many servers it has, the
    smallest node's cores are one."""
    cores = [entry.cores for entry in entries]
    counted = any(entry.planner.servers is not None for entry in entries)
    known = [number for number in cores if number is not None]
    per_server = top.vcpus_per_server
    if per_server is None:
        smallest = len(known) == len(cores) > 0 and not counted
        per_server = max(1, int(min(known))) if smallest else Network.vcpus_per_server
    nodes = []
    for entry in entries:
        core = entry.kind is NodeKind.CORE
        node = Node(name=entry.name, access=Access.TRANSIT if core else Access.FIXED)
        if entry.cores is not None:
            node = replace(node, servers=max(1, int(entry.cores / max(1, per_server))))
        nodes.append(replace(node, **_given_values(entry.planner)))  # type: ignore[arg-type]
    return tuple(nodes), per_server


def _lightpath(top: _TopPart, mbps: list[float], parts: Mapping[frozenset[str], int]) -> float:
    """What a lightpath carries: where lightpaths are not counted, what the slowest link carries."""
    if top.lightpath_mbps is not None:
        return top.lightpath_mbps
    return min(mbps) if mbps and not parts else Network.lightpath_mbps


def _bundle(
    mbps: float, lightpath_mbps: float, parts: Mapping[frozenset[str], int], link: object
) -> int:
    ends = frozenset({link.a, link.b})  # type: ignore[attr-defined]
    if ends in parts:
        return parts[ends]
    if parts or not math.isfinite(lightpath_mbps) or lightpath_mbps <= 0:
        return Link.lightpaths
    return max(1, int(mbps / lightpath_mbps))


def _pop(entries: list[_NodeEntry]) -> str:
    """Where the PoP is by default: the first core node, else the first node."""
    core = (entry.name for entry in entries if entry.kind is NodeKind.CORE)
    return next(core, entries[0].name if entries else "")


def _levelled(network: Network, entries: list[_NodeEntry]) -> tuple[Node, ...]:
    """Levels are hops from the PoP where a node does not say."""
    level = {network.pop: 0}
    queue = [network.pop]
    near: dict[str, list[str]] = {}
    for link in network.links:
        near.setdefault(link.a, []).append(link.b)
        near.setdefault(link.b, []).append(link.a)
    for name in queue:
        for other in near.get(name, ()):
            if other not in level:
                level[other] = level[name] + 1
                queue.append(other)
    said = {entry.name for entry in entries if entry.planner.level is not None}
    return tuple(
        node if node.name in said else replace(node, level=min(level.get(node.name, 0), 100))
        for node in network.nodes
    )


def _routing(top: _TopPart, given: Mapping[object, object]) -> Routing:
    """Networks that say nothing of planning have routers at every node and no optical bypass."""
    routing = Routing() if given.get("planner") is not None else Routing(bypass=False)
    if not routing.bypass:
        routing = replace(routing, lightpaths_per_path=16)
    return replace(routing, **_given_values(top.routing))  # type: ignore[arg-type]


def _power(top: _TopPart) -> PowerModel:
    if isinstance(top.power, _PowerPart):
        return replace(presets.PAPER_POWER, **_given_values(top.power))  # type: ignore[arg-type]
    return presets.LOW_POWER if top.power == "low" else presets.PAPER_POWER
