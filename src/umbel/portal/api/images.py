"""Images that guests begin from, for operators: the control plane's, and those that nodes have."""

import re
from typing import Annotated, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, Field

from umbel.compute.images.model import PARTS, Image, ImageStatus, StoredImage
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1", tags=["guests"])

PIECES = re.compile(r"/api/v1/images/[^/]+/parts/[a-z]+")
"""The paths whose bodies are pieces of an image."""
MOST_PIECE_BYTES = 4 * 2**20
_ID = r"^[a-z][a-z0-9-]{0,40}-[0-9a-f]{16}$"
_HASH = r"^[0-9a-f]{64}$"
_MOST_PART_BYTES = 2**40
Part = Literal["kernel", "initrd", "disk"]
ImageId = Annotated[str, Path(pattern=_ID)]
Word = Annotated[str, Field(max_length=1000)]


class ImagePartIn(Given):
    """A part's SHA-256, and its size in bytes."""

    sha256: Annotated[str, Field(pattern=_HASH)]
    size: Annotated[int, Field(ge=1, le=_MOST_PART_BYTES)]


class ImageIn(Given):
    """An image that is to be uploaded. `command` starts its function, empty where the function says
    the words; a guest has at least `memory_mb` (MiB); `packages` are what it was made of."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,23}$")]
    parts: Annotated[dict[Part, ImagePartIn], Field(min_length=len(PARTS))]
    command: Annotated[tuple[Word, ...], Field(max_length=100)] = ()
    memory_mb: Annotated[int, Field(ge=16, le=1_048_576)] = Image.memory_mb
    packages: Annotated[dict[Word, Word], Field(max_length=1000, default_factory=dict)]


class ImageOut(BaseModel):
    """An image of the control plane. `is_newest`: its name means this one."""

    id: str
    name: str
    size_mb: float
    packages: int
    is_newest: bool


class UploadOut(BaseModel):
    """How many bytes of each part of an image are here; pieces follow from there."""

    id: str
    received: dict[str, int]


class ReceivedOut(BaseModel):
    """How many bytes of the part are here."""

    received: int


class CopyIn(Given):
    """The image, by name or id, that the node is to have."""

    image: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class StoredImageOut(BaseModel):
    """An image at a node. `state` is `complete`, `copying` (`copied_mb` of `size_mb`), `failed`
    (`problem` says why), or `incomplete` where a copy did not end. `used_by` are the functions
    whose guests began from it."""

    id: str
    size_mb: float
    state: str
    copied_mb: float
    problem: str
    used_by: list[str]


@router.get("/images")
async def list_images(system: auth.SystemDep, _operator: auth.Operator) -> list[ImageOut]:
    """List the control plane's images, by id."""
    return [_image(one) for one in await system.images.list()]


@router.post("/images", status_code=202)
async def begin_image_upload(
    system: auth.SystemDep, operator: auth.Operator, given: ImageIn
) -> UploadOut:
    """Begin to upload an image, or go on with one that was interrupted: PUT each part then."""
    image = Image(
        name=given.name,
        command=given.command,
        hashes={part: given.parts[part].sha256 for part in given.parts},
        memory_mb=given.memory_mb,
        packages=given.packages,
    )
    sizes: dict[str, int] = {part: given.parts[part].size for part in given.parts}
    received = await system.images.begin(image, sizes, by=operator.username)
    return UploadOut(id=image.id, received=dict(received))


@router.put("/images/{image_id}/parts/{part}")
async def upload_image_piece(
    system: auth.SystemDep,
    _operator: auth.Operator,
    image_id: ImageId,
    part: Part,
    offset: Annotated[int, Query(ge=0, le=_MOST_PART_BYTES)],
    request: Request,
) -> ReceivedOut:
    """Send the next bytes of a part, 4 MiB at most, which begin at `offset`."""
    data = await request.body()
    return ReceivedOut(received=await system.images.receive(image_id, part, offset, data))


@router.post("/images/{image_id}/complete", status_code=201)
async def complete_image_upload(
    system: auth.SystemDep, operator: auth.Operator, image_id: ImageId
) -> ImageOut:
    """Check all bytes against their hashes, and keep the image; its name means this one then."""
    return _image(await system.images.complete(image_id, by=operator.username))


@router.delete("/images/{image_id}", status_code=204)
async def remove_image(system: auth.SystemDep, operator: auth.Operator, image_id: ImageId) -> None:
    """Remove an image from the control plane. Nodes keep their copies."""
    await system.images.remove(image_id, by=operator.username)


@router.get("/nodes/{name}/images")
async def list_node_images(
    system: auth.SystemDep, _operator: auth.Operator, name: NodeName
) -> list[StoredImageOut]:
    """List the images that a node has or gets, by id."""
    return [_stored(one) for one in await system.images.stored(name)]


@router.post("/nodes/{name}/images", status_code=202)
async def copy_image_to_node(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName, given: CopyIn
) -> StoredImageOut:
    """Begin to copy an image of the control plane to a node; guests there need not wait for it
    then."""
    return _stored(await system.images.send(given.image, name, by=operator.username))


@router.delete("/nodes/{name}/images/{image_id}", status_code=204)
async def remove_node_image(
    system: auth.SystemDep, operator: auth.Operator, name: NodeName, image_id: ImageId
) -> None:
    """Remove an image from a node, where no guest began from it."""
    await system.images.remove_at(name, image_id, by=operator.username)


def _image(status: ImageStatus) -> ImageOut:
    return ImageOut(
        id=status.image.id,
        name=status.image.name,
        size_mb=status.size_mb,
        packages=len(status.image.packages),
        is_newest=status.is_newest,
    )


def _stored(one: StoredImage) -> StoredImageOut:
    return StoredImageOut(
        id=one.id,
        size_mb=one.size_mb,
        state=_state(one),
        copied_mb=one.copied_mb,
        problem=one.problem,
        used_by=list(one.used_by),
    )


def _state(one: StoredImage) -> str:
    if one.is_copying:
        return "copying"
    if one.is_complete:
        return "complete"
    return "failed" if one.problem else "incomplete"
