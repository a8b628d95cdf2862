"""A viewer's recordings of events (MyShare): made, named, played, shared by links, deleted."""

from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field, StrictBool

from umbel.delivery.trees import renditions
from umbel.kit.clock import to_rfc3339
from umbel.portal import addresses, auth
from umbel.portal.api import replays
from umbel.portal.api.replays import ReplayOut
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, Quality
from umbel.recordings.model import (
    LONGEST_NAME,
    LONGEST_SHARE_S,
    Kept,
    RecordingState,
    Share,
)
from umbel.recordings.rights import Right, RightKind

router = Resource(prefix="/api/v1", tags=["recordings"])

_DAY_S = 86_400.0
RecordingId = Annotated[str, Path(max_length=64)]


class RecordingIn(Given):
    """Which event to record, whether from now on or from the beginning of what there is, and in
    which of the event's qualities but VP8."""

    event_id: Annotated[str, Field(max_length=64)]
    begin: Literal["now", "start"] = "now"
    quality: Quality = renditions.SOURCE


class RecordingPatch(Given):
    """What to change: another name, or that no more is recorded."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    stop: StrictBool = False


class RecordingOut(BaseModel):
    """A recording; a `reserved` one was asked for before the event. `began_at` is null while there
    is nothing; `problem` says in words what is wrong, and is empty else."""

    id: str
    name: str
    event_id: str
    event_title: str
    provider_name: str
    quality: str
    state: RecordingState
    reserved: bool
    bytes: int
    duration_s: float
    began_at: str | None
    created_at: str
    problem: str


class RecordingsOut(BaseModel):
    """One's recordings, and how many bytes they take of those they may take."""

    recordings: list[RecordingOut]
    used_bytes: int
    quota_bytes: int


class LinkShareIn(Given):
    """For how long a link works, in seconds."""

    expires_in_s: Annotated[float, Field(ge=60, le=LONGEST_SHARE_S)] = 30 * _DAY_S


class LinkShareOut(BaseModel):
    """A link to a recording, without its secret."""

    id: str
    created_at: str
    expires_at: str


class NewLinkShareOut(LinkShareOut):
    """The link's address. It is shown once; anyone who has it can see the recording."""

    url: str


@router.get("/me/recordings")
async def list_recordings(system: auth.SystemDep, user: auth.SignedIn) -> RecordingsOut:
    """One's recordings, the newest first."""
    kept, usage = await system.recordings.of(user.username)
    return RecordingsOut(
        recordings=[_recording(one) for one in kept],
        used_bytes=usage.bytes,
        quota_bytes=usage.quota_bytes,
    )


@router.post("/me/recordings", status_code=201)
async def record(
    system: auth.SystemDep, user: auth.SignedIn, by: auth.Watching, given: RecordingIn
) -> RecordingOut:
    """Record an event that is on air, from now on or from the beginning of what there is of it. One
    that is over can be kept where everybody may see it again."""
    await system.catalogue.audiences.event(given.event_id, by)
    is_whole = given.begin == "start"
    made = await system.recordings.start(
        user.username, given.event_id, from_start=is_whole, quality=given.quality
    )
    return _recording(made)


@router.get("/me/recordings/{recording_id}")
async def get_recording(
    system: auth.SystemDep, user: auth.SignedIn, recording_id: RecordingId
) -> RecordingOut:
    """One of one's recordings."""
    return _recording(await system.recordings.the(user.username, recording_id))


@router.patch("/me/recordings/{recording_id}")
async def change_recording(
    system: auth.SystemDep, user: auth.SignedIn, recording_id: RecordingId, given: RecordingPatch
) -> RecordingOut:
    """Rename it, or stop it."""
    if given.name is not None:
        await system.recordings.rename(user.username, recording_id, given.name)
    if given.stop:
        await system.recordings.stop(user.username, recording_id)
    return _recording(await system.recordings.the(user.username, recording_id))


@router.delete("/me/recordings/{recording_id}", status_code=204)
async def delete_recording(
    system: auth.SystemDep, user: auth.SignedIn, recording_id: RecordingId
) -> None:
    """Delete it. What others keep of the same event stays theirs."""
    await system.recordings.delete(user.username, recording_id)


@router.post("/me/recordings/{recording_id}/replay")
async def replay_recording(
    system: auth.SystemDep, user: auth.SignedIn, recording_id: RecordingId
) -> ReplayOut:
    """Get addresses to play it, and to download it."""
    kept, extent = await system.recordings.extent(user.username, recording_id)
    right = Right(kind=RightKind.RECORDING, of=recording_id)
    return await replays.response(system, kept.recording.name, extent, right)


@router.get("/me/recordings/{recording_id}/shares")
async def list_recording_shares(
    system: auth.SystemDep, user: auth.SignedIn, recording_id: RecordingId
) -> list[LinkShareOut]:
    """The links to it that work."""
    shares = await system.recordings.shares(user.username, recording_id)
    return [LinkShareOut(**_share(one)) for one in shares]


@router.post("/me/recordings/{recording_id}/shares", status_code=201)
async def share_recording(
    system: auth.SystemDep,
    request: Request,
    user: auth.SignedIn,
    recording_id: RecordingId,
    given: LinkShareIn,
) -> NewLinkShareOut:
    """Make a link to it."""
    share, secret = await system.recordings.share(user.username, recording_id, given.expires_in_s)
    return NewLinkShareOut(
        **_share(share), url=f"{addresses.of(system, request).base}/shared/{secret}"
    )


@router.delete("/me/recordings/{recording_id}/shares/{share_id}", status_code=204)
async def revoke_recording_share(
    system: auth.SystemDep,
    user: auth.SignedIn,
    recording_id: RecordingId,
    share_id: Annotated[str, Path(max_length=64)],
) -> None:
    """The link no longer works. One that there is not, is not an error."""
    await system.recordings.revoke(user.username, recording_id, share_id)


@router.get("/shared-recordings/{secret}")
async def get_shared_recording(
    system: auth.SystemDep, secret: Annotated[str, Path(max_length=64)]
) -> ReplayOut:
    """Get addresses to play what a link leads to. No account is needed."""
    recording, share, extent = await system.recordings.shared(secret)
    right = Right(kind=RightKind.SHARE, of=share.id)
    return await replays.response(system, recording.name, extent, right, until_s=share.expires_s)


def exported(kept: list[Kept]) -> list[dict[str, object]]:
    """As rows of the file with one's data."""
    return [_recording(one).model_dump(mode="json") for one in kept]


def _recording(kept: Kept) -> RecordingOut:
    one = kept.recording
    return RecordingOut(
        id=one.id,
        name=one.name,
        event_id=one.event_id,
        event_title=kept.event_title,
        provider_name=kept.provider_name,
        quality=renditions.quality_of(one.stream),
        state=kept.state,
        reserved=one.reserved,
        bytes=kept.size,
        duration_s=kept.duration_s,
        began_at=None if kept.began_s is None else to_rfc3339(kept.began_s),
        created_at=to_rfc3339(one.created_s),
        problem=kept.problem,
    )


def _share(share: Share) -> dict[str, str]:
    return {
        "id": share.id,
        "created_at": to_rfc3339(share.created_s),
        "expires_at": to_rfc3339(share.expires_s),
    }
