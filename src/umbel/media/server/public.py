"""The public listener: WHIP (RFC 9725) for encoders, WHEP, HLS and replays for viewers, recordings.

In: HTTP from anywhere, opened by a stream key or a token. Out: SDP answers, playlists and
segments. A WebRTC resource's name is unguessable, and touching it needs the token again.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from umbel.kit.errors import Invalid
from umbel.kit.http import accepts_coding
from umbel.kit.tokens import TokenForeign, TokenMissing
from umbel.kit.web import HANDLERS, bearer
from umbel.media.hls import playlist
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.record import answer
from umbel.media.server import web
from umbel.media.server.elements.ingest_endpoint import IngestEndpoint
from umbel.media.server.elements.peers import Peers
from umbel.media.server.elements.recorder import SegmentRecorder
from umbel.media.server.elements.viewing import HlsEndpoint, WhepEndpoint
from umbel.media.server.registry import Registry
from umbel.media.server.replays import ReplayViewers
from umbel.media.server.viewer_tokens import ViewerTokens
from umbel.media.webrtc.reports import Answer

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_AFTER = re.compile(r"-1|[0-9]{1,15}")
_MOST_BOOT = 64


class PullInvalid(Invalid):
    """`after` is the number of the last segment that you have, or -1; `boot` names its recorder."""

    code = "umbel.record_pull_invalid"


class Whep:
    """Viewers by WebRTC (draft-ietf-wish-whep)."""

    def __init__(
        self, registry: Registry, webrtc: WebRtcPort, tokens: ViewerTokens, links: Mapping[str, str]
    ) -> None:
        self._registry = registry
        self._webrtc = webrtc
        self._tokens = tokens
        self._links = links

    async def post(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        session = self._tokens.session(_viewer_token(request), stream)
        endpoint = self._registry.part(stream, WhepEndpoint)
        answer = endpoint.watch(await web.read_text(request, _SDP), session)
        return _created(answer, endpoint.peers, f"/whep/{stream}", self._links)

    async def patch(self, request: Request) -> Response:
        return await _trickle(request, self._owned(request).peers, self._webrtc)

    async def delete(self, request: Request) -> Response:
        self._owned(request).end(request.path_params["resource"])
        return Response(status_code=200)

    def _owned(self, request: Request) -> WhepEndpoint:
        stream = request.path_params["stream"]
        session = self._tokens.session(_viewer_token(request), stream)
        endpoint = self._registry.part(stream, WhepEndpoint)
        if endpoint.peers.owner(request.path_params["resource"]) != session:
            raise TokenForeign
        return endpoint


class Whip:
    """Encoders by WebRTC."""

    def __init__(self, registry: Registry, webrtc: WebRtcPort, links: Mapping[str, str]) -> None:
        self._registry = registry
        self._webrtc = webrtc
        self._links = links

    async def post(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        endpoint = self._registry.part(stream, IngestEndpoint)
        key = _key(request)
        endpoint.check_key(key)
        answer = endpoint.publish(await web.read_text(request, _SDP), key)
        return _created(answer, endpoint.peers, f"/whip/{stream}", self._links)

    async def patch(self, request: Request) -> Response:
        return await _trickle(request, self._owned(request).peers, self._webrtc)

    async def delete(self, request: Request) -> Response:
        endpoint = self._owned(request)
        endpoint.unpublish(request.path_params["resource"])
        return Response(status_code=200)

    def _owned(self, request: Request) -> IngestEndpoint:
        endpoint = self._registry.part(request.path_params["stream"], IngestEndpoint)
        endpoint.check_key(_key(request))
        endpoint.peers.owner(request.path_params["resource"])
        return endpoint


class Hls:
    """Viewers by HTTP Live Streaming.

    The token is in the Authorization header, in the entry URL's query, or it is the folder of the
    stream that the multivariant playlist sends the viewer to: there, short relative URIs suffice.
    """

    def __init__(self, registry: Registry, tokens: ViewerTokens) -> None:
        self._registry = registry
        self._tokens = tokens

    async def get(self, request: Request) -> Response:
        stream = request.path_params["stream"]
        folder, _, name = request.path_params["path"].rpartition("/")
        session = self._tokens.session(_viewer_token(request) or folder, stream)
        query = dict(request.query_params)
        token = query.pop("token", "")
        own_folder = f"{quote(token, safe='')}/" if token and not folder else ""
        if own_folder and name in playlist.MEDIA_PLAYLISTS:
            location = f"{own_folder}{name}?{urlencode(query)}"
            return Response(None, 307, {"location": location, "cache-control": "no-store"})
        accepts_gzip = accepts_coding(request.headers.get("accept-encoding", ""), "gzip")
        found = await self._registry.part(stream, HlsEndpoint).get(
            name, query, session, folder=own_folder, accepts_gzip=accepts_gzip
        )
        headers = {"content-type": found.content_type, "cache-control": found.cache_control}
        headers |= {"vary": "Accept-Encoding"} if found.varies else {}
        headers |= {"content-encoding": "gzip"} if found.is_gzip else {}
        return Response(found.body, found.status, headers)


class Record:
    """The control plane, which pulls recordings. `after` acknowledges all up to that segment."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def get(self, request: Request) -> Response:
        token = bearer(request)
        if not token:
            raise TokenMissing
        recorder = self._registry.part(request.path_params["stream"], SegmentRecorder)
        recorder.check_token(token)
        after, boot = (request.query_params.get(name, "") for name in ("after", "boot"))
        if not _AFTER.fullmatch(after or "-1") or len(boot) > _MOST_BOOT:
            raise PullInvalid
        body = await recorder.pull(int(after or -1), boot)
        return Response(body, 200, {"cache-control": "no-store"}, media_type=answer.MEDIA_TYPE)


