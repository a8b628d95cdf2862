"""Subscribers, the notices that wait for them, and the functions that were last reported, as rows.

A notice and its line in the journal are one unit. One instance at a time serves a subscriber: the
row's `owner`, until `until_s`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Conflict, NotFound
from umbel.kit.sql import Command, Connection, Query, Scalar, given
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
    """The maximum number of subscribers is reached; remove one."""

    code = "umbel.too_many_subscribers"


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What waits for a subscriber: the newest of it, and how many older ones there are or were."""

    notices: tuple[Notice, ...]
    missed: int


def _subscriber(
    *, kinds: Iterable[str], progress: Mapping[str, Any], owner: str, until_s: float, **row: Any
) -> Subscriber:
    del owner, until_s
    state = SubscriberState(progress["state"])
    return Subscriber(
        kinds=frozenset(Kind(kind) for kind in kinds),
        progress=Progress(**{**progress, "state": state}),
        **row,
    )


_OWNER, _ID = given("by"), given("id_")
_ADD_NOTICE = Command(sa.insert(notices), ["at_s", "kind", "subject", "body"])
_NEWEST = Scalar(sa.select(sa.func.max(notices.c.id)), int)
_OLDEST = Scalar(sa.select(sa.func.min(notices.c.id)), int)
_SINCE = Query(
    sa.select(notices)
    .where(notices.c.id > given("after"))
    .order_by(notices.c.id)
    .limit(given("most", sa.Integer)),
    Notice,
)
_TRIM = Command(sa.delete(notices).where(notices.c.id <= given("upto")))

_ROSTER = Query(
    sa.select(told_functions), lambda *, function, **place: (str(function), Place(**place))
)
_CLEAR_ROSTER = Command(sa.delete(told_functions))
_PUT_ROSTER = Command(sa.insert(told_functions))

_ALL = Query(
    sa.select(subscribers).order_by(subscribers.c.created_s, subscribers.c.id), _subscriber
)
_ONE = Query(sa.select(subscribers).where(subscribers.c.id == _ID), _subscriber)
_THEIRS = Query(sa.select(subscribers).where(subscribers.c.owner == _OWNER), _subscriber)
_COUNT = Scalar(sa.select(sa.func.count()).select_from(subscribers), int)
_ADD = Command(sa.insert(subscribers))
_REMOVE = Command(sa.delete(subscribers).where(subscribers.c.id == _ID))
_HOLD = Command(
    sa.update(subscribers).where(
        (subscribers.c.owner == _OWNER) | (subscribers.c.until_s <= given("now_s"))
    ),
    ["owner", "until_s"],
)
_RELEASE = Command(sa.update(subscribers).where(subscribers.c.owner == _OWNER), ["until_s"])
_SAVE = Command(sa.update(subscribers).where(subscribers.c.id == _ID), ["progress"])
_SAVE_OWN = Command(
    sa.update(subscribers).where((subscribers.c.id == _ID) & (subscribers.c.owner == _OWNER)),
    ["progress"],
)


