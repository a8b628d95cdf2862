"""Heads of responses from strangers, and what ends a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.http_post import BadResponse, parse_head


@pytest.mark.parametrize(
    ("raw", "status", "is_empty"),
    [
        (b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, True),
        (b"HTTP/1.1 204\r\n\r\n", 204, True),
        (b"HTTP/1.1 201 Created\r\n\r\n", 201, False),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 5\r\n\r\n", 400, False),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", 201, False),
        (
            b"HTTP/1.1 201 x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            201,
            False,
        ),
        (b"HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n", 201, False),
    ],
)
def test_what_can_be_used_again(raw: bytes, status: int, is_empty: bool) -> None:
    found = parse_head(raw)
    assert (found.status, found.is_empty) == (status, is_empty)


def test_headers_are_known_in_lower_case() -> None:
    found = parse_head(b"HTTP/1.1 429 Slow\r\nRetry-After:  120 \r\n\r\n")
    assert found.headers == {"retry-after": "120"}


@pytest.mark.parametrize(
    "raw",
    [b"\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200\r\nx\r\n\r\n"],
)
def test_what_is_no_response(raw: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_head(raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(rest: bytes) -> None:
    for raw in (rest, b"HTTP/1.1 " + rest, b"HTTP/1.1 200 OK\r\n" + rest):
        try:
            found = parse_head(raw + b"\r\n\r\n")
        except BadResponse:
            continue
        assert 0 <= found.status <= 999
