"""A guest image as a value, and what can be wrong with one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from umbel.kit.errors import NotFound, Unavailable

PARTS = ("kernel", "initrd", "disk")
"""The files of an image: what boots, what it boots with, and the disk that guests start from."""


class NoSuchImage(NotFound):
    """No image has this name."""

    code = "umbel.no_such_image"


class ImageNotBuilt(Unavailable):
    """The image cannot be built here: a program or a package is missing."""

    code = "umbel.image_not_built"


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
