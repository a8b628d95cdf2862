"""What changed, in order: an append-only table written in the same unit as the change itself.

In: `record(connection, ...)` inside a write unit. Out: `Journal.follow(after)` yields entries in
commit order, for server-sent events and for the other instances over the same database.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound

changes = sa.Table(
    "changes",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

_ORDER_LOCK = 0x756D62656C
_POLL_S = 0.5
_BATCH = 500


class JournalTrimmed(NotFound):
    """The asked-for position is older than what is kept: read the state again."""

    code = "umbel.journal_trimmed"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry: `kind` and `subject` name what changed, `body` what may be told of it."""

    seq: int
    at_s: float
    kind: str
    subject: str
    body: Mapping[str, object]


async def record(
    connection: AsyncConnection, *, at_s: float, kind: str, subject: str, body: Mapping[str, object]
) -> None:
    """Append an entry, last in its write unit: on PostgreSQL writers queue here, so that seq order
    is commit order, and a writer that waits for a row while others wait for it is a deadlock."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ORDER_LOCK)))
    row = {"at_s": at_s, "kind": kind, "subject": subject, "body": dict(body)}
    await connection.execute(sa.insert(changes).values(row))


class Journal:
    """Reads and follows the entries; `stir` after a commit of this process saves a poll."""

    def __init__(self, database: Database, *, keep: int = 10_000, poll_s: float = _POLL_S) -> None:
        self._database = database
        self._keep = keep
        self._poll_s = poll_s
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        """Tell the followers in this process that something was committed."""
        self._stirred.set()
        self._stirred = asyncio.Event()

    async def head(self) -> int:
        """The newest entry's seq, 0 when there is none."""
        async with self._database.read() as connection:
            return await connection.scalar(sa.select(sa.func.max(changes.c.seq))) or 0

    async def since(self, after: int, limit: int = _BATCH) -> list[Change]:
        """Entries after `after`, oldest first. Raises JournalTrimmed when some are gone."""
        query = sa.select(changes).where(changes.c.seq > after).order_by(changes.c.seq)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(limit))).mappings().all()
            if rows and rows[0]["seq"] > after + 1:
                # Trimmed, or only a number that a rolled back unit of PostgreSQL used up.
                oldest = await connection.scalar(sa.select(sa.func.min(changes.c.seq)))
                if oldest is not None and after + 1 < oldest:
                    raise JournalTrimmed(oldest=oldest)
        return [Change(**row) for row in rows]

    async def follow(self, after: int) -> AsyncGenerator[Change]:
        """Entries after `after`, for ever."""
        while True:
            stirred = self._stirred
            batch = await self.since(after)
            for change in batch:
                yield change
                after = change.seq
            if len(batch) < _BATCH:
                # Who committed since we looked has stirred the flag we hold.
                await _wait(stirred, self._poll_s)

    async def trim(self) -> None:
        """Drop all but the newest `keep` entries."""
        async with self._database.write() as connection:
            newest = await connection.scalar(sa.select(sa.func.max(changes.c.seq))) or 0
            await connection.execute(sa.delete(changes).where(changes.c.seq <= newest - self._keep))


async def _wait(flag: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await flag.wait()
    except TimeoutError:
        pass
