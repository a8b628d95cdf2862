"""The file in a multipart/form-data body (RFC 7578), as it comes, whatever its size.

In: the body's chunks and its Content-Type. Out: the bytes of the first part that has a file name,
and that part's own type. python-multipart parses; other parts are skipped.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from umbel.kit.errors import Invalid

FORM = "multipart/form-data"
MOST_OUTSIDE_BYTES = 1 << 20
"""What a form may have next to the file."""


class BadMultipart(Invalid):
    """The body is not the multipart form that its headers declare, or it has no file."""

    code = "umbel.bad_multipart"


class FilePart:
    """The file of one body. Give it chunks by `feed`; take what is of the file out of what that
    answers. `finish` raises unless the body was whole and had a file."""

    def __init__(self, content_type: str) -> None:
        boundary = _options(content_type).get(b"boundary", b"")
        if not boundary:
            raise BadMultipart("Content-Type names no boundary")
        self.content_type = ""
        self._found: deque[bytes] = deque()
        self._outside = 0
        self._name, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._has_begun = self._is_inside = self._is_whole = False
        callbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise BadMultipart(str(error)) from error

    def feed(self, chunk: bytes) -> list[bytes]:
        """What of the chunk is the file's. Raises BadMultipart."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadMultipart(str(error)) from error
        found = list(self._found)
        self._found.clear()
        self._outside += len(chunk) - sum(map(len, found))
        if self._outside > MOST_OUTSIDE_BYTES:
            raise BadMultipart(f"The form has more than {MOST_OUTSIDE_BYTES} bytes but the file's")
        return found

    def finish(self) -> None:
        """The body has ended. Raises BadMultipart."""
        if not self._is_whole:
            raise BadMultipart("The body ends before its last boundary")
        if not self._has_begun:
            raise BadMultipart("No part of the form has a file name")

    @property
    def has_begun(self) -> bool:
        """Whether the file's part was met, so that its type is known."""
        return self._has_begun

    # -- what the parser calls --------------------------------------------------------------

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        if b"filename" in _options(disposition) and not self._has_begun:
            self._has_begun = self._is_inside = True
            self.content_type = self._headers.get(b"content-type", b"").decode("latin-1")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_inside:
            self._found.append(data[start:end])

    def _on_part_end(self) -> None:
        self._is_inside = False

    def _on_end(self) -> None:
        self._is_whole = True


def _options(header: str) -> dict[bytes, bytes]:
    try:
        return parse_options_header(header)[1]
    except UnicodeError:  # such as no header of HTTP can have
        return {}


async def open_file(
    chunks: AsyncIterator[bytes], content_type: str
) -> tuple[str, AsyncGenerator[bytes, None]]:
    """The file's own type, and its bytes. Raises BadMultipart, the second also while it is read."""
    part = FilePart(content_type)
    begun: list[bytes] = []
    async for chunk in chunks:
        begun += part.feed(chunk)
        if part.has_begun:
            break
    else:
        part.finish()

    async def rest() -> AsyncGenerator[bytes, None]:
        for found in begun:
            yield found
        async for chunk in chunks:
            for found in part.feed(chunk):
                yield found
        part.finish()

    return part.content_type, rest()
