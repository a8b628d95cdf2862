"""Where a recording's playlist sends its viewer for the pieces: to an edge, or to the front end.

In: a request for a playlist. Out: the URL of a folder at an edge; an empty one where the front end
serves: no edge can, the viewer found that the edge does not answer, or pages are encrypted, which
edges are not yet, so that browsers would refuse them.
"""

import structlog
from fastapi import Request

from umbel.kit.connections import source_of
from umbel.kit.errors import NotFound, UmbelError
from umbel.kit.token_buckets import TokenBuckets
from umbel.media.replay import grants
from umbel.portal import auth
from umbel.portal.ports import System
from umbel.recordings.indexes import Index

log = structlog.get_logger(__name__)


async def folder(
    system: System, request: Request, token: str, index: Index, access_node: str | None
) -> str:
    """The folder, with a slash at its end, or empty. Raises NoSuchNode."""
    if request.url.scheme == "https" or not system.settings.replay_cache_mb:
        return ""
    try:
        base = await _base(system, request, token, index, access_node)
    except NotFound:
        raise
    except UmbelError as error:
        log.warning("replay by the front end", code=error.code, reason=error.message)
        return ""
    return f"{base}/replay/{token}/" if base else ""


async def _base(
    system: System, request: Request, token: str, index: Index, access_node: str | None
) -> str:
    address, grant_id = auth.caller(request), grants.id_of(token)
    node = access_node or await system.delivery.access_node_for(address)
    base = await system.replay_edges.find(grant_id, node)
    if base:
        return base
    # A bucket of their own: who plays recordings may still watch live events, and vice versa.
    opened: TokenBuckets = request.app.state.replays_opened
    if opened.take(source_of(address), system.clock.monotonic_s()) > 0:
        return ""
    return await system.replay_edges.open(grant_id, index.capture.id, node, index.mbps)
