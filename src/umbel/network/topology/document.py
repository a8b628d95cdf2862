"""A network document's links and hosts, checked: mapping in, Topology out.

The document is what files.py reads. Its nodes' own fields belong to compute/inventory.py, which
parses the same mapping, its switches to sites_document.py, and `planner` parts to delivery's plans;
here only the nodes' names count. All problems are reported at once, by name.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from umbel.kit.errors import Invalid
from umbel.kit.validation import describe_errors
from umbel.network.model import Host, Link, Topology

_PARTS = frozenset(
    {
        "nodes",
        "links",
        "hosts",
        "default_access",
        "sites",
        "hypervisors",
        "management",
        "slices",
        "planner",
        "pools",
    }
)


class BadNetwork(Invalid):
    """The network file has problems."""

    code = "umbel.bad_network"


def link_entry(link: Link) -> dict[str, object]:
    """What a document says of the link: `parse` reads it back."""
    entry: dict[str, object] = {
        "a": link.a,
        "b": link.b,
        "mbps": link.mbps,
        "delay_ms": link.delay_ms,
    }
    return entry | {"crosses": True} if link.crosses else entry


class _LinkEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: str = Field(min_length=1)
    b: str = Field(min_length=1)
    mbps: float = Field(1000.0, gt=0, allow_inf_nan=False)
    delay_ms: float = Field(1.0, ge=0, allow_inf_nan=False)
    crosses: bool = Field(False, strict=True)
    planner: object = Field(None, exclude=True)


class _HostEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=63)
    node: str = Field(min_length=1)


def parse(document: object) -> Topology:
    """The topology a document describes. Raises BadNetwork with every problem in `problems`."""
    topology, problems = inspect(document)
    if problems:
        raise BadNetwork(f"The network file has {len(problems)} problem(s)", problems=problems)
    return topology


def inspect(document: object) -> tuple[Topology, list[str]]:
    """What can be read of a document, and what is wrong with it; wrong links are left out."""
    if not isinstance(document, Mapping):
        return Topology(nodes=(), links=()), ["the file is not a mapping of nodes and links"]
    unknown = sorted(str(key) for key in document if key not in _PARTS)
    problems = [f"unknown part {key!r}" for key in unknown]
    names = _names(document.get("nodes"), problems)
    links: list[Link] = []
    for index, raw in enumerate(_entries(document, "links", problems)):
        link = _link(index, raw, problems)
        if link is not None and _fits(link, names, links, problems):
            links.append(link)
    hosts: list[Host] = []
    for index, raw in enumerate(_entries(document, "hosts", problems)):
        host = _host(index, raw, problems)
        if host is not None and _has_place(host, names, hosts, problems):
            hosts.append(host)
    return Topology(nodes=names, links=tuple(links), hosts=tuple(hosts)), problems


def _entries(document: Mapping[object, object], part: str, problems: list[str]) -> list[object]:
    raw = document.get(part)
    if raw is None:
        return []
    if not isinstance(raw, list):
        problems.append(f"{part} is not a list")
        return []
    return raw


def _names(raw: object, problems: list[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for entry in raw if isinstance(raw, list) else ():
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str):
            continue
        if name in names:
            problems.append(f"node {name}: named twice")
        names[name] = None
    if not names:
        problems.append("there are no nodes")
    return tuple(names)


def _link(index: int, raw: object, problems: list[str]) -> Link | None:
    title = f"link {index + 1}"
    ends = (raw.get("a"), raw.get("b")) if isinstance(raw, Mapping) else ()
    if ends and all(isinstance(end, str) for end in ends):
        title = f"link {ends[0]}-{ends[1]}"
    try:
        return Link(**_LinkEntry.model_validate(raw).model_dump())
    except ValidationError as error:
        problems.extend(describe_errors(title, error))
        return None


def _host(index: int, raw: object, problems: list[str]) -> Host | None:
    title = f"host {index + 1}"
    if isinstance(raw, Mapping) and isinstance(raw.get("name"), str):
        title = f"host {raw['name']}"
    try:
        return Host(**_HostEntry.model_validate(raw).model_dump())
    except ValidationError as error:
        problems.extend(describe_errors(title, error))
        return None


def _fits(link: Link, names: tuple[str, ...], links: list[Link], problems: list[str]) -> bool:
    title = f"link {link.a}-{link.b}"
    wrong = [f"{title}: unknown node {end}" for end in sorted({link.a, link.b} - set(names))]
    if link.a == link.b:
        wrong.append(f"{title}: joins a node to itself")
    if any({link.a, link.b} == {other.a, other.b} for other in links):
        wrong.append(f"{title}: listed twice")
    problems.extend(wrong)
    return not wrong


def _has_place(host: Host, names: tuple[str, ...], hosts: list[Host], problems: list[str]) -> bool:
    title = f"host {host.name}"
    wrong = [] if host.node in names else [f"{title}: unknown node {host.node}"]
    if host.name in names:
        wrong.append(f"{title}: is a node's name")
    if any(host.name == other.name for other in hosts):
        wrong.append(f"{title}: named twice")
    problems.extend(wrong)
    return not wrong
