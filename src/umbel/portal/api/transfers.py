"""Addresses of transfers, as Kurento's repository has them: who has one may upload to an item, or
read it, by any HTTP client and without an account.

In: bytes, raw, chunked, as a form, or piece by piece. Out: bytes, whole or by ranges.
"""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from umbel.kit.connections import source_of
from umbel.kit.errors import NotFound
from umbel.portal import auth, errors
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Problem
from umbel.portal.multipart import FORM, open_file
from umbel.portal.ports import System
from umbel.portal.range_responses import DEFAULT_TYPE, PieceResponse, respond, unsatisfiable
from umbel.portal.transfer_limits import TransferLimits
from umbel.repository.model import Item, UploadIncomplete
from umbel.repository.ranges import (
    BadContentRange,
    ContentRange,
    RangeUnsatisfiable,
    parse_content_range,
)
from umbel.repository.service import Source
from umbel.repository.transfers.model import Direction

PATH = "/repository_servlet"
STREAMS = re.compile(rf"{PATH}/[^/]+")
"""The paths whose bodies are streamed."""

router = Resource(prefix=PATH, tags=["repository"])

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,60}", re.ASCII)
_ALLOWED = "GET, HEAD, OPTIONS, POST, PUT"
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BYTES: dict[str, Any] = {"content": {DEFAULT_TYPE: _BINARY}}
_READ: dict[int | str, dict[str, Any]] = {
    200: {"description": "All bytes", **_BYTES},
    206: {
        "description": "The bytes of one range, or of several as multipart/byteranges",
        "content": {DEFAULT_TYPE: _BINARY, "multipart/byteranges": _BINARY},
    },
    304: {"description": "Nothing changed"},
    412: {"model": Problem, "description": "It is not the item that the conditions name"},
    416: {"model": Problem, "description": "There are no such bytes"},
}
_WRITTEN: dict[int | str, dict[str, Any]] = {
    501: {"model": Problem, "description": "The piece does not follow what is there"}
}
Secret = Annotated[str, Path(max_length=64)]


class UploadedOut(BaseModel):
    """The item and how many bytes it has."""

    id: str
    size: int


@router.get("/{secret}", response_class=Response, responses=_READ)
async def download(system: auth.SystemDep, request: Request, secret: Secret) -> Response:
    """Read the item: all of it, or the ranges in `Range`."""
    return await read_by_address(system, request, secret, has_body=True)


@router.head("/{secret}", response_class=Response, include_in_schema=False)
async def head_download(system: auth.SystemDep, request: Request, secret: Secret) -> Response:
    """The same headers without the bytes."""
    return await read_by_address(system, request, secret, has_body=False)


@router.options("/{secret}", status_code=204, include_in_schema=False)
async def options_transfer(secret: Secret) -> Response:
    """The methods that an address takes."""
    return Response(status_code=204, headers={"Allow": _ALLOWED})


@router.put(
    "/{secret}",
    responses=_WRITTEN,
    openapi_extra={"requestBody": {"required": True, **_BYTES}},
)
async def upload(system: auth.SystemDep, request: Request, secret: Secret) -> UploadedOut:
    """Upload the item: the body itself, or the file of a `multipart/form-data` form. With
    `Content-Range` the body is one piece, and pieces come in order."""
    return await write_by_address(system, request, secret)


@router.post(
    "/{secret}",
    responses=_WRITTEN,
    openapi_extra={"requestBody": {"required": True, **_BYTES}},
)
async def upload_by_post(system: auth.SystemDep, request: Request, secret: Secret) -> UploadedOut:
    """The same as PUT."""
    return await write_by_address(system, request, secret)


async def read_by_address(
    system: System, request: Request, secret: str, *, has_body: bool
) -> Response:
    """The answer to a GET or a HEAD. Raises NoSuchTransfer, WrongDirection, ItemEmpty, ItemDamaged,
    PreconditionFailed, StorageFailed."""
    with _slot(request, system) as slot:
        with _counted(request, system):
            item_id = await system.repository.transfers.item(secret, Direction.DOWNLOAD)
            content = await system.repository.content(item_id)
        try:
            response = await respond(
                content, request.headers, system.repository.read, has_body=has_body
            )
        except RangeUnsatisfiable as error:
            return errors.problem(error, unsatisfiable(error))
        if isinstance(response, PieceResponse):
            response.slot = slot.pop_all()  # until its last piece
    return response


async def write_by_address(system: System, request: Request, secret: str) -> UploadedOut:
    """What the upload made of the item. Raises NoSuchTransfer, WrongDirection, BadContentRange,
    BadMultipart and what `Uploads.write` raises."""
    with _slot(request, system):
        with _counted(request, system):
            item_id = await system.repository.transfers.item(secret, Direction.UPLOAD)
        item = await _write(system, request, item_id, _content_range(request))
    return UploadedOut(id=item.id, size=item.size)


@contextmanager
def _slot(request: Request, system: System) -> Iterator[ExitStack]:
    """One of the client's transfers, until the end of the block or of who takes it from the stack.
    Raises what the limits say."""
    limits, source = _limits(request)
    with ExitStack() as stack:
        stack.enter_context(limits.slot(source, system.clock.monotonic_s()))
        yield stack


@contextmanager
def _counted(request: Request, system: System) -> Iterator[None]:
    """Counts what is not there."""
    try:
        yield
    except NotFound:
        limits, source = _limits(request)
        limits.unknown(source, system.clock.monotonic_s())
        raise


def _limits(request: Request) -> tuple[TransferLimits, str]:
    return request.app.state.transfer_limits, source_of(auth.caller(request))


async def _write(
    system: System, request: Request, item_id: str, piece: ContentRange | None
) -> Item:
    content_type, size = request.headers.get("content-type", ""), _declared(request)
    offset = None if piece is None or piece.start == 0 else piece.start
    body = _body(request)
    if _media_type(content_type) == FORM:
        content_type, chunks = await open_file(body, content_type)
        size = None
    else:
        chunks = body
    if piece is not None:
        size = piece.end - piece.start
    source = Source(chunks=chunks, size=size, offset=offset, content_type=_kind(content_type))
    async with aclosing(body), aclosing(chunks):
        return await system.repository.write(item_id, source)


def _content_range(request: Request) -> ContentRange | None:
    header, declared = request.headers.get("content-range"), _declared(request)
    if header is None:
        return None
    piece = parse_content_range(header)
    is_form = _media_type(request.headers.get("content-type", "")) == FORM
    if not is_form and declared is not None and declared != piece.end - piece.start:
        raise BadContentRange(f"The body has {declared} bytes, and Content-Range names others")
    return piece


def _declared(request: Request) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length[:18]) if length.isascii() and length.isdecimal() else None


def _media_type(content_type: str) -> str:
    """A Content-Type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def _kind(content_type: str) -> str:
    """The media type of an item, empty for what is none."""
    kind = _media_type(content_type)
    return kind if _MEDIA_TYPE.fullmatch(kind) and kind != FORM else ""


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise UploadIncomplete("The connection ended before all bytes had come") from None
