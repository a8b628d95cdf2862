"""Wanted trees and sessions as rows. The wanted state is here alone: a restarted control
plane reads it and goes on.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from umbel.delivery.model import Branch, Session, Tree
from umbel.kit import journal
from umbel.kit.db import Database, VersionMismatch, expect_one, metadata
from umbel.kit.errors import NotFound

trees = sa.Table(
    "trees",
    metadata,
    sa.Column("stream", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("branches", sa.JSON, nullable=False),
    sa.Column("rtp_offer", sa.Text, nullable=False, server_default=""),
    sa.Column("ingest_ports", sa.JSON, nullable=False, server_default="[]"),
)

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
    sa.Index("ix_sessions_stream_function", "stream", "function"),
)


class NoSuchSession(NotFound):
    """No session has that id: it ended, or never was."""

    code = "umbel.no_such_session"


class DeliveryStore:
    """The queries of delivery."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trees(self) -> dict[str, Tree]:
        """Every wanted tree by stream."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(trees))).mappings()
            return {row["stream"]: _tree(row) for row in rows}

    async def tree(self, stream: str) -> Tree:
        """The stream's tree; an empty one of version 0 when there is none."""
        async with self._database.read() as connection:
            query = sa.select(trees).where(trees.c.stream == stream)
            row = (await connection.execute(query)).mappings().first()
        return _tree(row) if row is not None else Tree(stream=stream)

    async def save_tree(self, tree: Tree, *, at_s: float) -> Tree:
        """Store it. Raises VersionMismatch when somebody else did since it was read."""
        async with self._database.write() as connection:
            saved = await _put_tree(connection, tree)
            await _journal_tree(connection, saved, at_s)
        return saved

    async def drop_tree(self, stream: str, *, at_s: float) -> None:
        """The stream is over: no tree and no sessions. An absent one is no error."""
        async with self._database.write() as connection:
            gone = await connection.execute(sa.delete(trees).where(trees.c.stream == stream))
            await connection.execute(sa.delete(sessions).where(sessions.c.stream == stream))
            if gone.rowcount:
                await _journal_tree(connection, Tree(stream=stream), at_s)

    async def ingest(self, stream: str) -> tuple[str, tuple[int, ...]]:
        """What a restarted acquirer must know: the described RTP publisher's SDP (empty when
        there is none), and the ports its encoders were told."""
        async with self._database.read() as connection:
            query = sa.select(trees.c.rtp_offer, trees.c.ingest_ports).where(
                trees.c.stream == stream
            )
            row = (await connection.execute(query)).first()
        return (row[0], tuple(row[1])) if row is not None else ("", ())

    async def save_ingest_ports(self, stream: str, ports: tuple[int, ...]) -> None:
        """Remember the ports that encoders are told."""
        async with self._database.write() as connection:
            update = sa.update(trees).where(trees.c.stream == stream)
            await connection.execute(update.values(ingest_ports=list(ports)))

    async def save_rtp_offer(self, stream: str, offer: str) -> None:
        """Remember the SDP for a restarted acquirer."""
        async with self._database.write() as connection:
            update = sa.update(trees).where(trees.c.stream == stream).values(rtp_offer=offer)
            await connection.execute(update)

    async def open_session(self, session: Session, tree: Tree | None) -> None:
        """Store a session, and the tree it needs where that changed."""
        async with self._database.write() as connection:
            if tree is not None:
                await _journal_tree(connection, await _put_tree(connection, tree), session.opened_s)
            await connection.execute(sa.insert(sessions).values(asdict(session)))
            await _journal_session(connection, session, "opened", session.opened_s)

    async def session(self, session_id: str) -> Session:
        """The session. Raises NoSuchSession."""
        async with self._database.read() as connection:
            query = sa.select(sessions).where(sessions.c.id == session_id)
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NoSuchSession(session=session_id)
        return Session(**row)

    async def sessions(self) -> list[Session]:
        """All of them, in the order in which they were opened."""
        query = sa.select(sessions).order_by(sessions.c.opened_s, sessions.c.id)
        async with self._database.read() as connection:
            return [Session(**row) for row in (await connection.execute(query)).mappings()]

    async def close_session(self, session: Session, *, at_s: float, why: str = "closed") -> None:
        """Forget it. An absent one is no error."""
        async with self._database.write() as connection:
            delete = sa.delete(sessions).where(sessions.c.id == session.id)
            if (await connection.execute(delete)).rowcount:
                await _journal_session(connection, session, why, at_s)

    async def counts(self, stream: str | None = None) -> dict[tuple[str, str], int]:
        """How many sessions each (stream, function) has."""
        key = (sessions.c.stream, sessions.c.function)
        query = sa.select(*key, sa.func.count()).group_by(*key)
        if stream is not None:
            query = query.where(sessions.c.stream == stream)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {(row[0], row[1]): row[2] for row in rows}

    async def watching(self) -> dict[tuple[str, str, str], int]:
        """How many sessions each (stream, access node, edge's node) has."""
        key = (sessions.c.stream, sessions.c.access_node, sessions.c.edge_node)
        query = sa.select(*key, sa.func.count()).group_by(*key)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    async def audience(self) -> list[tuple[str, str, int, float]]:
        """Event, access node, how many sessions, and when they were opened on average."""
        key = (sessions.c.stream, sessions.c.access_node)
        opened_s = sa.func.avg(sessions.c.opened_s)
        query = sa.select(*key, sa.func.count(), opened_s).group_by(*key).order_by(*key)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(row[0], row[1], row[2], float(row[3])) for row in rows]

    async def sweep(
        self, stream: str, seen: Collection[str], *, now_s: float, idle_s: float
    ) -> list[Session]:
        """Mark the seen sessions as seen; end and return those unseen for `idle_s`."""
        async with self._database.write() as connection:
            for batch in _batches(sorted(seen), 500):
                mark = sa.update(sessions).where(sessions.c.id.in_(batch)).values(seen_s=now_s)
                await connection.execute(mark)
            stale = (sessions.c.stream == stream) & (sessions.c.seen_s < now_s - idle_s)
            rows = (await connection.execute(sa.select(sessions).where(stale))).mappings()
            ended = [Session(**row) for row in rows]
            if ended:
                await connection.execute(sa.delete(sessions).where(stale))
            for session in ended:
                await _journal_session(connection, session, "expired", now_s)
        return ended

    async def note(self, kind: str, subject: str, body: Mapping[str, object], at_s: float) -> None:
        """Journal something that was observed."""
        async with self._database.write() as connection:
            await journal.record(connection, at_s=at_s, kind=kind, subject=subject, body=body)


