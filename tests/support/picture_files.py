"""Picture files as Pillow writes them, with something private in their metadata."""

import io
from typing import Any

from PIL import Image

from umbel.kit.image_files import JPEG, PNG, WEBP

KINDS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP"}
SECRET = "51 degrees north"


def drawn(width: int = 64, height: int = 36) -> Image.Image:
    picture = Image.new("RGB", (width, height), (20, 90, 60))
    for x in range(min(width, 64)):
        picture.putpixel((x, x % height), (255, x, 0))
    return picture


def saved(media_type: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = SECRET
    (picture or drawn()).save(out, KINDS[media_type], exif=exif, **options)
    return out.getvalue()


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGBA").tobytes()
