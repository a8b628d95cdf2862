"""Carries messages by web push. In: a message. Out: a push to the device that it is for; a device
that is gone is forgotten.
"""

import json
from dataclasses import dataclass
from hashlib import sha256

from umbel.catalogue.devices.service import Devices
from umbel.catalogue.outbox.model import Message, MessageKind
from umbel.kit import push_encryption
from umbel.kit.clock import Clock, to_rfc3339
from umbel.notify.model import Push
from umbel.notify.ports import Pusher, PushGone

_TOPIC_BYTES = 24  # 32 characters (RFC 8030, section 5.4)
_SOON_S = 900


@dataclass(frozen=True, kw_only=True)
class PushCarrier:
    """`devices` forgets what is gone."""

    pusher: Pusher
    devices: Devices
    clock: Clock

    async def send(self, message: Message) -> None:
        """Hand it over. Raises PushUnavailable, PushGone, PushRefused."""
        try:
            await self.pusher.send(push(message, now_s=self.clock.now_s()))
        except PushGone:
            await self.devices.forget(message.target)
            raise


def push(of: Message, *, now_s: float) -> Push:
    """The push; the service worker of the web app reads it. The id is what a browser knows a
    notification by. Raises PushGone where the device is forgotten."""
    if not of.endpoint:
        raise PushGone
    body = {
        "id": of.id,
        "kind": of.kind.value,
        "title": of.title,
        "provider": of.provider_name,
        "starts_at": to_rfc3339(of.starts_s),
        "path": f"/watch/{of.event_id}",
    }
    return Push(
        endpoint=of.endpoint,
        p256dh=of.p256dh,
        auth=of.auth,
        payload=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        ttl_s=max(1, int(of.expires_s - now_s)),
        topic=_topic(of),
        is_urgent=of.kind is MessageKind.LIVE or of.starts_s - now_s <= _SOON_S,
    )


def _topic(of: Message) -> str:
    """One of each kind and event: a later reminder replaces one that waits for the device."""
    hashed = sha256(f"{of.kind.value} {of.event_id}".encode()).digest()
    return push_encryption.encode(hashed[:_TOPIC_BYTES])
