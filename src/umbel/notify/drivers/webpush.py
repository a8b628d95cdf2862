"""A pusher over HTTP (RFC 8030, 8291, 8292). It connects to the address that it has checked, which
is safe from names that resolve otherwise a moment later. No redirects, no proxy of the environment,
no cookies; of an answer's body it reads nothing.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

import umbel
from umbel.kit import hosts, push_encryption
from umbel.kit.clock import Clock
from umbel.kit.push_encryption import BadPushMessage
from umbel.kit.vapid import Vapid
from umbel.notify import endpoints
from umbel.notify.endpoints import Endpoint
from umbel.notify.model import Push
from umbel.notify.ports import PushGone, PushRefused, PushUnavailable

_TIMEOUT_S = 15.0
_RESOLVED_S = 60.0
_MOST_RESOLVED = 256
_MOST_RETRY_S = 86_400
_GONE = (404, 410)
_LATER = (408, 425, 429)


class WebPusher:
    """`allow_private` takes push services over http and in private networks, too."""

    def __init__(
        self,
        vapid: Vapid,
        clock: Clock,
        *,
        allow_private: bool = False,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._vapid = vapid
        self._clock = clock
        self._allow_private = allow_private
        self._resolved: dict[str, tuple[float, str]] = {}
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=None,  # noqa: S113 -- bounded below, as a whole
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            verify=trust or ssl.create_default_context(),
        )

    async def send(self, push: Push) -> None:
        endpoint = endpoints.parse(push.endpoint, allow_private=self._allow_private)
        body = _encrypted(push)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                address = await self._resolve(endpoint)
                status, headers = await self._post(endpoint, address, push, body)
        except (httpx.HTTPError, OSError) as error:
            raise PushUnavailable(str(error) or type(error).__name__) from error
        self._check(status, headers)

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(
        self, endpoint: Endpoint, address: str, push: Push, body: bytes
    ) -> tuple[int, Mapping[str, str]]:
        headers = {
            "Host": endpoint.netloc,
            "User-Agent": f"Umbel/{umbel.__version__}",
            "Authorization": self._vapid.authorization(endpoint.origin, self._clock.now_s()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(push.ttl_s),
            "Urgency": "high" if push.is_urgent else "normal",
            "Topic": push.topic,
        }
        host = f"[{address}]" if ":" in address else address
        url = f"{endpoint.scheme}://{host}:{endpoint.port}{endpoint.path}"
        extensions = {"sni_hostname": endpoint.host}
        request = self._client.build_request(
            "POST", url, content=body, headers=headers, extensions=extensions
        )
        response = await self._client.send(request, stream=True)
        try:
            self._client.cookies.clear()
            # What has no body leaves the connection to be used again; what has one, does not.
            if response.headers.get("content-length") == "0" or response.status_code == 204:
                await response.aread()
            return response.status_code, response.headers
        finally:
            await response.aclose()

    async def _resolve(self, endpoint: Endpoint) -> str:
        """An address that pushes may go to. Raises PushRefused, OSError."""
        now_s = self._clock.monotonic_s()
        until_s, address = self._resolved.get(endpoint.host, (0.0, ""))
        if address and now_s < until_s:
            return address
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        addresses = [str(one[4][0]) for one in found]
        if not (self._allow_private or all(hosts.is_public(one) for one in addresses)):
            raise PushRefused("endpoint: its host is of a private network")
        if len(self._resolved) >= _MOST_RESOLVED:
            self._resolved.clear()
        self._resolved[endpoint.host] = (now_s + _RESOLVED_S, addresses[0])
        return addresses[0]

    def _check(self, status: int, headers: Mapping[str, str]) -> None:
        if status in _GONE:
            raise PushGone
        if status in _LATER or status >= 500:
            after_s = _retry_after_s(headers.get("retry-after", ""), self._clock.now_s())
            raise PushUnavailable(f"status {status}", after_s)
        if not 200 <= status < 300:
            raise PushRefused(f"status {status}")


def _encrypted(push: Push) -> bytes:
    try:
        keys = push_encryption.parse_keys(push.p256dh, push.auth)
        key = ec.generate_private_key(push_encryption.CURVE)
        salt = os.urandom(push_encryption.SALT_BYTES)
        return push_encryption.encrypt(push.payload, keys, salt=salt, key=key)
    except BadPushMessage as error:
        raise PushRefused(error.message) from error


def _retry_after_s(text: str, now_s: float) -> int:
    """Retry-After in both of its forms (RFC 9110, section 10.2.3), a day at most."""
    if text.isascii() and text.isdecimal():
        return min(int(text[:9]), _MOST_RETRY_S)
    try:
        at_s = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0
    return int(min(max(at_s - now_s, 0), _MOST_RETRY_S))
