"""Functions in advance, for operators: an idle edge serves its first viewer without a start."""

from typing import Annotated

from pydantic import BaseModel, Field

from umbel.delivery.prepared.model import MOST_PREPARED, Prepared
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1", tags=["nodes"])

Count = Annotated[int, Field(ge=0, le=MOST_PREPARED)]


class PreparedIn(Given):
    """How many idle edges and forwarders are to run on the node."""

    edges: Count = 0
    forwarders: Count = 0


class PreparedOut(BaseModel):
    """What is to run on the node in advance, and the idle functions there that serve at once."""

    node: str
    edges: int
    forwarders: int
    ready: list[str]


@router.get("/prepared")
async def list_prepared(system: auth.SystemDep, _operator: auth.Operator) -> list[PreparedOut]:
    """List the nodes on which functions run in advance."""
    return [
        PreparedOut(
            node=one.wanted.node,
            edges=one.wanted.edges,
            forwarders=one.wanted.forwarders,
            ready=list(one.ready),
        )
        for one in await system.prepared.list()
    ]


@router.put("/nodes/{name}/prepared", status_code=204)
async def set_prepared(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName, given: PreparedIn
) -> None:
    """Have so many idle functions run on the node. One that a stream takes is followed by another
    one; a cordoned or draining node, or one in standby, has none."""
    wanted = Prepared(node=name, edges=given.edges, forwarders=given.forwarders)
    await system.prepared.set(wanted, by=operator.username)
