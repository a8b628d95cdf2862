"""For operators: nodes come, go, are cordoned and drained while the platform runs."""

import asyncio
from typing import Annotated

from fastapi import Body
from pydantic import AfterValidator, BaseModel, Field

from umbel.compute.model import DEFAULT_POOL, HostUsage, Node, NodeKind, NodeState, Scheduling
from umbel.compute.service import PortRange, PowerEntry
from umbel.delivery.model import NodeAvailability, NodeStatus
from umbel.kit import hosts
from umbel.kit.clock import to_rfc3339
from umbel.network.documents import AddedSite, LinkEndEntry, SwitchEntry
from umbel.network.model import Link
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, IpNetwork, NodeName
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/nodes", tags=["nodes"])

_MOST = 1_000_000_000.0
_MOST_S = 7 * 24 * 3600.0
Amount = Annotated[float, Field(gt=0, le=_MOST)]
NewName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
PoolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


class NodeLinkIn(Given):
    """A link of the new node: where it leads, Mbit/s each way and ms one way. Where switches carry
    the streams, `local` is its end at the new node's switch and `remote` that at the neighbour's,
    unless the network file describes them."""

    to: NodeName
    mbps: Amount = 1000.0
    delay_ms: Annotated[float, Field(ge=0, le=_MOST)] = 1.0
    local: LinkEndEntry | None = None
    remote: LinkEndEntry | None = None


class NodeIn(Given):
    """A new node with its links. `cores`, `memory_mb` (MiB) and `mbps` are what functions may use
    of it; a host name as `address` is resolved now; `prefixes` are the client networks that it
    gives access to. The VIM of its `pool` runs its functions, which listen on `ports` (first and
    last) alone, if given. `watts` is what the machine draws, if you measured it. Where switches
    carry the streams, `site` is the node's switch, unless the network file describes it."""

    name: NewName
    kind: NodeKind = NodeKind.PROVIDER_EDGE
    address: Annotated[str, Field(max_length=253), AfterValidator(hosts.check)]
    cores: Amount = Node.cores
    memory_mb: Amount = Node.memory_mb
    mbps: Amount = Node.mbps
    prefixes: Annotated[tuple[IpNetwork, ...], Field(max_length=1000)] = ()
    pool: PoolName = DEFAULT_POOL
    ports: PortRange | None = None
    watts: PowerEntry | None = None
    site: SwitchEntry | None = None
    links: Annotated[list[NodeLinkIn], Field(min_length=1, max_length=1000)]


class DrainIn(Given):
    """How long to wait, in seconds, until what is left on the node is ended; without it, for as
    long as it takes."""

    within_s: Annotated[float, Field(ge=0, le=_MOST_S)] | None = None


MaybeDrain = Annotated[DrainIn | None, Body(title="DrainRequest")]


class PromisedOut(BaseModel):
    """What an owner of functions uses of a node or was promised: cores, MiB, Mbit/s."""

    owner: str
    cores: float
    memory_mb: float
    mbps: float


class HostOut(BaseModel):
    """A node's machine, and what all that runs there uses of it: cores, MiB."""

    host: str
    cores: float
    cores_used: float
    memory_mb: float
    memory_used_mb: float


class NodeDetailOut(BaseModel):
    """A node with what is used of it: cores, MiB, Mbit/s. `functions` run there, and its edges
    serve `viewers`; what a draining one still carries at `evict_at` is ended. `watts` follow from
    the operator's figures for the node, else from the planner's power model under the policy
    `virca`; null without either."""

    name: str
    kind: NodeKind
    pool: str
    state: NodeAvailability
    power: NodeState
    address: str
    cores: float
    cores_used: float
    memory_mb: float
    memory_used_mb: float
    mbps: float
    mbps_used: float
    promised: list[PromisedOut]
    functions: list[str]
    viewers: int
    evict_at: str | None
    watts: float | None
    host: HostOut | None = None


@router.get("")
async def list_nodes(system: auth.SystemDep, _operator: auth.Operator) -> list[NodeDetailOut]:
    """List every node, in the network file's order; those added later follow."""
    return [_node(one) for one in await system.nodes.list()]


