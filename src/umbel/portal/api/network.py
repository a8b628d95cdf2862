"""For operators: draw the network, list its switches, links and rules, add paths.

Without switches of ours (loopback) drawings and paths are refused: `umbel.network_not_programmed`.
"""

from typing import Annotated

from fastapi import Query

from umbel.network.service import Stream, StreamIntent
from umbel.portal import auth
from umbel.portal.api import network_shapes as shapes
from umbel.portal.api.network_shapes import (
    EndIn,
    FlowOut,
    LinkOut,
    PathIn,
    PathOut,
    SwitchOut,
    TopologyIn,
    TopologyOut,
)
from umbel.portal.api.resource import Resource

router = Resource(prefix="/api/v1/network", tags=["network"])


@router.get("/topology")
async def get_topology(system: auth.SystemDep, _operator: auth.Operator) -> TopologyOut:
    """Get the drawing: the tree, its spare links, and what is cut off."""
    return shapes.topology(system.network.operator.inspection.picture())


@router.put("/topology")
async def draw_topology(
    system: auth.SystemDep, _operator: auth.Operator, given: TopologyIn
) -> TopologyOut:
    """Set the drawing for streams. A cycle is valid: its heavier link becomes a spare."""
    nodes = [(node.name, node.role) for node in given.nodes]
    links = [(link.a, link.b) for link in given.links]
    return shapes.topology(await system.network.operator.draw(nodes, links))


@router.get("/switches")
async def list_switches(system: auth.SystemDep, _operator: auth.Operator) -> list[SwitchOut]:
    """List every node's switch with its ports. The list is empty where Umbel programs no
    switches."""
    return [shapes.switch(one) for one in system.network.operator.inspection.switches()]


@router.get("/links")
async def list_network_links(system: auth.SystemDep, _operator: auth.Operator) -> list[LinkOut]:
    """List every link: tree or spare, up or down, and the streams over it."""
    used = {frozenset((one.a, one.b)): one.used_mbps for one in await system.delivery.links()}
    return [shapes.link(one, used) for one in system.network.operator.inspection.links()]


@router.get("/flows")
async def list_flows(
    system: auth.SystemDep,
    _operator: auth.Operator,
    node: Annotated[str, Query(max_length=64, description="of this node's switch alone")] = "",
) -> list[FlowOut]:
    """Every rule the switches hold, explained."""
    return [shapes.flow(one) for one in system.network.flows(node)]


@router.get("/paths")
async def list_paths(system: auth.SystemDep, _operator: auth.Operator) -> list[PathOut]:
    """List every path, the oldest first."""
    return [shapes.path(one) for one in await system.network.operator.paths()]


@router.post("/paths", status_code=201)
async def add_path(system: auth.SystemDep, _operator: auth.Operator, given: PathIn) -> PathOut:
    """Route a stream from the root to a receiver at a leaf. Without a path its packets are
    dropped."""
    stream = Stream(
        name=given.stream,
        number=0,
        target=str(given.target.address) if given.target else "",
        port=given.target.port if given.target else 0,
        source=str(given.source.address) if given.source else "",
        source_port=(given.source.port or 0) if given.source else 0,
    )
    intent = StreamIntent(stream=stream, root=given.root, sender=given.sender)
    return shapes.path(await system.network.operator.add(intent, shapes.path_end(given)))


@router.get("/paths/{path_id}")
async def get_path(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """One path."""
    return shapes.path(await system.network.operator.path(path_id))


@router.delete("/paths/{path_id}", status_code=204)
async def remove_path(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> None:
    """Delete the path. The packets of a stream without paths are dropped."""
    await system.network.operator.remove(path_id)


@router.post("/paths/{path_id}/move")
async def move_leaf(
    system: auth.SystemDep, _operator: auth.Operator, path_id: str, given: EndIn
) -> PathOut:
    """Start a move: until commit or abort another receiver, at any leaf, also gets the stream."""
    return shapes.path(await system.network.operator.prepare(path_id, shapes.path_end(given)))


@router.post("/paths/{path_id}/move/commit")
async def commit_move(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """Commit the move: the old receiver no longer gets the stream."""
    return shapes.path(await system.network.operator.commit(path_id))


@router.post("/paths/{path_id}/move/abort")
async def abort_move(system: auth.SystemDep, _operator: auth.Operator, path_id: str) -> PathOut:
    """Abort the move: the path stays as it was."""
    return shapes.path(await system.network.operator.abort(path_id))
