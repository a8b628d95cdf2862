"""What carries the streams: links, functions for operators; a tree for its provider too."""

from collections.abc import Sequence

from pydantic import BaseModel

from umbel.compute.model import FunctionState
from umbel.delivery.model import Branch, FunctionStatus, LinkStatus, Tree
from umbel.delivery.trees import renditions
from umbel.delivery.trees.grafting import depth
from umbel.media.model import StreamRole
from umbel.network.model import Pair
from umbel.portal import auth
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Quality

router = Resource(prefix="/api/v1", tags=["platform"])


class BranchOut(BaseModel):
    """One function of a tree, and the function it takes the stream from."""

    function: str
    role: StreamRole
    node: str
    parent: str | None


class TreeOut(BaseModel):
    """What carries an event in a quality. `edges` are the pairs of nodes its packets cross (a
    function fed by one on its own node crosses nothing), `hops` the functions after the root on
    the longest way to a leaf. Where switches copy, `links` are those its packets go over now, away
    from the root; elsewhere there are none: each function sends to the next."""

    event_id: str
    quality: str
    root: str | None
    branches: list[BranchOut]
    edges: list[tuple[str, str]]
    links: list[tuple[str, str]]
    hops: int


class LinkLoadOut(BaseModel):
    """A link with the streams' rate over it, in Mbit/s; what switches count that each end sends
    (null where none counts), and what of that is beyond the streams."""

    a: str
    b: str
    mbps: float
    used_mbps: float
    a_sends_mbps: float | None = None
    b_sends_mbps: float | None = None
    foreign_mbps: float


class FunctionOut(BaseModel):
    """A function: whose it is, what it is (`role`), and what it carries. `replay_viewers` play
    recordings from it, which `mbps_out` does not count. `is_suspended`: it is a guest whose
    processors were stopped."""

    id: str
    owner: str
    role: str
    node: str
    state: FunctionState
    address: str
    cpu_cores: float
    rss_mb: float
    streams: list[str]
    viewers: int
    replay_viewers: int
    mbps_out: float
    is_suspended: bool


@router.get("/trees/{event_id}")
async def get_tree(
    system: auth.SystemDep, user: auth.SignedIn, event_id: str, quality: Quality = renditions.SOURCE
) -> TreeOut:
    """Get the tree that carries the event, in its own quality or as a rendition."""
    await theirs(system, user, event_id)
    tree = await system.delivery.tree(event_id, quality)
    return _tree(tree, system.network.operator.inspection.links_of(tree.stream))


@router.get("/links")
async def list_links(system: auth.SystemDep, _operator: auth.Operator) -> list[LinkLoadOut]:
    """Every link."""
    return [_link(one) for one in await system.delivery.links()]


@router.get("/functions")
async def list_functions(system: auth.SystemDep, _operator: auth.Operator) -> list[FunctionOut]:
    """Every function."""
    viewers = await system.replay_edges.viewers()
    found = await system.delivery.functions()
    return [_function(one, viewers.get(one.id, 0)) for one in found]


def _tree(tree: Tree, links: Sequence[Pair]) -> TreeOut:
    by_function = {branch.function: branch for branch in tree.branches}
    edges = [
        (by_function[branch.parent].node, branch.node)
        for branch in tree.branches
        if branch.parent and by_function[branch.parent].node != branch.node
    ]
    return TreeOut(
        event_id=renditions.event_of(tree.stream),
        quality=renditions.quality_of(tree.stream),
        root=tree.root.node if tree.root is not None else None,
        branches=[_branch(one) for one in tree.branches],
        edges=edges,
        links=list(links),
        hops=depth(tree),
    )


def _branch(of: Branch) -> BranchOut:
    return BranchOut(
        function=of.function,
        role=StreamRole(of.role),
        node=of.node,
        parent=of.parent or None,
    )


def _link(of: LinkStatus) -> LinkLoadOut:
    return LinkLoadOut.model_validate(of, from_attributes=True)


def _function(of: FunctionStatus, replay_viewers: int) -> FunctionOut:
    return FunctionOut(**vars(of), replay_viewers=replay_viewers)
