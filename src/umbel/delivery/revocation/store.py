"""Sessions that ended before their tokens expire, as rows: edges refuse these tokens.

In: sessions that end, in the unit of work that ends them. Out: what an edge has to know. A row goes
when its token has expired, or with its stream.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from umbel.delivery.model import Session
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given

revoked_sessions = sa.Table(
    "revoked_sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("revoked_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float, nullable=False),
    sa.Index("ix_revoked_sessions_stream_revoked_s", "stream", "revoked_s"),
    sa.Index("ix_revoked_sessions_expires_s", "expires_s"),
)
_rows = revoked_sessions.c

_ADD = Command(sa.insert(revoked_sessions))
_DROP = Command(sa.delete(revoked_sessions).where(_rows.stream == given("of")))
_PURGE = Command(sa.delete(revoked_sessions).where(_rows.expires_s <= given("now_s")))
_SINCE = Query(
    sa.select(_rows.id.label("session"), _rows.expires_s)
    .where((_rows.stream == given("of")) & (_rows.revoked_s >= given("since_s")))
    .order_by(_rows.revoked_s, _rows.id),
    lambda *, session, expires_s: (str(session), float(expires_s)),
)


def revoke(connection: Connection, sessions: Iterable[Session], at_s: float) -> None:
    """The sessions ended; their tokens may still be valid."""
    rows = (
        {"id": s.id, "stream": s.stream, "revoked_s": at_s, "expires_s": s.expires_s}
        for s in sessions
        if s.expires_s > at_s
    )
    connection.run_many(_ADD, rows)


def since(connection: Connection, stream: str, since_s: float) -> list[tuple[str, float]]:
    """The stream's sessions that were revoked then or later, oldest first: each id with the time at
    which its token expires."""
    return connection.all(_SINCE, of=stream, since_s=since_s)


def purge(connection: Connection, now_s: float) -> None:
    """Delete those whose tokens have expired."""
    connection.run(_PURGE, now_s=now_s)


def drop(connection: Connection, stream: str) -> None:
    """The stream is over, and nothing carries it."""
    connection.run(_DROP, of=stream)
