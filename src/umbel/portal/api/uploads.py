"""Files of providers on their way in, by tus 1.0.0: they may be interrupted and go on.

In: the requests of any tus client. Out: an upload that becomes a file when all bytes are there.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from umbel.catalogue.model import User
from umbel.kit.errors import Forbidden, Invalid, UmbelError
from umbel.portal import auth, errors
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Problem
from umbel.portal.ports import System
from umbel.repository import tus
from umbel.repository.model import UploadIncomplete
from umbel.repository.resumable import Upload

PATH = "/api/v1/uploads"
STREAMS = rf"{PATH}/[^/]+"
"""The paths whose bodies are streamed."""

_VERSION = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}
_TUS: dict[int | str, dict[str, Any]] = {
    412: {"model": Problem, "description": "The client speaks another version of tus"}
}
_RECEIVED: dict[int | str, dict[str, Any]] = {
    **_TUS,
    204: {"description": "The bytes were kept; Upload-Offset is where to go on"},
    460: {"model": Problem, "description": "The bytes do not have the checksum"},
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {tus.OFFSET_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}
Text = Annotated[str | None, Header(max_length=5_000)]
UploadId = Annotated[str, Path(max_length=64)]


@dataclass(frozen=True)
class TusHeaders:
    """What the protocol says of a request."""

    tus_resumable: str | None
    upload_length: str | None
    upload_metadata: str
    upload_offset: str | None
    upload_checksum: str | None


async def _tus_headers(
    tus_resumable: Text = None,
    upload_length: Text = None,
    upload_metadata: Text = None,
    upload_offset: Text = None,
    upload_checksum: Text = None,
) -> TusHeaders:
    return TusHeaders(
        tus_resumable, upload_length, upload_metadata or "", upload_offset, upload_checksum
    )


Headers = Annotated[TusHeaders, Depends(_tus_headers)]


class TusRoute(APIRoute):
    """Says the version of tus in errors, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except UmbelError as error:
                more = {"Tus-Version": tus.VERSION} if isinstance(error, tus.TusVersion) else {}
                return errors.problem(error, _VERSION | more)

        return handled


router = Resource(prefix=PATH, tags=["files"], route_class=TusRoute)


@router.options("", status_code=204, include_in_schema=False)
@router.options("/{upload_id}", status_code=204, include_in_schema=False)
async def describe_uploads(system: auth.SystemDep) -> Response:
    """What the server does of tus."""
    headers = {
        "Tus-Resumable": tus.VERSION,
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Max-Size": str(system.repository.store.quota.bytes),
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
    }
    return Response(status_code=204, headers=headers)


@router.post("", status_code=201, response_class=Response, responses=_TUS)
async def create_upload(
    system: auth.SystemDep,
    user: auth.SignedIn,
    given: Headers,
    provider_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Begin to upload a file of your provider; an operator names the provider. `Location` is where
    its bytes go. `Upload-Metadata` may hold `filename`."""
    tus.check_version(given.tus_resumable)
    owner = provider_id or user.provider_id
    if not owner:
        raise Forbidden("Name the provider that the file is for: `?provider_id=`")
    auth.may_run(user, owner)
    await system.catalogue.provider(owner)
    length = tus.number("Upload-Length", given.upload_length)
    if not length:
        raise tus.BadTusHeader("A file has one byte at least", header="Upload-Length")
    upload = await system.files.begin(owner, length, given.upload_metadata)
    headers = {"Location": f"{PATH}/{upload.item.id}", **_progress(upload)}
    return Response(status_code=201, headers=headers)


@router.head("/{upload_id}", include_in_schema=False)
async def find_upload_offset(
    system: auth.SystemDep, user: auth.SignedIn, upload_id: UploadId, given: Headers
) -> Response:
    """Where to go on."""
    tus.check_version(given.tus_resumable)
    upload = await _theirs(system, user, upload_id)
    headers = {"Upload-Length": str(upload.length), **_progress(upload)}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Response(status_code=200, headers=headers)


@router.patch(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=_RECEIVED,
    openapi_extra={"requestBody": _BODY},
)
async def append_to_upload(
    system: auth.SystemDep,
    user: auth.SignedIn,
    request: Request,
    upload_id: UploadId,
    given: Headers,
) -> Response:
    """Send the next bytes of an upload. What came before a connection was lost stays, but with
    `Upload-Checksum` all bytes of the request count or none."""
    tus.check_version(given.tus_resumable)
    await _theirs(system, user, upload_id)
    tus.check_content_type(request.headers.get("content-type", ""))
    offset = tus.number("Upload-Offset", given.upload_offset)
    checksum = tus.checksum(given.upload_checksum)
    async with aclosing(_body(request, is_whole=checksum is not None)) as body:
        upload = await system.files.receive(upload_id, offset, body, checksum)
    return Response(status_code=204, headers=_progress(upload))


@router.delete("/{upload_id}", status_code=204, response_class=Response, responses=_TUS)
async def delete_upload(
    system: auth.SystemDep, user: auth.SignedIn, upload_id: UploadId, given: Headers
) -> Response:
    """Give an upload up; what came of it is deleted. A file is deleted by its own path."""
    tus.check_version(given.tus_resumable)
    await _theirs(system, user, upload_id)
    await system.files.give_up(upload_id)
    return Response(status_code=204, headers=_VERSION)


@router.post("/{upload_id}", include_in_schema=False)
async def override_method(
    system: auth.SystemDep,
    user: auth.SignedIn,
    request: Request,
    upload_id: UploadId,
    given: Headers,
) -> Response:
    """The same for clients that can only POST."""
    method = request.headers.get("x-http-method-override", "").upper()
    if method == "DELETE":
        return await delete_upload(system, user, upload_id, given)
    if method != "PATCH":
        raise Invalid("Send PATCH, or POST with `X-HTTP-Method-Override: PATCH`")
    return await append_to_upload(system, user, request, upload_id, given)


async def _theirs(system: System, user: User, upload_id: str) -> Upload:
    """The upload, if the user may have it. Raises NoSuchResumableUpload, Forbidden."""
    upload = await system.files.resumable.get(upload_id)
    auth.may_run(user, upload.item.owner)
    return upload


def _progress(upload: Upload) -> dict[str, str]:
    headers = {**_VERSION, "Upload-Offset": str(upload.item.size)}
    if upload.item.expires_s is not None:
        at = datetime.fromtimestamp(upload.item.expires_s, UTC)
        headers["Upload-Expires"] = format_datetime(at, usegmt=True)
    return headers


async def _body(request: Request, *, is_whole: bool) -> AsyncGenerator[bytes, None]:
    """The bytes as they come. A connection that is lost ends them, unless all must come."""
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        if is_whole:
            raise UploadIncomplete("The connection ended before all bytes had come") from None
