"""Addresses of transfers: made for an item, found by their secret, forgotten when unused.

In: items, secrets. Out: secrets, and what they are good for. A secret has 160 random bits; only its
digest is kept.
"""

import hashlib
import secrets
from dataclasses import dataclass

from umbel.kit.clock import Clock
from umbel.repository.transfers.model import Direction, NoSuchTransfer, Transfer, WrongDirection
from umbel.repository.transfers.store import TransferStore

_SECRET_BYTES = 20
_LONGEST_SECRET = 64
_RENEWED_S = 60.0
"""So long after a renewal there is no other one: an address may end by so much earlier."""


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """Each address lasts `ttl_s` seconds after its last use."""

    store: TransferStore
    clock: Clock
    ttl_s: float

    async def open(self, item: str, direction: Direction) -> str:
        """A new address's secret. Raises TooManyTransfers."""
        secret, now_s = secrets.token_urlsafe(_SECRET_BYTES), self.clock.now_s()
        made = Transfer(item=item, direction=direction, until_s=now_s + self.ttl_s)
        await self.store.add(_digest(secret), made, now_s)
        return secret

    async def find(self, secret: str) -> Transfer:
        """What it is good for; using it renews it. Raises NoSuchTransfer."""
        if len(secret) > _LONGEST_SECRET:
            raise NoSuchTransfer
        digest, now_s = _digest(secret), self.clock.now_s()
        found = await self.store.get(digest, now_s)
        # Not with each use: a player asks for many ranges within seconds.
        if found.until_s - now_s < self.ttl_s - min(_RENEWED_S, self.ttl_s / 2):
            await self.store.renew(digest, now_s + self.ttl_s)
        return found

    async def item(self, secret: str, direction: Direction) -> str:
        """The id of the item that it lets one read, or upload to. Raises NoSuchTransfer,
        WrongDirection."""
        found = await self.find(secret)
        if found.direction is not direction:
            raise WrongDirection(f"This address is for {found.direction.value}s")
        return found.item


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
