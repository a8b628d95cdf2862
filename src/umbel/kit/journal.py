"""What changed, in order: an append-only table written in the same unit as the change itself.

In: `record(connection, ...)` inside a write unit. Out: `Journal.follow(after)` yields entries in
commit order, for server-sent events and for the other instances over the same database.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from umbel.kit.db import Database, metadata
from umbel.kit.errors import NotFound
from umbel.kit.signal import Signal
from umbel.kit.sql import Command, Connection, Query, Scalar, given

log = structlog.get_logger(__name__)

UNREADABLE = "unreadable"
"""The kind of an entry whose body cannot be read: it keeps its place, and no reader knows it."""

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
_POLL_SQLITE_S, _POLL_POSTGRESQL_S = 2.0, 10.0
_BATCH = 500
_GATHER_S = 0.01

_RECORD = Command(sa.insert(changes), ("at_s", "kind", "subject", "body"))
_HEAD = Scalar(sa.select(sa.func.max(changes.c.seq)), int)
_OLDEST = Scalar(sa.select(sa.func.min(changes.c.seq)), int)
_SUBJECTS = Scalar(
    sa.select(changes.c.subject)
    .where(changes.c.seq > given("after"), changes.c.seq <= given("upto"))
    .where(changes.c.kind == given("of"))
    .distinct(),
    str,
)
_TRIM = Command(sa.delete(changes).where(changes.c.seq <= given("upto")))


class JournalTrimmed(NotFound):
    """The requested position is older than the journal: read the state again."""

    code = "umbel.journal_trimmed"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One entry: `kind` and `subject` name what changed, `body` what readers may know of it."""

    seq: int
    at_s: float
    kind: str
    subject: str
    body: Mapping[str, object]


def _change(*, seq: int, at_s: float, kind: str, subject: str, body: object) -> Change:
    """An entry out of its row. SQLite has no JSON and gives text."""
    try:
        read = json.loads(body) if isinstance(body, str) else body
    except ValueError:
        read = None
    if isinstance(read, dict):
        return Change(seq=seq, at_s=at_s, kind=kind, subject=subject, body=read)
    return Change(seq=seq, at_s=at_s, kind=UNREADABLE, subject=subject, body={})


_COLUMNS = (
    *(column for column in changes.c if column is not changes.c.body),
    # As text, so that a body that cannot be read is this row's trouble alone.
    sa.type_coerce(changes.c.body, sa.Text).label("body"),
)
_SINCE = Query(
    sa.select(*_COLUMNS)
    .where(changes.c.seq > given("after"))
    .order_by(changes.c.seq)
    .limit(given("most", sa.Integer)),
    _change,
)

_FROM = sa.select(*_COLUMNS).where(changes.c.at_s >= given("since_s")).order_by(changes.c.seq)
_BEGIN = Scalar(sa.select(sa.func.min(changes.c.at_s)), float)


def record(
    connection: Connection, *, at_s: float, kind: str, subject: str, body: Mapping[str, object]
) -> None:
    """Append an entry, last in its write unit: on PostgreSQL writers queue here, so that seq order
    is commit order, and a writer that waits for a row while others wait for it is a deadlock."""
    connection.lock(_ORDER_LOCK)
    connection.run(_RECORD, at_s=at_s, kind=kind, subject=subject, body=dict(body))
    connection.announce()


def changed(connection: Connection, kind: str, after: int) -> tuple[int, list[str] | None]:
    """The newest seq, and the subjects of that kind that changed after `after`; None where entries
    are gone, so that any may have. A cache asks first and then reads their rows."""
    head = _head(connection)
    if head == after:
        return head, []
    oldest = connection.scalar(_OLDEST)
    if head < after or oldest is None or oldest > after + 1:
        return head, None
    return head, connection.scalars(_SUBJECTS, after=after, upto=head, of=kind)


