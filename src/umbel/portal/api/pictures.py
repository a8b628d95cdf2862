"""Pictures of events: their providers upload them, and who may watch the event sees them.

In: JPEG, PNG or WebP. Out: the same picture without its metadata. The repository keeps the bytes,
for the provider. They are checked again when they are read, because the provider may change items.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Header, Path, Request, Response

from umbel.catalogue.model import NoPicture
from umbel.kit import image_files
from umbel.kit.errors import NotFound, UmbelError
from umbel.kit.image_files import JPEG, PNG, WEBP, ImageFile
from umbel.portal import auth
from umbel.portal.api.events import theirs
from umbel.portal.api.resource import Resource
from umbel.portal.ports import System
from umbel.portal.range_responses import DEFAULT_TYPE
from umbel.repository.service import Source

router = Resource(prefix="/api/v1/events/{event_id}/picture", tags=["events"])

EventId = Annotated[str, Path(max_length=64)]
PATHS = re.compile(r"/api/v1/events/[^/]+/picture")
MOST_BYTES = 1_048_576
_KEPT_S = 300
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
# The file says by itself what it is, and generators of clients know this type.
_BYTES: dict[str, Any] = {"content": {DEFAULT_TYPE: _FILE}}
_FILES: dict[str, Any] = {"content": dict.fromkeys((JPEG, PNG, WEBP), _FILE)}


@router.get(
    "",
    response_class=Response,
    responses={
        200: {"description": "The picture", **_FILES},
        304: {"description": "The caller has this picture already"},
    },
)
async def get_picture(
    system: auth.SystemDep,
    by: auth.Watching,
    event_id: str,
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """The picture of an event, for those who may watch it."""
    event = await system.catalogue.audiences.event(event_id, by)
    if not event.picture:
        raise NoPicture
    kept_by = "public" if event.is_listed else "private"
    headers = {
        "Cache-Control": f"{kept_by}, max-age={_KEPT_S}",
        "ETag": f'"{event.picture}"',
        "X-Content-Type-Options": "nosniff",
    }
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    found = await _read(system, event.picture)
    return Response(found.data, headers=headers, media_type=found.media_type)


@router.put("", status_code=204, openapi_extra={"requestBody": {"required": True, **_BYTES}})
async def set_picture(
    system: auth.SystemDep, user: auth.SignedIn, event_id: EventId, request: Request
) -> None:
    """Give the event a picture: JPEG, PNG or WebP, 1 MiB and 4096 pixels a side at most. What the
    file says of places, cameras and programs is removed."""
    event = await theirs(system, user, event_id)
    picture = image_files.parse(await request.body())
    about = {"event": event_id, "use": "picture"}
    item = await system.repository.create(event.provider_id, about)
    try:
        await system.repository.write(item.id, _source(picture))
        unused = await system.catalogue.set_picture(event_id, item.id)
    except BaseException:
        await system.repository.delete(item.id)
        raise
    await _drop(system, unused)


@router.delete("", status_code=204)
async def remove_picture(system: auth.SystemDep, user: auth.SignedIn, event_id: str) -> None:
    """The event has no picture any more. Idempotent."""
    event = await theirs(system, user, event_id)
    if event.picture:
        await _drop(system, await system.catalogue.set_picture(event_id, ""))


async def _read(system: System, item_id: str) -> ImageFile:
    """The provider may have deleted or changed the item. Raises NoPicture, StorageFailed."""
    try:
        content = await system.repository.content(item_id)
        if content.item.size > MOST_BYTES:
            raise NoPicture
        pieces = [piece async for piece in system.repository.read(content)]
        return image_files.parse(b"".join(pieces))
    except UmbelError as error:
        if error.http_status >= 500:
            raise
        raise NoPicture from error


def _source(picture: ImageFile) -> Source:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield picture.data

    return Source(chunks=chunks(), size=len(picture.data), content_type=picture.media_type)


async def _drop(system: System, item_id: str) -> None:
    """Delete an item that no event shows any more; its owner may have done it before."""
    if item_id:
        with suppress(NotFound):
            await system.repository.delete(item_id)
