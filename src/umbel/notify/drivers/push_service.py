"""A push service on loopback, for tests and benches: over real HTTP, with the browser's side.

In: subscriptions that it gives out, and pushes to them. Out: what each subscription received,
decrypted by its own key (RFC 8291); pushes whose token is not right (RFC 8292) are refused, as real
services refuse them. `answer` scripts a subscription.
"""

import asyncio
import contextlib
import os
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from umbel.kit import push_encryption, vapid
from umbel.kit.clock import Clock
from umbel.kit.push_encryption import BadPushMessage

_MOST_BODY = 4_096
_TOPIC = 32


@dataclass(frozen=True, kw_only=True)
class Received:
    """A push as the browser got it."""

    payload: bytes
    ttl_s: int
    urgency: str
    topic: str
    sender: str


@dataclass(kw_only=True)
class Subscription:
    """A browser's: what it tells the platform, and what came."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    secret: bytes = field(repr=False)
    received: list[Received] = field(default_factory=list)
    answers: deque[tuple[int, str]] = field(default_factory=deque)

    @property
    def keys(self) -> dict[str, str]:
        """As `PushSubscription.toJSON()` has them."""
        point = push_encryption.point_of(self.key.public_key())
        return {
            "p256dh": push_encryption.encode(point),
            "auth": push_encryption.encode(self.secret),
        }

    def answer(self, status: int, retry_after: str = "") -> None:
        """Answer the next push with this status; it does not arrive."""
        self.answers.append((status, retry_after))


class PushService:
    """Its subscriptions by path; `refused` says why pushes were."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._port = 0
        self._scheme = "http"
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.refused: list[str] = []
        self.connections = 0

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def subscribe(self) -> Subscription:
        """A new browser's."""
        path = f"/push/{secrets.token_urlsafe(16)}"
        made = Subscription(
            endpoint=f"{self.origin}{path}",
            key=ec.generate_private_key(push_encryption.CURVE),
            secret=os.urandom(16),
        )
        self.subscriptions[path] = made
        return made

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["PushService"]:
        """On a port of the kernel's choice, over https with `tls`."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self._scheme = "http" if tls is None else "https"
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self._tasks.values():
                writer.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        task.add_done_callback(lambda _: self._tasks.pop(task))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.strip().lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, retry_after = self._take(head[0].split(" ")[1], headers, body)
                after = f"Retry-After: {retry_after}\r\n" if retry_after else ""
                writer.write(
                    f"HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\n{after}\r\n".encode()
                )
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        subscription = self.subscriptions.get(path)
        if subscription is None:
            return 404, ""
        if subscription.answers:
            return subscription.answers.popleft()
        try:
            subscription.received.append(self._received(subscription, headers, body))
        except (BadPushMessage, ValueError, KeyError) as error:
            self.refused.append(str(error))
            return 400, ""
        return 201, ""

    def _received(self, by: Subscription, headers: Mapping[str, str], body: bytes) -> Received:
        sender = vapid.check(headers["authorization"], self.origin, self._clock.now_s())
        if headers["content-encoding"] != "aes128gcm" or len(body) > _MOST_BODY:
            raise BadPushMessage("not one record of aes128gcm")
        topic, ttl_s = headers["topic"], int(headers["ttl"])
        if len(topic) > _TOPIC or not topic.replace("-", "").replace("_", "").isalnum():
            raise BadPushMessage("the topic is not 32 characters of base64url")
        return Received(
            payload=push_encryption.decrypt(body, by.key, by.secret),
            ttl_s=ttl_s,
            urgency=headers["urgency"],
            topic=topic,
            sender=sender,
        )