def public_app(
    registry: Registry,
    webrtc: WebRtcPort,
    tokens: ViewerTokens,
    replays: ReplayViewers,
    *,
    ice_servers: tuple[str, ...],
) -> web.Shell:
    """The application of the public listener."""
    entries = ", ".join(f'<{url}>; rel="ice-server"' for url in ice_servers)
    links = {"link": entries} if entries else {}
    whip, whep = Whip(registry, webrtc, links), Whep(registry, webrtc, tokens, links)
    hls, record = Hls(registry, tokens), Record(registry)
    routes = [
        Route("/whip/{stream}", whip.post, methods=["POST"]),
        Route("/whip/{stream}/{resource}", whip.patch, methods=["PATCH"]),
        Route("/whip/{stream}/{resource}", whip.delete, methods=["DELETE"]),
        Route("/whep/{stream}", whep.post, methods=["POST"]),
        Route("/whep/{stream}/{resource}", whep.patch, methods=["PATCH"]),
        Route("/whep/{stream}/{resource}", whep.delete, methods=["DELETE"]),
        Route("/hls/{stream}/{path:path}", hls.get, methods=["GET"]),
        Route("/record/{stream}/segments", record.get, methods=["GET"]),
        *replays.routes(),
    ]
    return web.Shell(Starlette(routes=routes, exception_handlers=dict(HANDLERS)))


def _created(answer: Answer, peers: Peers, path: str, links: Mapping[str, str]) -> Response:
    headers = {
        "location": f"{path}/{answer.resource}",
        "etag": peers.tag(answer.resource),
        "accept-patch": _FRAGMENT,
        "cache-control": "no-store",
        **links,
    }
    return Response(answer.sdp, 201, headers, media_type=_SDP)


async def _trickle(request: Request, peers: Peers, webrtc: WebRtcPort) -> Response:
    """RFC 9725 section 4.3: candidates (204), or a restart of ICE (200 with ours)."""
    resource = request.path_params["resource"]
    peers.check_tag(resource, request.headers.get("if-match"))
    restarted = webrtc.trickle(resource, await web.read_text(request, _FRAGMENT))
    if restarted is None:
        return Response(status_code=204)
    peers.restarted(resource)
    return Response(restarted, 200, {"etag": peers.tag(resource)}, media_type=_FRAGMENT)


def _viewer_token(request: Request) -> str:
    return bearer(request) or request.query_params.get("token", "")


def _key(request: Request) -> str:
    key = bearer(request)
    if not key:
        raise TokenMissing("send the stream key as `Authorization: Bearer ...`")
    return key
