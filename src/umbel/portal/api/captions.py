"""Captions: whether speech is recognised, what was said, search in it, and replays' tracks."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field

from umbel.catalogue.captions.model import Caption
from umbel.kit.clock import to_rfc3339
from umbel.kit.errors import Conflict
from umbel.kit.languages import LONGEST
from umbel.portal import auth, grants, replay_captions
from umbel.portal.api.replays import LISTED, PATH, PLAYLIST_TYPE, Number, Token
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given
from umbel.portal.ports import System
from umbel.recordings import subtitles
from umbel.recordings.subtitles import MULTIVARIANT, SUBTITLES

router = Resource(tags=["captions"])

_VTT = "text/vtt"
_MOST_QUERY = 200


class NoCaptionEngine(Conflict):
    """Nothing on this platform recognises speech."""

    code = "umbel.no_caption_engine"


class CaptionPolicyIn(Given):
    """Which language is spoken, as a tag such as en-US; null: speech is not recognised."""

    language: Annotated[str, Field(max_length=LONGEST)] | None


class CaptionPolicyOut(BaseModel):
    """Which language is recognised, null for none. `problem` says why no captions come; it is empty
    while all is well. `available`: something on this platform recognises speech."""

    language: str | None
    problem: str
    available: bool


class CaptionOut(BaseModel):
    """What was said, and from when until when by the stream's clock."""

    number: int
    text: str
    starts_at: str
    ends_at: str


class CaptionsOut(BaseModel):
    """What was said, the oldest first. `language` is null where speech is not recognised now."""

    language: str | None
    captions: list[CaptionOut]


class FoundCaptionOut(CaptionOut):
    """A caption that has what was searched for. `position_s`: where it is in the event's replay,
    null where everybody may not see that again."""

    event_id: str
    event_title: str
    provider_name: str
    position_s: float | None


class FoundCaptionsOut(BaseModel):
    """What was found, the latest first."""

    captions: list[FoundCaptionOut]


@router.get("/api/v1/events/{event_id}/caption-policy")
async def get_caption_policy(
    system: auth.SystemDep, user: auth.SignedIn, by: auth.Watching, event_id: str
) -> CaptionPolicyOut:
    """Get whether speech is recognised in the event, for who runs it."""
    event = await system.catalogue.audiences.event_to_run(event_id, by)
    auth.may_run(user, event.provider_id)
    return await _policy(system, event_id)


@router.put("/api/v1/events/{event_id}/caption-policy")
async def set_caption_policy(
    system: auth.SystemDep,
    user: auth.SignedIn,
    by: auth.Watching,
    event_id: str,
    given: CaptionPolicyIn,
) -> CaptionPolicyOut:
    """Have speech recognised in the event from now on, or not any more: captions that there are
    stay."""
    event = await system.catalogue.audiences.event_to_run(event_id, by)
    auth.may_run(user, event.provider_id)
    if given.language is not None and not system.settings.captions_engine:
        raise NoCaptionEngine
    await system.catalogue.captions.set_policy(event_id, given.language)
    return await _policy(system, event_id)


@router.get("/api/v1/events/{event_id}/captions")
async def list_captions(
    system: auth.SystemDep,
    by: auth.Watching,
    event_id: str,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> CaptionsOut:
    """List what was said in the event after that caption, at most 200; without `after` the
    newest. For those who may watch it."""
    await system.catalogue.audiences.event(event_id, by)
    policy = await system.catalogue.captions.policy(event_id)
    return CaptionsOut(
        language=None if policy is None else policy.language,
        captions=[_out(one) for one in await system.catalogue.captions.after(event_id, after)],
    )


@router.delete("/api/v1/events/{event_id}/captions", status_code=204)
async def delete_captions(
    system: auth.SystemDep, user: auth.SignedIn, by: auth.Watching, event_id: str
) -> None:
    """Delete what was said in the event. What is said from now on is kept again."""
    event = await system.catalogue.audiences.event_to_run(event_id, by)
    auth.may_run(user, event.provider_id)
    await system.catalogue.captions.forget(event_id)


@router.get("/api/v1/captions")
async def search_captions(
    system: auth.SystemDep,
    by: auth.Watching,
    q: Annotated[str, Query(max_length=_MOST_QUERY, description="words or their beginnings")],
    event_id: Annotated[str | None, Query(max_length=64)] = None,
) -> FoundCaptionsOut:
    """Search what was said, at most 50 captions that have all the words: in that event, for those
    who may watch it, or in all public ones."""
    if event_id is not None:
        await system.catalogue.audiences.event(event_id, by)
    found = await system.catalogue.captions.search(q, event_id)
    replays = {
        one: await replay_captions.replay_index(system, one)
        for one in {one.event_id for one in found}
    }
    return FoundCaptionsOut(
        captions=[
            FoundCaptionOut(
                **_out(one.caption).model_dump(),
                event_id=one.event_id,
                event_title=one.event_title,
                provider_name=one.provider_name,
                position_s=None
                if (index := replays[one.event_id]) is None
                else replay_captions.position_s(index, one.caption),
            )
            for one in found
        ]
    )


@router.get(
    f"{PATH}/{{token}}/captions.vtt",
    response_class=Response,
    responses={200: {"content": {_VTT: {"schema": {"type": "string"}}}}},
)
async def get_replay_captions(system: auth.SystemDep, token: Token) -> Response:
    """The captions of a replay as WebVTT, on its timeline."""
    text = await replay_captions.vtt(system, await grants.extent_of(system, token))
    headers = {"Cache-Control": "private, no-cache"}
    return Response(text, media_type=f"{_VTT}; charset=utf-8", headers=headers)


@router.get(f"{PATH}/{{token}}/{MULTIVARIANT}", response_class=Response, responses=LISTED)
async def get_replay_multivariant(system: auth.SystemDep, token: Token) -> Response:
    """The playlist of a replay with subtitles."""
    index = await system.recordings.index(await grants.extent_of(system, token))
    return _listed(subtitles.multivariant(index.segments))


@router.get(f"{PATH}/{{token}}/{SUBTITLES}", response_class=Response, responses=LISTED)
async def get_replay_subtitles(system: auth.SystemDep, token: Token) -> Response:
    """The playlist of a replay's subtitles."""
    index = await system.recordings.index(await grants.extent_of(system, token))
    return _listed(subtitles.playlist(index.segments, is_growing=index.is_growing))


@router.get(
    f"{PATH}/{{token}}/captions-{{number}}.vtt",
    response_class=Response,
    responses={200: {"content": {_VTT: {"schema": {"type": "string"}}}}},
)
async def get_replay_subtitle(system: auth.SystemDep, token: Token, number: Number) -> Response:
    """The subtitles of a segment of a replay."""
    text = await replay_captions.piece(system, await grants.extent_of(system, token), number)
    headers = {"Cache-Control": "private, no-cache"}
    return Response(text, media_type=f"{_VTT}; charset=utf-8", headers=headers)


def _listed(text: str) -> Response:
    headers = {"Cache-Control": "private, no-cache"}
    return Response(text, media_type=PLAYLIST_TYPE, headers=headers)


async def _policy(system: System, event_id: str) -> CaptionPolicyOut:
    found = await system.catalogue.captions.policy(event_id)
    return CaptionPolicyOut(
        language=None if found is None else found.language,
        problem="" if found is None else found.problem,
        available=bool(system.settings.captions_engine),
    )


def _out(of: Caption) -> CaptionOut:
    return CaptionOut(
        number=of.number,
        text=of.text,
        starts_at=to_rfc3339(of.start_s),
        ends_at=to_rfc3339(of.end_s),
    )
