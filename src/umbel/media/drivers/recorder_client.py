"""Pulls what recorders have over HTTP: the real Recorders.

In: a recorder's address and token. Out: its segments. What comes back is bounded in size and time,
and is decoded by record/answer.py, which trusts nothing.
"""

import asyncio

import httpx

from umbel.kit import authorities
from umbel.kit.errors import Unavailable
from umbel.media.model import Pulled
from umbel.media.record import answer

_CONNECT_S = 3.0
_SILENCE_S = 15.0
"""A recorder waits up to 10 s for a segment before it answers."""
_LONGEST_S = 60.0


class RecorderSilent(Unavailable):
    """The recorder does not answer, or does not have the stream."""

    code = "umbel.recorder_silent"


class RecorderClient:
    """Recorders over HTTP."""

    def __init__(self, *, deadline_s: float = _LONGEST_S) -> None:
        self._deadline_s = deadline_s
        self._http = httpx.AsyncClient(
            trust_env=False,
            verify=authorities.bundled(),
            timeout=httpx.Timeout(_SILENCE_S, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    async def pull(self, url: str, token: str, after: int, boot: str) -> Pulled:
        query = {"after": str(after), "boot": boot}
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._http.stream("GET", url, params=query, headers=headers) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise RecorderSilent(
                        f"The recorder answers with {response.status_code}.",
                        status=response.status_code,
                    )
                body = await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise RecorderSilent(
                f"The recorder does not answer: {type(error).__name__}."
            ) from error
        return answer.decode(body)

    async def close(self) -> None:
        await self._http.aclose()


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > answer.MOST_ANSWER_BYTES:
            raise answer.AnswerMalformed("The recorder's answer is too large.")
    return bytes(body)