def _tree(row: sa.RowMapping) -> Tree:
    branches = tuple(Branch(**branch) for branch in row["branches"])
    return Tree(stream=row["stream"], branches=branches, version=row["version"])


async def _put_tree(connection: AsyncConnection, tree: Tree) -> Tree:
    values = {
        "stream": tree.stream,
        "version": tree.version + 1,
        "branches": [asdict(branch) for branch in tree.branches],
    }
    if tree.version == 0:
        try:
            await connection.execute(sa.insert(trees).values(values))
        except sa.exc.IntegrityError as error:
            raise VersionMismatch(f"the tree of {tree.stream} was made meanwhile") from error
    else:
        guarded = (trees.c.stream == tree.stream) & (trees.c.version == tree.version)
        result = await connection.execute(sa.update(trees).where(guarded).values(values))
        expect_one(result, f"the tree of {tree.stream}")
    return replace(tree, version=tree.version + 1)


async def _journal_tree(connection: AsyncConnection, tree: Tree, at_s: float) -> None:
    root = tree.root
    body = {
        "root": root.node if root is not None else None,
        "functions": [branch.function for branch in tree.branches],
    }
    await journal.record(connection, at_s=at_s, kind="tree", subject=tree.stream, body=body)


async def _journal_session(
    connection: AsyncConnection, session: Session, what: str, at_s: float
) -> None:
    body = {
        "what": what,
        "stream": session.stream,
        "access_node": session.access_node,
        "edge": session.edge_node,
        "function": session.function,
    }
    await journal.record(connection, at_s=at_s, kind="session", subject=session.id, body=body)


def _batches(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
