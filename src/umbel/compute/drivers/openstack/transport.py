"""How many bytes of an answer a cloud's services may send. It stands below the client library,
which reads answers whole."""

from typing import Any

import requests
from requests.adapters import HTTPAdapter

MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024


class LimitedAdapter(HTTPAdapter):  # type: ignore[misc]  # it may not be installed
    """An adapter of requests whose answers have at most `MOST_BYTES`."""

    def send(self, request: Any, *words: Any, **named: Any) -> Any:
        """The answer, read. Raises requests' errors."""
        response = super().send(request, *words, **{**named, "stream": True})
        chunks, had = [], 0
        for chunk in response.iter_content(_CHUNK):
            had += len(chunk)
            if had > MOST_BYTES:
                response.close()
                raise requests.exceptions.ContentDecodingError(
                    f"the answer has more than {MOST_BYTES >> 20} MB"
                )
            chunks.append(chunk)
        response._content = b"".join(chunks)
        return response
