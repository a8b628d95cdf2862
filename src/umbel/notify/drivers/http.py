"""A courier over HTTP. It goes where the URL says and nowhere else: no redirects, no proxy of the
environment, no cookies; of an answer's body it reads little and keeps nothing.
"""

from collections.abc import Mapping

import httpx

import umbel
from umbel.kit import authorities
from umbel.notify.ports import Answer, Undelivered

_MOST_BODY_BYTES = 65_536
_AGENT = f"Umbel/{umbel.__version__}"


class HttpCourier:
    """One pool of connections for all subscribers, unbounded because they are: a receiver that
    hangs must not take a place from one that does not."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=authorities.bundled(),
            timeout=None,  # noqa: S113 -- bounded by the caller, as a whole
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            headers={"User-Agent": _AGENT},
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as response:
                self._client.cookies.clear()
                await _drain(response)
                return Answer(
                    status=response.status_code,
                    retry_after_s=_seconds(response.headers.get("retry-after", "")),
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Undelivered(_reason(error)) from error

    async def close(self) -> None:
        await self._client.aclose()


async def _drain(response: httpx.Response) -> None:
    """Read a short body to its end, so that the connection can be used again."""
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > _MOST_BODY_BYTES:
            return


def _seconds(text: str) -> float:
    """Retry-After in its form of seconds (RFC 9110, section 10.2.3); the date form counts as 0."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {error}"
    told: dict[type[Exception], str] = {
        httpx.RemoteProtocolError: "the connection was closed without an answer",
        httpx.ReadError: "the connection broke",
        httpx.WriteError: "the connection broke",
    }
    return told.get(type(error), "") or str(error) or type(error).__name__
