"""The file of a form, however the body is cut, and any other body without harm."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.portal.multipart import MOST_OUTSIDE_BYTES, BadMultipart, FilePart, open_file

TYPE = 'multipart/form-data; boundary="b0"'


async def come(body: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def file(body: bytes, content_type: str = TYPE, size: int = 7) -> tuple[str, bytes]:
    kind, pieces = await open_file(come(body, size), content_type)
    return kind, b"".join([piece async for piece in pieces])


def written(**parts: tuple[str, bytes, str]) -> tuple[bytes, str]:
    """A form as httpx writes it."""
    request = httpx.Request("POST", "http://a", files=parts, data={"title": "Council"})
    return request.read(), request.headers["content-type"]


@given(st.binary(max_size=200), st.integers(1, 60))
async def test_a_file_is_read_however_the_body_is_cut(data: bytes, size: int) -> None:
    body, content_type = written(filedata=("film.mp4", data, "video/mp4"))
    assert await file(body, content_type, size) == ("video/mp4", data)


@given(st.lists(st.sampled_from([b"\r\n", b"--", b"b0", b"-", b"\r", b"\n", b"x"]), max_size=12))
async def test_bytes_that_look_like_a_boundary_are_kept(parts: list[bytes]) -> None:
    data = b"".join(parts)
    if b"\r\n--b0" in b"\r\n" + data:
        return
    head = b'--b0\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    assert await file(head + data + b"\r\n--b0--\r\n", size=3) == ("", data)


async def test_the_first_of_two_files_counts() -> None:
    body, content_type = written(a=("a", b"first", "a/b"), b=("b", b"second", "c/d"))
    assert await file(body, content_type) == ("a/b", b"first")


@pytest.mark.parametrize(
    ("content_type", "body", "wrong"),
    [
        ("multipart/form-data", b"", "boundary"),
        (f"multipart/form-data; boundary={'x' * 300}", b"", "Boundary length"),
        (TYPE, b"", "ends before"),
        (TYPE, b"--b0--\r\n", "file name|at index"),
        (TYPE, b"hello", "boundary"),
        (TYPE, b'--b0\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--b0--', "file name"),
        (
            TYPE,
            b'--b0\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nx',
            "ends before",
        ),
        (TYPE, b"--b0\r\nX: " + b"x" * 10_000, "header|Header"),
        (TYPE, b"--b0\r\nX: " + b"x\r\nX: " * 100, "header|Header"),
        (TYPE, b"--b0\r\n\r\n" + bytes(MOST_OUTSIDE_BYTES + 100), "more than"),
    ],
)
async def test_other_bodies_are_refused(content_type: str, body: bytes, wrong: str) -> None:
    with pytest.raises(BadMultipart, match=wrong):
        await file(body, content_type, 4096)


@given(
    st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(b"--b0\r\n".__add__)),
    st.integers(1, 50),
)
async def test_any_body_is_read_or_refused(body: bytes, size: int) -> None:
    try:
        _, found = await file(body, size=size)
    except BadMultipart:
        return
    assert found in body


@given(st.text(max_size=80))
def test_any_type_is_read_or_refused(content_type: str) -> None:
    try:
        part = FilePart(content_type)
    except BadMultipart:
        return
    assert not part.has_begun
