"""Recordings as they are played: an event's replay for everybody, and the files of a playlist.

Who has a playlist's address may play what it names, without an account, for some hours and as long
as there is a right to it.
"""

import math
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, StrictBool

from umbel.kit.clock import to_rfc3339
from umbel.kit.http import accepts_coding
from umbel.portal import (
    auth,
    errors,
    file_responses,
    grants,
    replay_captions,
    replay_edges,
    replay_playlists,
)
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName, Problem
from umbel.portal.ports import System
from umbel.portal.range_responses import PieceResponse, unsatisfiable
from umbel.recordings.model import Extent
from umbel.recordings.playlists import MEDIA
from umbel.recordings.replays import files_of
from umbel.recordings.rights import Right
from umbel.recordings.storyboards.service import spread, vtt
from umbel.recordings.subtitles import MULTIVARIANT
from umbel.repository.ranges import RangeUnsatisfiable

PATH = "/replay"
router = Resource(tags=["recordings"])

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_MEDIA_TYPE = "video/mp4"
_FOR_EVER = "private, max-age=86400, immutable"
# Edges redirect browsers here, which is another origin then. The token is all that opens it.
_FROM_EDGES = {"Cache-Control": _FOR_EVER, "Access-Control-Allow-Origin": "*"}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_MP4: dict[int | str, dict[str, Any]] = {200: {"content": {_MEDIA_TYPE: _BINARY}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file", "content": {_MEDIA_TYPE: _BINARY}},
    206: {"description": "The bytes of one range", "content": {_MEDIA_TYPE: _BINARY}},
    304: {"description": "Nothing changed"},
    412: {"model": Problem, "description": "It is not the file that the conditions name"},
    416: {"model": Problem, "description": "There are no such bytes"},
}
LISTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {PLAYLIST_TYPE: {"schema": {"type": "string"}}}}
}
_VTT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/vtt": {"schema": {"type": "string"}}}}
}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": _BINARY}}}
_MOST_SHOWN = 8
Token = Annotated[str, Path(max_length=1000)]
Number = Annotated[int, Path(ge=0, le=2**31 - 1)]


class FileOut(BaseModel):
    """A file to download."""

    url: str
    name: str
    bytes: int
    duration_s: float


class ScenePictureOut(BaseModel):
    """A small picture of what is played at that time."""

    at_s: float
    url: str


class ReplayOut(BaseModel):
    """Where to play a recording: `url` is a playlist of HLS, which grows while `is_growing`. Where
    the stream changed its size in the middle, there are several files. `subtitled_url` is a
    playlist with captions as subtitles, and `captions_url` all of them as WebVTT; both are null
    where nothing was recognised. `storyboard_url` names a small picture for about every 10 s, null
    where there is none. `pictures` are a few of them."""

    title: str
    url: str
    subtitled_url: str | None
    captions_url: str | None
    duration_s: float
    is_growing: bool
    files: list[FileOut]
    storyboard_url: str | None
    pictures: list[ScenePictureOut]
    expires_at: str


class ReplayPolicyIn(Given):
    """Whether the event is recorded for everybody."""

    enabled: StrictBool


class ReplayPolicyOut(BaseModel):
    """Whether the event is recorded for everybody."""

    enabled: bool


@router.get("/api/v1/events/{event_id}/replay-policy")
async def get_replay_policy(
    system: auth.SystemDep, by: auth.Watching, event_id: str
) -> ReplayPolicyOut:
    """Get whether everybody who may watch the event may see it again."""
    await system.catalogue.audiences.event(event_id, by)
    return ReplayPolicyOut(enabled=await system.recordings.is_replayed(event_id))


@router.put("/api/v1/events/{event_id}/replay-policy")
async def set_replay_policy(
    system: auth.SystemDep,
    user: auth.SignedIn,
    by: auth.Watching,
    event_id: str,
    given: ReplayPolicyIn,
) -> ReplayPolicyOut:
    """Have the event recorded for everybody, who may then also go back while it is on air; or not
    any more: what nobody keeps for himself is deleted."""
    event = await system.catalogue.audiences.event_to_run(event_id, by)
    auth.may_run(user, event.provider_id)
    await system.recordings.set_replay(event_id, enabled=given.enabled)
    return ReplayPolicyOut(enabled=given.enabled)


@router.post("/api/v1/events/{event_id}/replay")
async def replay_event(system: auth.SystemDep, by: auth.Watching, event_id: str) -> ReplayOut:
    """Get addresses to play what was recorded of the event for everybody who may watch it."""
    await system.catalogue.audiences.event(event_id, by)
    event, extent = await system.recordings.replay(event_id)
    return await response(system, event.title, extent, grants.right_to(event, by))