class NotifyStore:
    """The queries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- notices ----------------------------------------------------------------------------

    async def append(self, what: Iterable[Notice], roster: Roster | None = None) -> None:
        """Store the notices in order, journal them, and remember the roster if one is given."""
        await self._database.write(_append, list(what), roster)

    async def head(self) -> int:
        """The newest notice's id, 0 when there is none."""
        return await self._database.read(_head)

    async def since(self, after: int, most: int) -> list[Notice]:
        """Notices after `after`, oldest first."""
        return await self._database.read(lambda c: c.all(_SINCE, after=after, most=most))

    async def backlog(self, subscriber: Subscriber, upto: int, most: int) -> Backlog:
        """The notices that wait for the subscriber, up to and with `upto`: the newest `most`."""
        return await self._database.read(_backlog, subscriber, upto, most)

    async def trim(self, keep: int) -> None:
        """Drop all but the newest `keep` notices."""
        await self._database.write(lambda c: c.run(_TRIM, upto=_head(c) - keep))

    async def roster(self) -> Roster:
        """The functions that were last told of."""
        return dict(await self._database.read(lambda c: c.all(_ROSTER)))

    # -- subscribers ------------------------------------------------------------------------

    async def add(self, subscriber: Subscriber, owner: str, until_s: float, most: int) -> None:
        """Store a subscriber that gets what comes from now on. Raises TooManySubscribers."""
        row = {**asdict(subscriber), "owner": owner, "until_s": until_s}
        row["kinds"] = sorted(kind.value for kind in subscriber.kinds)

        def add(connection: Connection) -> None:
            if (connection.scalar(_COUNT) or 0) >= most:
                raise TooManySubscribers(most=most)
            progress = replace(subscriber.progress, cursor=_head(connection))
            connection.run(_ADD, **{**row, "progress": asdict(progress)})

        await self._database.write(add)

    async def subscribers(self) -> list[Subscriber]:
        """Every subscriber, in the order they came."""
        return await self._database.read(lambda c: c.all(_ALL))

    async def subscriber(self, id_: str) -> Subscriber:
        """One of them. Raises NoSuchSubscriber."""
        found = await self._database.read(lambda c: c.first(_ONE, id_=id_))
        if found is None:
            raise NoSuchSubscriber(subscriber=id_)
        return found

    async def remove(self, id_: str) -> None:
        """Forget one. Raises NoSuchSubscriber."""
        if not await self._database.write(lambda c: c.run(_REMOVE, id_=id_)):
            raise NoSuchSubscriber(subscriber=id_)

    async def hold(self, owner: str, *, now_s: float, ttl_s: float) -> list[Subscriber]:
        """Take or renew every subscriber that no other instance serves; answers those held."""
        if not await self.subscribers():
            return []

        def hold(connection: Connection) -> list[Subscriber]:
            connection.run(_HOLD, by=owner, now_s=now_s, owner=owner, until_s=now_s + ttl_s)
            return connection.all(_THEIRS, by=owner)

        return await self._database.write(hold)

    async def release(self, owner: str) -> None:
        """Give up every subscriber, for a clean exit."""
        await self._database.write(lambda c: c.run(_RELEASE, by=owner, until_s=0.0))

    async def save(self, id_: str, progress: Progress, owner: str = "") -> bool:
        """Remember how far a subscriber is. False when it is gone, or not `owner`'s any more."""
        values: dict[str, object] = {"id_": id_, "progress": asdict(progress)}
        command = _SAVE
        if owner:
            command, values["by"] = _SAVE_OWN, owner
        return bool(await self._database.write(lambda c: c.run(command, **values)))


def _head(connection: Connection) -> int:
    return connection.scalar(_NEWEST) or 0


def _append(connection: Connection, what: Iterable[Notice], roster: Roster | None) -> None:
    if roster is not None:
        connection.run(_CLEAR_ROSTER)
        connection.run_many(
            _PUT_ROSTER,
            ({"function": id_, **asdict(place)} for id_, place in sorted(roster.items())),
        )
    for notice in what:
        # The journal's line comes first: it is where instances queue, so that the order
        # of ids is the order of commits, and no cursor passes by one that is still open.
        about = {"at_s": notice.at_s, "kind": notice.kind, "body": dict(notice.body)}
        journal.record(
            connection,
            at_s=notice.at_s,
            kind=notice.kind,
            subject=notice.subject[:128],
            body=notice.body,
        )
        connection.run(_ADD_NOTICE, subject=notice.subject[:256], **about)


def _backlog(connection: Connection, subscriber: Subscriber, upto: int, most: int) -> Backlog:
    cursor = subscriber.progress.cursor
    kinds = [sa.literal(kind) for kind in sorted(kind.value for kind in subscriber.kinds)]
    waiting = (notices.c.id > cursor) & (notices.c.id <= upto) & notices.c.kind.in_(kinds)
    newest = sa.select(notices).where(waiting).order_by(notices.c.id.desc()).limit(most)
    found = connection.all(Query(newest, Notice))
    count = connection.scalar(Scalar(sa.select(sa.func.count()).where(waiting), int)) or 0
    oldest = connection.scalar(_OLDEST)
    # How many of its kinds were among those that are no longer kept is not known.
    is_trimmed = oldest is not None and oldest > cursor + 1
    return Backlog(notices=tuple(reversed(found)), missed=count - len(found) + is_trimmed)