@router.post("", status_code=201)
async def add_node(system: auth.SystemDep, operator: auth.Operator, given: NodeIn) -> NodeDetailOut:
    """Add a node with its links; streams may use it at once."""
    address = await asyncio.to_thread(hosts.resolve, given.address, "address")
    node = Node(
        name=given.name,
        kind=given.kind,
        address=address,
        cores=given.cores,
        memory_mb=given.memory_mb,
        mbps=given.mbps,
        prefixes=tuple(map(str, given.prefixes)),
        pool=given.pool,
        ports=given.ports,
        watts=given.watts.draw if given.watts else None,
    )
    links = [
        Link(
            a=given.name,
            b=one.to,
            mbps=one.mbps,
            delay_ms=one.delay_ms,
            crosses=one.local is not None and one.local.crossing is not None,
        )
        for one in given.links
    ]
    site = AddedSite(
        site=given.site.switch(given.name) if given.site else None,
        local={one.to: one.local.end for one in given.links if one.local},
        remote={one.to: one.remote.end for one in given.links if one.remote},
    )
    return _node(await system.nodes.add(node, links, site, by=operator.username))


@router.get("/{name}")
async def get_node(
    system: auth.SystemDep, _operator: auth.Operator, name: NodeName
) -> NodeDetailOut:
    """Get one node."""
    return _node(await system.nodes.get(name))


@router.delete("/{name}", status_code=204)
async def remove_node(system: auth.SystemDep, operator: auth.Operator, name: NodeName) -> None:
    """Remove a node that carries nothing, with its links; drain it first."""
    await system.nodes.remove(name, by=operator.username)


@router.post("/{name}/cordon")
async def cordon_node(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName
) -> NodeDetailOut:
    """Place nothing new on the node; what runs there stays."""
    return await _schedule(system, operator.username, name, Scheduling.CORDONED)


@router.post("/{name}/uncordon")
async def uncordon_node(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName
) -> NodeDetailOut:
    """Use the node again, also after a drain."""
    return await _schedule(system, operator.username, name, Scheduling.OPEN)


@router.post("/{name}/drain")
async def drain_node(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName, given: MaybeDrain = None
) -> NodeDetailOut:
    """Move everything away from the node: forwarders at once, edges when their viewers have left.
    `/api/v1/state` asks viewers to leave. Encoders do not move by themselves. What is left after
    `within_s` seconds is ended."""
    return await _schedule(
        system,
        operator.username,
        name,
        Scheduling.DRAINING,
        within_s=given.within_s if given else None,
    )


async def _schedule(
    system: System,
    by: str,
    name: str,
    scheduling: Scheduling,
    within_s: float | None = None,
) -> NodeDetailOut:
    return _node(await system.nodes.schedule(name, scheduling, by=by, within_s=within_s))


def _node(of: NodeStatus) -> NodeDetailOut:
    promised = [
        PromisedOut(
            owner=owner,
            cores=round(amount.cores, 4),
            memory_mb=round(amount.memory_mb, 1),
            mbps=round(amount.mbps, 3),
        )
        for owner, amount in sorted(of.promised.items())
    ]
    return NodeDetailOut(
        name=of.name,
        kind=of.kind,
        pool=of.pool,
        state=of.state,
        power=of.power,
        address=of.address,
        cores=of.cores,
        cores_used=of.cores_used,
        memory_mb=of.memory_mb,
        memory_used_mb=of.memory_used_mb,
        mbps=of.mbps,
        mbps_used=of.mbps_used,
        promised=promised,
        functions=list(of.functions),
        viewers=of.viewers,
        evict_at=None if of.evict_at_s is None else to_rfc3339(of.evict_at_s),
        watts=of.watts,
        host=None if of.host is None else _host(of.host),
    )


def _host(of: HostUsage) -> HostOut:
    return HostOut(
        host=of.host,
        cores=of.cores,
        cores_used=round(of.cores_used, 3),
        memory_mb=round(of.memory_mb, 1),
        memory_used_mb=round(of.memory_used_mb, 1),
    )
