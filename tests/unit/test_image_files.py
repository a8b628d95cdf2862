"""Picture files: real ones by Pillow keep their pixels and lose what is private; broken ones are
refused."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import PngImagePlugin

from support.picture_files import KINDS, SECRET, drawn, pixels, saved
from umbel.kit import image_files
from umbel.kit.errors import UmbelError
from umbel.kit.image_files import JPEG, PNG, WEBP, NotAPicture, PictureDamaged, PictureUnfit


@pytest.mark.parametrize(
    ("media_type", "options"),
    [
        (JPEG, {}),
        (JPEG, {"progressive": True}),
        (JPEG, {"comment": SECRET.encode()}),
        (PNG, {}),
        (WEBP, {}),
        (WEBP, {"lossless": True}),
    ],
)
def test_pictures_keep_their_pixels_and_lose_what_is_private(
    media_type: str, options: dict[str, Any]
) -> None:
    data = saved(media_type, **options)
    assert SECRET.encode() in data
    found = image_files.parse(data + b"<script>" + SECRET.encode())
    assert (found.media_type, found.width, found.height) == (media_type, 64, 36)
    assert pixels(found.data) == pixels(data)
    assert SECRET.encode() not in found.data
    assert image_files.parse(found.data) == found


def test_text_of_a_png_goes_and_transparency_stays() -> None:
    text, out = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text("Author", SECRET)
    picture = drawn().convert("RGBA")
    picture.putalpha(100)
    picture.save(out, "PNG", pnginfo=text)
    found = image_files.parse(out.getvalue())
    assert SECRET.encode() not in found.data
    assert pixels(found.data) == pixels(out.getvalue())
    for media_type in (PNG, WEBP):
        data = saved(media_type, picture)
        assert pixels(image_files.parse(data).data) == pixels(data)


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + b"\0" * 40, b"<svg/>", b"\xff\xd8", b"RIFF\0\0\0\0AVI ", b"%PDF-1.7"]
)
def test_other_files_are_no_pictures(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        image_files.parse(data)


@pytest.mark.parametrize("media_type", KINDS)
def test_a_file_that_was_cut_is_damaged(media_type: str) -> None:
    whole = image_files.parse(saved(media_type)).data
    for size in range(16, len(whole), 7):
        with pytest.raises(PictureDamaged):
            image_files.parse(whole[:size])


@pytest.mark.parametrize("media_type", KINDS)
def test_too_large_pictures_are_refused(media_type: str) -> None:
    with pytest.raises(PictureUnfit, match="4097 x 8"):
        image_files.parse(saved(media_type, drawn(4097, 8)))
    assert image_files.parse(saved(media_type, drawn(4096, 8))).width == 4096


def test_a_moving_picture_is_refused() -> None:
    out = io.BytesIO()
    drawn().save(out, "WEBP", save_all=True, append_images=[drawn(64, 36).rotate(90)])
    with pytest.raises(PictureUnfit, match="animated"):
        image_files.parse(out.getvalue())


@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.integers(0), st.integers(0, 255))))
def test_any_damage_is_an_error_or_a_picture(
    media_type: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(_SAVED[media_type])
    for at, value in changes:
        data[at % len(data)] = value
    _bounded(bytes(data))


@given(st.sampled_from((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")), st.binary())
def test_any_bytes_are_an_error_or_a_picture(head: bytes, rest: bytes) -> None:
    _bounded(head + rest)
    _bounded(struct.pack("<4sI4s", b"RIFF", len(rest) + 4, b"WEBP") + rest)


def _bounded(data: bytes) -> None:
    try:
        found = image_files.parse(data)
    except UmbelError as error:
        assert error.http_status in {415, 422}
    else:
        assert len(found.data) <= len(data) + 2
        assert image_files.parse(found.data) == found


_SAVED = {media_type: saved(media_type) for media_type in KINDS}
