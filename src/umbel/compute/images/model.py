"""A guest image as a value, and what can be wrong with one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from umbel.kit.errors import Conflict, Invalid, NotFound, Unavailable

PARTS = ("kernel", "initrd", "disk")
"""The files of an image: what boots, what it boots with, and the disk that guests start from."""


class NoSuchImage(NotFound):
    """No image has this name."""

    code = "umbel.no_such_image"


class ImageNotBuilt(Unavailable):
    """The image cannot be built here: a program or a package is missing."""

    code = "umbel.image_not_built"


class ImageInUse(Conflict):
    """Guests began from this image, or it is being copied."""

    code = "umbel.image_in_use"


class ImageCorrupt(Invalid):
    """The bytes are not those that the image's hashes are of."""

    code = "umbel.image_corrupt"


class NoImagesThere(Conflict):
    """Functions of this node are no guests of hypervisors, so it has no images."""

    code = "umbel.no_images_there"


class NoSuchUpload(NotFound):
    """No upload of this image is under way."""

    code = "umbel.no_such_upload"


class UploadOutOfOrder(Conflict):
    """The pieces of an image come in order, and all of them before its end."""

    code = "umbel.upload_out_of_order"


class TooManyImages(Conflict):
    """Images may take no more room, or no more may be uploaded at once; remove one."""

    code = "umbel.too_many_images"


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image. `hashes` are its parts' SHA-256; `packages` the versions of what it was made of;
    `command` the words that its function starts with, none where the function says them; a guest
    has at least `memory_mb` (MiB)."""

    name: str
    command: tuple[str, ...]
    hashes: Mapping[str, str]
    memory_mb: int = 128
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its name and a hash of all that is in it."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, kw_only=True)
class ImageStatus:
    """An image of the control plane; `is_newest`: its name means this one."""

    image: Image
    size_mb: float
    is_newest: bool


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """An image at a node: all of it is there if it `is_complete`; `copied_mb` of it (MiB) while it
    `is_copying`; `problem` is why the last copy failed. `used_by` are the functions whose guests
    began from it."""

    id: str
    size_mb: float
    is_complete: bool = False
    used_by: tuple[str, ...] = ()
    is_copying: bool = False
    copied_mb: float = 0.0
    problem: str = ""