class Journal:
    """Reads and follows the entries. A commit wakes the followers: on PostgreSQL those of every
    process, on SQLite those of its own; `poll_s` is how long others take to see it at most.
    Followers that have got equally far share a read that is under way."""

    def __init__(
        self, database: Database, *, keep: int = 10_000, poll_s: float | None = None
    ) -> None:
        self._database = database
        self._keep = keep
        quiet_s = _POLL_SQLITE_S if database.is_sqlite else _POLL_POSTGRESQL_S
        self._poll_s = quiet_s if poll_s is None else poll_s
        self._news = Signal()
        self._wakes = 0
        self._followers = 0
        self._reading: _Reading | None = None
        self._reported = 0

    async def head(self) -> int:
        """The newest entry's seq, 0 when there is none."""
        return await self._database.read(_head)

    async def since(self, after: int, limit: int = _BATCH) -> list[Change]:
        """Entries after `after`, oldest first. Raises JournalTrimmed when some are gone. Those that
        cannot be read are of the kind UNREADABLE, and logged once."""
        found = await self._database.read(_since, after, limit)
        for change in found:
            if change.kind == UNREADABLE and change.seq > self._reported:
                self._reported = change.seq
                log.error("journal entry cannot be read", seq=change.seq, subject=change.subject)
        return found

    async def of_kinds(self, kinds: Iterable[str], since_s: float) -> tuple[list[Change], float]:
        """The kept entries of these kinds from that time on, oldest first, and the time from which
        on all are kept: a later one where older entries were dropped."""
        named = [sa.literal(kind) for kind in kinds]
        query = Query(_FROM.where(changes.c.kind.in_(named)), _change)

        def read(connection: Connection) -> tuple[list[Change], float]:
            found = connection.all(query, since_s=since_s)
            is_whole = connection.scalar(_OLDEST) in (None, 1)
            begin_s = connection.scalar(_BEGIN)
            return found, since_s if is_whole or begin_s is None else max(since_s, begin_s)

        return await self._database.read(read)

    async def follow(self, after: int) -> AsyncGenerator[Change]:
        """Entries after `after`, for ever, without those that cannot be read."""
        self._joined()
        try:
            while True:
                news = self._news.listen()
                batch = await self._after(after)
                for change in batch:
                    if change.kind != UNREADABLE:
                        yield change
                    after = change.seq
                if len(batch) < _BATCH:
                    await news.wait(self._poll_s)
                    # Where many write, one look takes in what several wrote.
                    await asyncio.sleep(_GATHER_S)
        finally:
            self._left()

    async def trim(self) -> None:
        """Drop all but the newest `keep` entries."""
        await self._database.write(_trim, self._keep)

    def _joined(self) -> None:
        if self._followers == 0:
            self._database.watch(self._woken)
        self._followers += 1

    def _left(self) -> None:
        self._followers -= 1
        if self._followers == 0:
            self._database.unwatch(self._woken)

    def _woken(self) -> None:
        self._wakes += 1
        self._news.notify()

    async def _after(self, after: int) -> list[Change]:
        """What follows `after`, by a read that began after the last wake-up. A follower that is
        cancelled takes nothing from those it shares the read with."""
        reading = self._reading
        if reading is None or (reading.after, reading.wakes) != (after, self._wakes):
            task = asyncio.create_task(self.since(after), name="journal")
            reading = self._reading = _Reading(after, self._wakes, task)
            task.add_done_callback(self._read)
        return await asyncio.shield(reading.task)

    def _read(self, task: asyncio.Task[list[Change]]) -> None:
        if self._reading is not None and self._reading.task is task:
            self._reading = None
        if not task.cancelled():
            task.exception()  # its followers get it; where all of them have left, it is dropped


@dataclass(frozen=True)
class _Reading:
    """A read of what follows `after` that is under way, begun after so many wake-ups."""

    after: int
    wakes: int
    task: asyncio.Task[list[Change]]


def _head(connection: Connection) -> int:
    return connection.scalar(_HEAD) or 0


def _since(connection: Connection, after: int, limit: int) -> list[Change]:
    found = connection.all(_SINCE, after=after, most=limit)
    if found and found[0].seq > after + 1:
        # Trimmed, or only a number that a rolled back unit of PostgreSQL used up.
        oldest = connection.scalar(_OLDEST)
        if oldest is not None and after + 1 < oldest:
            raise JournalTrimmed(oldest=oldest)
    return found


def _trim(connection: Connection, keep: int) -> None:
    connection.run(_TRIM, upto=_head(connection) - keep)
