"""A pusher over HTTP (RFC 8030, 8291, 8292). It connects to the address that it has checked, which
is safe from names that resolve otherwise a moment later. No redirects, no proxy of the environment,
no cookies; of an answer's body it reads nothing.
"""

import asyncio
import os
import socket
import ssl
from email.utils import parsedate_to_datetime

from cryptography.hazmat.primitives.asymmetric import ec

import umbel
from umbel.kit import authorities, hosts, push_encryption
from umbel.kit.clock import Clock
from umbel.kit.http_post import Poster, Response, ServerAddress
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
        self._poster = Poster(trust or authorities.of_system())

    async def send(self, push: Push) -> None:
        endpoint = endpoints.parse(push.endpoint, allow_private=self._allow_private)
        body = _encrypted(push)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                address = await self._resolve(endpoint)
                name = endpoint.host if endpoint.scheme == "https" else ""
                server = ServerAddress(address, endpoint.port, name)
                headers = self._headers(endpoint, push)
                response = await self._poster.post(server, endpoint.path, headers, body)
        except OSError as error:  # a timeout is one, too
            raise PushUnavailable(str(error) or type(error).__name__) from error
        self._check(response)

    async def close(self) -> None:
        await self._poster.close()

    def _headers(self, endpoint: Endpoint, push: Push) -> dict[str, str]:
        return {
            "Host": endpoint.netloc,
            "User-Agent": f"Umbel/{umbel.__version__}",
            "Authorization": self._vapid.authorization(endpoint.origin, self._clock.now_s()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(push.ttl_s),
            "Urgency": "high" if push.is_urgent else "normal",
            "Topic": push.topic,
        }

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

    def _check(self, response: Response) -> None:
        status = response.status
        if status in _GONE:
            raise PushGone
        if status in _LATER or status >= 500:
            after_s = _retry_after_s(response.headers.get("retry-after", ""), self._clock.now_s())
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
