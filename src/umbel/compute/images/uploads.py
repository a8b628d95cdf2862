"""Images that are being uploaded to the control plane, piece by piece, in its folder of images.

In: an image's manifest, then the bytes of its parts, in order. Out: an image, once all hashes are
right. An upload that was interrupted goes on where it ended; one nobody continues is removed.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from umbel.compute.images.folder import Images
from umbel.compute.images.model import (
    PARTS,
    Image,
    ImageCorrupt,
    NoSuchUpload,
    TooManyImages,
    UploadOutOfOrder,
)
from umbel.kit import private

MOST_UPLOADS = 4
STALE_S = 24 * 3600.0
_PREFIX, _MANIFEST = ".upload-", "upload.json"
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An image that is being uploaded: `sizes` are its parts' in bytes; begun in seconds since the
    epoch."""

    image: Image
    sizes: Mapping[str, int]
    begun_s: float


_UPLOAD = TypeAdapter(Upload)


class Uploads:
    """The uploads under way, next to the images. Images and uploads take `most_mb` at most. All
    calls may block."""

    def __init__(self, images: Images, most_mb: int) -> None:
        self._images = images
        self._most_mb = most_mb

    def begin(self, upload: Upload) -> Mapping[str, int]:
        """How many bytes of each part are here already. Raises TooManyImages."""
        private.ensure_folder(self._images.folder)
        folder = self._folder(upload.image.id)
        if not (folder / _MANIFEST).exists():
            self._make_room(upload)
            folder.mkdir(mode=0o700)
            for part in PARTS:
                (folder / part).touch(mode=0o600)
            private.write(folder / _MANIFEST, _UPLOAD.dump_json(upload))
        return self.received(upload.image.id)

    def received(self, image_id: str) -> Mapping[str, int]:
        """How many bytes of each part are here. Raises NoSuchUpload."""
        self._get(image_id)
        return {part: (self._folder(image_id) / part).stat().st_size for part in PARTS}

    def receive(self, image_id: str, part: str, offset: int, data: bytes) -> int:
        """Take a piece of a part; how many bytes of it are here then. Raises NoSuchUpload,
        UploadOutOfOrder."""
        upload, path = self._get(image_id), self._folder(image_id) / part
        here, size = path.stat().st_size, upload.sizes[part]
        if offset != here or offset + len(data) > size:
            message = f"{part} of {image_id} has {here} of {size} bytes: continue there"
            raise UploadOutOfOrder(message, image=image_id, part=part, received=here)
        with path.open("ab") as file:
            file.write(data)
        return here + len(data)

    def complete(self, image_id: str) -> Image:
        """The image, once its bytes are checked. Raises NoSuchUpload, UploadOutOfOrder, and
        ImageCorrupt, and then the upload begins again."""
        upload, folder = self._get(image_id), self._folder(image_id)
        for part, here in self.received(image_id).items():
            if here < upload.sizes[part]:
                message = f"{part} of {image_id} has {here} of {upload.sizes[part]} bytes"
                raise UploadOutOfOrder(message, image=image_id, part=part, received=here)
        wrong = [part for part in PARTS if _hash(folder / part) != upload.image.hashes[part]]
        if wrong:
            shutil.rmtree(folder)
            message = (
                f"The bytes of {', '.join(wrong)} are not those of {image_id}: upload it again"
            )
            raise ImageCorrupt(message, image=image_id, parts=wrong)
        (folder / _MANIFEST).unlink()
        self._images.add(upload.image, folder)
        shutil.rmtree(folder, ignore_errors=True)  # it was there already
        return upload.image

    def _make_room(self, upload: Upload) -> None:
        others = list(self._all())
        for folder, other in others:
            if other is None or upload.begun_s - other.begun_s > STALE_S:
                shutil.rmtree(folder)
        going = [one for _, one in others if one and upload.begun_s - one.begun_s <= STALE_S]
        if len(going) >= MOST_UPLOADS:
            raise TooManyImages(f"{MOST_UPLOADS} images are being uploaded already")
        used = sum(sum(one.sizes.values()) for one in going) + self._images.size()
        size_mb = sum(upload.sizes.values()) / _MIB
        if used / _MIB + size_mb > self._most_mb:
            message = (
                f"Images have {used / _MIB:.0f} of {self._most_mb} MiB: {size_mb:.0f} MiB more are "
                "too much"
            )
            raise TooManyImages(message)

    def _all(self) -> Iterator[tuple[Path, Upload | None]]:
        for folder in self._images.folder.glob(f"{_PREFIX}*"):
            try:
                yield folder, _UPLOAD.validate_json((folder / _MANIFEST).read_bytes())
            except (OSError, ValueError):
                yield folder, None

    def _get(self, image_id: str) -> Upload:
        try:
            return _UPLOAD.validate_json((self._folder(image_id) / _MANIFEST).read_bytes())
        except (OSError, ValueError):
            raise NoSuchUpload(f"No upload of {image_id} is under way", image=image_id) from None

    def _folder(self, image_id: str) -> Path:
        return self._images.folder / f"{_PREFIX}{image_id}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