@router.get(f"{PATH}/{{token}}/{MEDIA}", response_class=Response, responses=LISTED)
async def get_replay_playlist(
    system: auth.SystemDep,
    request: Request,
    token: Token,
    access_node: NodeName | None = None,
    *,
    direct: bool = False,
) -> Response:
    """The playlist of a replay. Its pieces are named at the edge that the policy chooses for a
    viewer at `access_node`; left out, the viewer's address tells. With `direct` they are the front
    end's, for players that do not reach the edge."""
    extent = await grants.extent_of(system, token)
    index = await system.recordings.index(extent)
    folder = ""
    if not direct:
        folder = await replay_edges.folder(system, request, token, index, access_node)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    # A token is in each line of it. Nothing in it is a stranger's, who could guess at the token.
    is_gzip = accepts_coding(request.headers.get("accept-encoding", ""), "gzip")
    headers |= {"Content-Encoding": "gzip"} if is_gzip else {}
    body = await replay_playlists.body(
        index.segments, is_growing=index.is_growing, folder=folder, is_gzip=is_gzip
    )
    return Response(body, media_type=PLAYLIST_TYPE, headers=headers)


@router.get(f"{PATH}/{{token}}/init-{{number}}.mp4", response_class=Response, responses=_MP4)
async def get_replay_section(system: auth.SystemDep, token: Token, number: Number) -> Response:
    """An initialisation section of a replay."""
    extent = await grants.extent_of(system, token)
    body = await system.recordings.replays.section(extent, number)
    return Response(body, media_type=_MEDIA_TYPE, headers=_FROM_EDGES)


@router.get(f"{PATH}/{{token}}/segment-{{number}}.m4s", response_class=Response, responses=_MP4)
async def get_replay_segment(system: auth.SystemDep, token: Token, number: Number) -> Response:
    """A segment of a replay."""
    extent = await grants.extent_of(system, token)
    size, pieces = await system.recordings.replays.segment(extent, number)
    headers = {**_FROM_EDGES, "Content-Length": str(size)}
    return PieceResponse(pieces, media_type=_MEDIA_TYPE, headers=headers)


@router.get(f"{PATH}/{{token}}/recording-{{number}}.mp4", response_class=Response, responses=_FILE)
async def get_replay_file(
    system: auth.SystemDep, request: Request, token: Token, number: Number, name: str = ""
) -> Response:
    """A file of a replay to keep, or a range of it. `name` is what browsers store it as."""
    extent = await grants.extent_of(system, token)
    file = await system.recordings.replays.file(extent, number)
    read = system.recordings.replays.read
    try:
        return await file_responses.respond(file, request.headers, read, name=name)
    except RangeUnsatisfiable as error:
        return errors.problem(error, unsatisfiable(error))


@router.get(f"{PATH}/{{token}}/storyboard.vtt", response_class=Response, responses=_VTT)
async def get_replay_storyboard(system: auth.SystemDep, token: Token) -> Response:
    """Which small picture shows what is played when."""
    index = await system.recordings.index(await grants.extent_of(system, token))
    text = vtt(await system.recordings.storyboards.of(index), index.duration_s)
    return Response(text, media_type="text/vtt", headers={"Cache-Control": "private, no-cache"})


@router.get(f"{PATH}/{{token}}/picture-{{number}}.jpg", response_class=Response, responses=_JPEG)
async def get_replay_picture(system: auth.SystemDep, token: Token, number: Number) -> Response:
    """A small picture of what was recorded."""
    index = await system.recordings.index(await grants.extent_of(system, token))
    jpeg = await system.recordings.storyboards.read(index, number)
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": _FOR_EVER})


async def response(
    system: System, title: str, extent: Extent, right: Right, *, until_s: float = math.inf
) -> ReplayOut:
    """Addresses of the extent, good as long as there is the right to it. Raises NothingRecorded,
    NoSuchRecording."""
    index = await system.recordings.index(extent)
    token, expires_s = grants.grant(system, extent, right, until_s=until_s)
    files, said = files_of(index), await replay_captions.of(system, index)
    shown = await system.recordings.storyboards.of(index)
    return ReplayOut(
        title=title,
        url=f"{PATH}/{token}/{MEDIA}",
        subtitled_url=f"{PATH}/{token}/{MULTIVARIANT}" if said else None,
        captions_url=f"{PATH}/{token}/captions.vtt" if said else None,
        duration_s=index.duration_s,
        is_growing=index.is_growing,
        files=[
            FileOut(
                url=f"{PATH}/{token}/recording-{number}.mp4",
                name=f"{title}{f' ({number + 1})' if len(files) > 1 else ''}.mp4",
                bytes=file.size,
                duration_s=sum(segment.duration_s for segment, _ in file.segments),
            )
            for number, file in enumerate(files)
        ],
        storyboard_url=f"{PATH}/{token}/storyboard.vtt" if shown else None,
        pictures=[
            ScenePictureOut(at_s=one.at_s, url=f"{PATH}/{token}/picture-{one.picture.number}.jpg")
            for one in spread(shown, _MOST_SHOWN)
        ],
        expires_at=to_rfc3339(expires_s),
    )
