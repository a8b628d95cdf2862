"""The folder that keeps the control plane's images."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from umbel.compute.images.model import PARTS, Image, ImageStatus, NoSuchImage

log = structlog.get_logger(__name__)

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_MANIFEST = "image.json"
_IMAGE = TypeAdapter(Image)


class Images:
    """A folder of images: ID/image.json with the parts next to it, and NAME as a link to the one
    that was built last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str) -> Image:
        """The image of that name or id. Raises NoSuchImage."""
        if _NAME.fullmatch(name):
            try:
                return _IMAGE.validate_json((self.folder / name / _MANIFEST).read_bytes())
            except (OSError, ValueError):
                pass
        raise NoSuchImage(f"There is no image {name[:60]!r}", image=name[:60])

    def part(self, image: Image, part: str) -> Path:
        """Where a part of the image is."""
        return self.folder / image.id / part

    def list(self) -> list[Image]:
        """Every image, by id. One whose manifest cannot be read hides no other."""
        found = []
        for path in sorted(self.folder.glob(f"*/{_MANIFEST}")):
            if not path.parent.is_symlink():
                try:
                    found.append(self.get(path.parent.name))
                except NoSuchImage:
                    log.warning("image's manifest cannot be read", folder=str(path.parent))
        return found

    def statuses(self) -> Sequence[ImageStatus]:
        """Every image with the room that it takes."""
        found = []
        for image in self.list():
            blocks = sum(self.part(image, part).stat().st_blocks for part in PARTS)
            is_newest = (self.folder / image.name).resolve().name == image.id
            found.append(ImageStatus(image=image, size_mb=blocks / 2048, is_newest=is_newest))
        return found

    def size(self) -> int:
        """Bytes of all images' parts."""
        return sum(self.part(one, part).stat().st_size for one in self.list() for part in PARTS)

    def remove(self, image: Image) -> None:
        """The image is gone, and its name if that means this one."""
        link = self.folder / image.name
        if link.is_symlink() and link.resolve().name == image.id:
            link.unlink()
        shutil.rmtree(self.folder / image.id)

    def add(self, image: Image, made: Path) -> None:
        """Take the folder with the parts, and give the image's name to it."""
        target = self.folder / image.id
        (made / _MANIFEST).write_bytes(_IMAGE.dump_json(image, indent=1))
        if not target.exists():
            made.rename(target)
        link = self.folder / f".{image.name}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(image.id)
        link.replace(self.folder / image.name)
