"""Subscribers, what they are still to be told, and the functions that were last told of, as rows.

A notice and its line in the journal are one unit. One instance at a time serves a subscriber: the
row's `owner`, until `until_s`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Conflict, NotFound
from umbel.notify.model import (
    Kind,
    Notice,
    Place,
    Progress,
    Roster,
    Subscriber,
    SubscriberState,
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(256), nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

subscribers = sa.Table(
    "subscribers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("kinds", sa.JSON, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("sealed_secret", sa.Text, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
)

told_functions = sa.Table(
    "told_functions",
    metadata,
    sa.Column("function", sa.String(128), primary_key=True),
    sa.Column("node", sa.String(64), nullable=False),
    sa.Column("role", sa.String(32), nullable=False),
)


class NoSuchSubscriber(NotFound):
    """No subscriber has that id."""

    code = "umbel.no_such_subscriber"


class TooManySubscribers(Conflict):
    """There are as many subscribers as this installation serves; remove one."""

    code = "umbel.too_many_subscribers"


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What waits for a subscriber: the newest of it, and how many older ones there are or were."""

    notices: tuple[Notice, ...]
    missed: int


class NotifyStore:
    """The queries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- notices ----------------------------------------------------------------------------

    async def append(self, what: Iterable[Notice], roster: Roster | None = None) -> None:
        """Store the notices in order, journal them, and remember the roster if one is given."""
        async with self._database.write() as connection:
            if roster is not None:
                await _put_roster(connection, roster)
            for notice in what:
                # The journal's line comes first: it is where instances queue, so that the order
                # of ids is the order of commits, and no cursor passes by one that is still open.
                await journal.record(
                    connection,
                    at_s=notice.at_s,
                    kind=notice.kind,
                    subject=notice.subject[:128],
                    body=notice.body,
                )
                row = {"at_s": notice.at_s, "kind": notice.kind, "body": dict(notice.body)}
                await connection.execute(
                    sa.insert(notices).values(row | {"subject": notice.subject[:256]})
                )

    async def head(self) -> int:
        """The newest notice's id, 0 when there is none."""
        async with self._database.read() as connection:
            return await _head(connection)

    async def since(self, after: int, most: int) -> list[Notice]:
        """Notices after `after`, oldest first."""
        query = sa.select(notices).where(notices.c.id > after).order_by(notices.c.id).limit(most)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings()
            return [_notice(row) for row in rows]

    async def backlog(self, subscriber: Subscriber, upto: int, most: int) -> Backlog:
        """What the subscriber is still to be told of up to and with `upto`: the newest `most`."""
        cursor = subscriber.progress.cursor
        kinds = sorted(kind.value for kind in subscriber.kinds)
        waiting = (notices.c.id > cursor) & (notices.c.id <= upto) & notices.c.kind.in_(kinds)
        newest = sa.select(notices).where(waiting).order_by(notices.c.id.desc()).limit(most)
        async with self._database.read() as connection:
            rows = (await connection.execute(newest)).mappings().all()
            count = await connection.scalar(sa.select(sa.func.count()).where(waiting)) or 0
            oldest = await connection.scalar(sa.select(sa.func.min(notices.c.id)))
        # How many of its kinds were among those that are not kept any more, nobody knows.
        is_trimmed = oldest is not None and oldest > cursor + 1
        return Backlog(
            notices=tuple(_notice(row) for row in reversed(rows)),
            missed=count - len(rows) + is_trimmed,
        )

    async def trim(self, keep: int) -> None:
        """Drop all but the newest `keep` notices."""
        async with self._database.write() as connection:
            oldest = await _head(connection) - keep
            await connection.execute(sa.delete(notices).where(notices.c.id <= oldest))

    async def roster(self) -> Roster:
        """The functions that were last told of."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(told_functions))).all()
        return {row.function: Place(node=row.node, role=row.role) for row in rows}

    # -- subscribers ------------------------------------------------------------------------

    async def add(self, subscriber: Subscriber, owner: str, until_s: float, most: int) -> None:
        """Store a subscriber that gets what comes from now on. Raises TooManySubscribers."""
        async with self._database.write() as connection:
            count = await connection.scalar(sa.select(sa.func.count()).select_from(subscribers))
            if (count or 0) >= most:
                raise TooManySubscribers(most=most)
            progress = replace(subscriber.progress, cursor=await _head(connection))
            row = {
                "id": subscriber.id,
                "url": subscriber.url,
                "kinds": sorted(kind.value for kind in subscriber.kinds),
                "note": subscriber.note,
                "created_s": subscriber.created_s,
                "sealed_secret": subscriber.sealed_secret,
                "progress": asdict(progress),
                "owner": owner,
                "until_s": until_s,
            }
            await connection.execute(sa.insert(subscribers).values(row))

    async def subscribers(self) -> list[Subscriber]:
        """Every subscriber, in the order they came."""
        order = (subscribers.c.created_s, subscribers.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(subscribers).order_by(*order))).mappings()
            return [_subscriber(row) for row in rows]

    async def subscriber(self, id_: str) -> Subscriber:
        """One of them. Raises NoSuchSubscriber."""
        query = sa.select(subscribers).where(subscribers.c.id == id_)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NoSuchSubscriber(subscriber=id_)
        return _subscriber(row)

    async def remove(self, id_: str) -> None:
        """Forget one. Raises NoSuchSubscriber."""
        async with self._database.write() as connection:
            gone = await connection.execute(sa.delete(subscribers).where(subscribers.c.id == id_))
            if not gone.rowcount:
                raise NoSuchSubscriber(subscriber=id_)

    async def hold(self, owner: str, *, now_s: float, ttl_s: float) -> list[Subscriber]:
        """Take or renew every subscriber that no other instance serves; answers those held."""
        if not await self.subscribers():
            return []
        free = (subscribers.c.owner == owner) | (subscribers.c.until_s <= now_s)
        mine = sa.select(subscribers).where(subscribers.c.owner == owner)
        async with self._database.write() as connection:
            renew = sa.update(subscribers).where(free)
            await connection.execute(renew.values(owner=owner, until_s=now_s + ttl_s))
            rows = (await connection.execute(mine)).mappings().all()
        return [_subscriber(row) for row in rows]

    async def release(self, owner: str) -> None:
        """Give up every subscriber, for a clean exit."""
        async with self._database.write() as connection:
            mine = subscribers.c.owner == owner
            await connection.execute(sa.update(subscribers).where(mine).values(until_s=0.0))

    async def save(self, id_: str, progress: Progress, owner: str = "") -> bool:
        """Remember how far a subscriber is. False when it is gone, or not `owner`'s any more."""
        theirs = subscribers.c.id == id_
        if owner:
            theirs &= subscribers.c.owner == owner
        async with self._database.write() as connection:
            update = sa.update(subscribers).where(theirs).values(progress=asdict(progress))
            return bool((await connection.execute(update)).rowcount)


async def _head(connection: AsyncConnection) -> int:
    return await connection.scalar(sa.select(sa.func.max(notices.c.id))) or 0


async def _put_roster(connection: AsyncConnection, roster: Roster) -> None:
    await connection.execute(sa.delete(told_functions))
    rows = [{"function": id_, **asdict(place)} for id_, place in sorted(roster.items())]
    if rows:
        await connection.execute(sa.insert(told_functions), rows)


def _notice(row: sa.RowMapping) -> Notice:
    return Notice(
        id=row["id"],
        at_s=row["at_s"],
        kind=row["kind"],
        subject=row["subject"],
        body=row["body"],
    )


def _subscriber(row: sa.RowMapping) -> Subscriber:
    progress: Mapping[str, object] = row["progress"]
    kinds: Sequence[str] = row["kinds"]
    return Subscriber(
        id=row["id"],
        url=row["url"],
        kinds=frozenset(Kind(kind) for kind in kinds),
        note=row["note"],
        created_s=row["created_s"],
        sealed_secret=row["sealed_secret"],
        progress=Progress(**{**row["progress"], "state": SubscriberState(str(progress["state"]))}),
    )
