"""Viewers' sessions as rows: the table, its statements, and what the journal says of a session.

In: a connection of a read or write unit. Out: values of `model`. Neighbour: `store` runs these with
what it knows of trees.
"""

from collections.abc import Iterable
from dataclasses import asdict

import sqlalchemy as sa

from umbel.catalogue.store import events
from umbel.catalogue.visibility.store import may_watch
from umbel.delivery.model import Session
from umbel.delivery.revocation import store as revocation
from umbel.delivery.sessions.model import SessionCount
from umbel.kit import journal
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("access_node", sa.String(64), nullable=False),
    sa.Column("function", sa.String(128), nullable=False),
    sa.Column("edge_node", sa.String(64), nullable=False),
    sa.Column("opened_s", sa.Float, nullable=False),
    sa.Column("seen_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float, nullable=False),
    sa.Column("username", sa.String(64), nullable=False, server_default=""),
    sa.Column("phrase_generation", sa.String(32), nullable=False, server_default=""),
    sa.Index("ix_sessions_stream_function", "stream", "function"),
)

_STREAM, _ID = given("of"), given("id_")
SESSIONS = Query(sa.select(sessions).order_by(sessions.c.opened_s, sessions.c.id), Session)
SESSIONS_OF = Query(sa.select(sessions).where(sessions.c.stream == _STREAM), Session)
SESSIONS_AT = Query(sa.select(sessions).where(sessions.c.edge_node == given("at")), Session)
SESSION = Query(sa.select(sessions).where(sessions.c.id == _ID), Session)
OPEN = Command(sa.insert(sessions))
CLOSE = Command(sa.delete(sessions).where(sessions.c.id == _ID))
CLOSE_ALL = Command(sa.delete(sessions).where(sessions.c.stream == _STREAM))
SEEN = Command(sa.update(sessions).where(sessions.c.id == _ID), ["seen_s"])
SEEN_AT = Command(
    sa.update(sessions).where(
        (sessions.c.stream == _STREAM) & (sessions.c.function == given("at"))
    ),
    ["seen_s"],
)
STALE = Query(
    sa.select(sessions).where(
        (sessions.c.stream == _STREAM) & (sessions.c.seen_s < given("unseen_since_s"))
    ),
    Session,
)

UNAUTHORIZED = Query(
    sa.select(sessions).where(
        (sessions.c.stream == _STREAM)
        & (events.c.id == given("event_"))
        & ~may_watch(sessions.c.username, sessions.c.phrase_generation)
    ),
    Session,
)

_COUNT = sa.func.count().label("count")
AT_NODE = Scalar(
    sa.select(_COUNT).select_from(sessions).where(sessions.c.edge_node == given("at")), int
)
_PLACES = (sessions.c.stream, sessions.c.function, sessions.c.access_node, sessions.c.edge_node)
COUNTS = Query(sa.select(*_PLACES, _COUNT).group_by(*_PLACES), SessionCount)
WATCHED = Scalar(sa.select(sessions.c.function).where(sessions.c.stream == _STREAM).distinct(), str)
AUDIENCE = Query(
    sa.select(
        sessions.c.stream,
        sessions.c.access_node,
        _COUNT,
        sa.func.avg(sessions.c.opened_s).label("opened_s"),
    )
    .group_by(sessions.c.stream, sessions.c.access_node)
    .order_by(sessions.c.stream, sessions.c.access_node),
    lambda **row: (row["stream"], row["access_node"], int(row["count"]), float(row["opened_s"])),
)


def add(connection: Connection, session: Session) -> None:
    """A new session."""
    connection.run(OPEN, **asdict(session))
    _journal_session(connection, session, "opened", session.opened_s)


def end(connection: Connection, sessions: Iterable[Session], why: str, at_s: float) -> None:
    """Delete those that are there, and revoke their tokens."""
    ended = [s for s in sessions if connection.run(CLOSE, id_=s.id)]
    revocation.revoke(connection, ended, at_s)
    for session in ended:
        _journal_session(connection, session, why, at_s)


def _journal_session(connection: Connection, session: Session, what: str, at_s: float) -> None:
    body = {
        "what": what,
        "stream": session.stream,
        "access_node": session.access_node,
        "edge": session.edge_node,
        "function": session.function,
    }
    journal.record(connection, at_s=at_s, kind="session", subject=session.id, body=body)
