"""Files of providers: what was uploaded, what is in it, a picture of it."""

from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import BaseModel

from umbel.catalogue.model import User
from umbel.kit.clock import to_rfc3339
from umbel.kit.errors import Forbidden
from umbel.playout.model import File
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/files", tags=["files"])

FileId = Annotated[str, Path(max_length=64)]
_JPEG = "image/jpeg"


class ProviderFileOut(BaseModel):
    """A file. `state` is `uploading` (`received` of `size` bytes are here), `checking`, `ready`, or
    `refused` (`problem` says why). Codecs are empty where there is no video or no audio."""

    id: str
    provider_id: str
    name: str
    size: int
    received: int
    state: str
    problem: str
    container: str
    duration_s: float
    video: str
    audio: str
    width: int
    height: int
    fps: float
    created_at: str


@router.get("")
async def list_files(
    system: auth.SystemDep,
    user: auth.SignedIn,
    provider_id: Annotated[str | None, Query(max_length=64)] = None,
) -> list[ProviderFileOut]:
    """List your provider's files, the newest first; an operator names the provider."""
    owner = provider_id or user.provider_id
    if not owner:
        raise Forbidden("Name the provider whose files to list: `?provider_id=`")
    auth.may_run(user, owner)
    return [await _response(system, one) for one in await system.files.list(owner)]


@router.get("/{file_id}")
async def get_file(system: auth.SystemDep, user: auth.SignedIn, file_id: FileId) -> ProviderFileOut:
    """One file."""
    return await _response(system, await their_file(system, user, file_id))


@router.get(
    "/{file_id}/picture",
    response_class=Response,
    responses={200: {"description": "JPEG, at most 640 x 360", "content": {_JPEG: {}}}},
)
async def get_file_picture(
    system: auth.SystemDep, user: auth.SignedIn, file_id: FileId
) -> Response:
    """A picture of the file, once it was checked."""
    await their_file(system, user, file_id)
    jpeg = await system.files.store.picture(file_id)
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(jpeg, headers=headers, media_type=_JPEG)


@router.delete("/{file_id}", status_code=204)
async def delete_file(system: auth.SystemDep, user: auth.SignedIn, file_id: FileId) -> None:
    """Delete the file with its bytes, unless an event that is not over streams it."""
    await their_file(system, user, file_id)
    await system.files.delete(file_id)


async def their_file(system: System, user: User, file_id: str) -> File:
    """The file, if the user may have it. Raises NoSuchFile, Forbidden."""
    file = await system.files.get(file_id)
    auth.may_run(user, file.provider_id)
    return file


async def _response(system: System, file: File) -> ProviderFileOut:
    facts = file.facts
    return ProviderFileOut(
        id=file.id,
        provider_id=file.provider_id,
        name=file.name,
        size=file.size,
        received=await system.files.received(file),
        state=file.state.value,
        problem=file.problem,
        container=facts.container,
        duration_s=facts.duration_s,
        video=facts.video,
        audio=facts.audio,
        width=facts.width,
        height=facts.height,
        fps=facts.fps,
        created_at=to_rfc3339(file.created_s),
    )
