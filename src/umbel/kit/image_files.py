"""Picture files from outside: JPEG, PNG and WebP, read as far as needed to trust their frame. Pure.

In: bytes. Out: the kind, the size in pixels, and the same picture without what a viewer need not
get: Exif with places and cameras, comments, other programs' data, and whatever follows the end.
Pixels are not decoded here; browsers do that, within the size that this module bounds.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from umbel.kit.errors import Unprocessable, UnsupportedMediaType

MOST_SIDE = 4_096
JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB"))
# Baseline, extended and progressive frames (ITU-T T.81, table B.1): what browsers decode.
_JPEG_FRAMES = frozenset((0xC0, 0xC1, 0xC2))
_JPEG_KEPT = _JPEG_FRAMES | {0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE}
_SOS, _EOI = 0xDA, 0xD9
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH"))
_ANIMATED, _PRIVATE = 0x02, 0x2C  # flags of VP8X: and ICC profile, Exif, XMP


class NotAPicture(UnsupportedMediaType):
    """The file is none of JPEG, PNG and WebP; save the picture as one of these, then send it."""

    code = "umbel.not_a_picture"


class PictureDamaged(Unprocessable):
    """The picture file is damaged or cut off; save it again and send it once more."""

    code = "umbel.picture_damaged"


class PictureUnfit(Unprocessable):
    """The picture is too large, or animated; make it smaller and send it again."""

    code = "umbel.picture_unfit"


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A picture: its media type, its sides in pixels, and its file."""

    media_type: str
    width: int
    height: int
    data: bytes


def parse(data: bytes) -> ImageFile:
    """The picture. Raises NotAPicture, PictureDamaged, PictureUnfit."""
    if data.startswith(b"\xff\xd8\xff"):
        found = _jpeg(data)
    elif data.startswith(_PNG_HEAD):
        found = _png(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = _webp(data)
    else:
        raise NotAPicture
    if not (found.width > 0 and found.height > 0):
        raise PictureDamaged
    if max(found.width, found.height) > MOST_SIDE:
        raise PictureUnfit(
            f"The picture has {found.width} x {found.height} pixels; {MOST_SIDE} a side is the most"
        )
    return found


def _jpeg(data: bytes) -> ImageFile:
    kept, size, has_scan = [data[:2]], (0, 0), False
    for marker, start, end in _segments(data):
        if marker in _JPEG_FRAMES:
            if end - start < 10:
                raise PictureDamaged
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = (width, height)
        has_scan = has_scan or marker == _SOS
        if marker in _JPEG_KEPT:
            kept.append(data[start:end])
    if not has_scan or size == (0, 0):
        raise PictureDamaged
    kept.append(b"\xff\xd9")
    return ImageFile(media_type=JPEG, width=size[0], height=size[1], data=b"".join(kept))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Markers with where their segments begin and end, up to the end of the picture; that of a scan
    holds its coded data."""
    at = 2
    while at + 4 <= len(data) or data[at : at + 2] == b"\xff\xd9":
        if data[at] != 0xFF:
            raise PictureDamaged
        marker = data[at + 1]
        if marker == _EOI:
            return
        if marker == 0xFF:  # a fill byte (T.81, B.1.1.2)
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise PictureDamaged
        if marker == _SOS:
            end = _end_of_scan(data, end)
        yield marker, at, end
        at = end
    raise PictureDamaged


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker is; stuffed bytes and restarts belong to the coded data."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        after = data[at + 1]
        if after != 0 and not 0xD0 <= after <= 0xD7:
            return at
        at += 2
    raise PictureDamaged


def _png(data: bytes) -> ImageFile:
    chunks = list(_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or b"IDAT" not in kinds:
        raise PictureDamaged
    head = chunks[0][1]
    if len(head) != 12 + 13:
        raise PictureDamaged
    width, height = struct.unpack_from(">II", head, 8)
    kept = b"".join(chunk for kind, chunk in chunks if kind in _PNG_KEPT)
    return ImageFile(media_type=PNG, width=width, height=height, data=_PNG_HEAD + kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kinds and whole chunks, up to the end of the picture."""
    at, kind = len(_PNG_HEAD), b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise PictureDamaged
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise PictureDamaged
        (check,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[at + 4 : end - 4]) != check:
            raise PictureDamaged
        yield kind, data[at:end]
        at = end


def _webp(data: bytes) -> ImageFile:
    (length,) = struct.unpack_from("<I", data, 4)
    end, at, kept, size = length + 8, 12, list[bytes](), (0, 0)
    if end > len(data):
        raise PictureDamaged
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if at + 8 + length > end:
            raise PictureDamaged
        if kind == b"VP8X":
            body = _without_private(body)
        elif kind in (b"VP8 ", b"VP8L"):
            size = _webp_size(kind, body)
        if kind in _WEBP_KEPT:
            kept.append(struct.pack("<4sI", kind, length) + body + b"\0" * (length % 2))
        at += 8 + length + length % 2
    joined = b"".join(kept)
    if size == (0, 0):
        raise PictureDamaged
    head = struct.pack("<4sI4s", b"RIFF", len(joined) + 4, b"WEBP")
    return ImageFile(media_type=WEBP, width=size[0], height=size[1], data=head + joined)


def _without_private(body: bytes) -> bytes:
    if len(body) != 10:
        raise PictureDamaged
    if body[0] & _ANIMATED:
        raise PictureUnfit("The picture is animated; send one that stands still")
    return bytes([body[0] & ~_PRIVATE & 0xFF]) + body[1:]


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int]:
    """Width and height (RFC 6386, section 9.1; RFC 9649, section 3.4)."""
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise PictureDamaged
