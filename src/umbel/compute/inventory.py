"""A network document's nodes, checked: mapping in, Inventory out.

network/topology/document.py parses the same mapping into links, the plans its `planner` parts.
All problems are reported at once, by name.
"""

from collections.abc import Mapping
from dataclasses import asdict
from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from umbel.compute.model import DEFAULT_POOL, Inventory, Node, NodeKind, PowerDraw, VimKind
from umbel.kit import hosts
from umbel.kit.errors import Invalid
from umbel.kit.validation import describe_errors

_FIRST_PORT, _LAST_PORT, _FEWEST_PORTS = 1024, 65535, 16


class BadInventory(Invalid):
    """The nodes of the network file have problems."""

    code = "umbel.bad_inventory"


def _address(text: str) -> str:
    # Names are resolved where the document comes in (`hosts`): one that is left did not resolve.
    if hosts.is_name(text):
        raise ValueError(f"{text} does not resolve")
    return hosts.check(text)


def _port_range(ports: tuple[int, int]) -> tuple[int, int]:
    first, last = ports
    if not (_FIRST_PORT <= first <= last - _FEWEST_PORTS + 1 and last <= _LAST_PORT):
        raise ValueError(
            f"ports are the first and the last of {_FEWEST_PORTS} or more, from {_FIRST_PORT} to"
            f" {_LAST_PORT}"
        )
    return ports


PortRange = Annotated[tuple[int, int], AfterValidator(_port_range)]
"""The first and the last port on which a node's functions listen."""


class PowerEntry(BaseModel):
    """What a node draws, in watts; `busy` is not below `idle`."""

    model_config = ConfigDict(extra="forbid")

    idle: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)
    busy: float = Field(ge=0, le=1_000_000, allow_inf_nan=False)
    standby: float | None = Field(None, ge=0, le=1_000_000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.busy < self.idle:
            raise ValueError("busy is below idle")
        return self

    @property
    def draw(self) -> PowerDraw:
        """As a value."""
        return PowerDraw(**self.model_dump())


class _NodeEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=63)
    kind: NodeKind = NodeKind.PROVIDER_EDGE
    address: Annotated[str, AfterValidator(_address)]
    cores: float = Field(1.0, gt=0, allow_inf_nan=False)
    memory_mb: float = Field(2048.0, gt=0, allow_inf_nan=False)
    mbps: float = Field(1000.0, gt=0, allow_inf_nan=False)
    prefixes: tuple[str, ...] = ()
    pool: str = Field(DEFAULT_POOL, pattern=r"^[a-z][a-z0-9-]*$", max_length=63)
    ports: PortRange | None = None
    watts: PowerEntry | None = None
    planner: object = Field(None, exclude=True)

    @field_validator("prefixes")
    @classmethod
    def _are_networks(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(prefix)) for prefix in prefixes)


_POOLS = TypeAdapter(dict[str, VimKind])


def parse(document: object) -> Inventory:
    """The nodes a document describes. Raises BadInventory with every problem in `problems`."""
    inventory, problems = inspect(document)
    if problems:
        raise BadInventory(f"The network file has {len(problems)} problem(s)", problems=problems)
    return inventory


def inspect(document: object) -> tuple[Inventory, list[str]]:
    """What can be read of a document, and what is wrong with it; wrong nodes are left out."""
    if not isinstance(document, Mapping):
        return Inventory(nodes=()), ["the file is not a mapping of nodes and links"]
    problems: list[str] = []
    nodes: list[Node] = []
    for index, raw in enumerate(_entries(document.get("nodes"), problems)):
        node = _node(index, raw, problems)
        if node is not None:
            problems.extend(clashes(node, nodes))
            nodes.append(node)
    if not nodes:
        problems.append("there are no nodes")
    access = _access(document.get("default_access"), nodes, problems)
    pools = _pools(document.get("pools"), problems)
    problems.extend(
        f"node {node.name}: unknown pool {node.pool}" for node in nodes if node.pool not in pools
    )
    return Inventory(nodes=tuple(nodes), default_access=access, pools=pools), problems


def node_entry(node: Node) -> dict[str, object]:
    """What a document says of the node: `parse` reads it back."""
    entry: dict[str, object] = {
        "name": node.name,
        "kind": node.kind.value,
        "address": node.address,
        "cores": node.cores,
        "memory_mb": node.memory_mb,
        "mbps": node.mbps,
        "prefixes": list(node.prefixes),
    }
    if node.ports is not None:
        entry["ports"] = list(node.ports)
    if node.watts is not None:
        entry["watts"] = {k: v for k, v in asdict(node.watts).items() if v is not None}
    return entry if node.pool == DEFAULT_POOL else entry | {"pool": node.pool}


def _access(raw: object, nodes: list[Node], problems: list[str]) -> str:
    if raw is None or raw == "":
        return ""
    if not isinstance(raw, str):
        problems.append("default_access: Input should be a valid string")
        return ""
    if raw not in {node.name for node in nodes}:
        problems.append(f"default_access: unknown node {raw}")
    return raw


def _pools(raw: object, problems: list[str]) -> dict[str, VimKind]:
    """The VIM's kind by pool. The default pool is there without being named."""
    pools = {DEFAULT_POOL: VimKind.PROCESS}
    if raw is None:
        return pools
    try:
        return pools | _POOLS.validate_python(raw)
    except ValidationError as error:
        problems.extend(describe_errors("pools", error))
        return pools


def _entries(raw: object, problems: list[str]) -> list[object]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        problems.append("nodes is not a list")
        return []
    return raw


def _node(index: int, raw: object, problems: list[str]) -> Node | None:
    title = f"node {index + 1}"
    if isinstance(raw, Mapping) and isinstance(raw.get("name"), str):
        title = f"node {raw['name']}"
    try:
        entry = _NodeEntry.model_validate(raw)
    except ValidationError as error:
        problems.extend(describe_errors(title, error))
        return None
    watts = entry.watts.draw if entry.watts else None
    return Node(**entry.model_dump(exclude={"watts"}), watts=watts)


def clashes(node: Node, earlier: list[Node]) -> list[str]:
    """What the node has that an earlier one has too."""
    wrong = []
    for other in earlier:
        if other.name == node.name:
            wrong.append(f"node {node.name}: named twice")
        if other.address == node.address:
            wrong.append(f"node {node.name}: address {node.address} is {other.name}'s")
        shared = [prefix for prefix in node.prefixes if prefix in other.prefixes]
        wrong.extend(f"node {node.name}: prefix {prefix} is {other.name}'s" for prefix in shared)
    return wrong
