"""Viewers of recordings as rows: every instance counts the same ones."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict

import sqlalchemy as sa

from umbel.delivery.replays.model import ReplayLoad, ReplaySession
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, ConstraintViolated, Query, given

replay_sessions = sa.Table(
    "replay_sessions",
    metadata,
    sa.Column("grant_id", sa.String(32), primary_key=True),
    sa.Column("access_node", sa.String(64), primary_key=True),
    sa.Column("capture_id", sa.String(64), nullable=False),
    sa.Column("function", sa.String(128), nullable=False),
    sa.Column("edge_node", sa.String(64), nullable=False),
    sa.Column("mbps", sa.Float, nullable=False),
    sa.Column("seen_s", sa.Float, nullable=False),
    sa.Index("ix_replay_sessions_seen_s", "seen_s"),
)

_ROWS = replay_sessions.c
_KEY = (_ROWS.grant_id == given("grant")) & (_ROWS.access_node == given("access"))
_ONE = Query(sa.select(replay_sessions).where(_KEY), ReplaySession)
_LOADS = Query(
    sa.select(
        _ROWS.capture_id,
        _ROWS.function,
        _ROWS.edge_node,
        sa.func.count().label("viewers"),
        sa.func.sum(_ROWS.mbps).label("mbps"),
    )
    .where(_ROWS.seen_s >= given("since_s"))
    .group_by(_ROWS.capture_id, _ROWS.function, _ROWS.edge_node)
    .order_by(_ROWS.function, _ROWS.capture_id),
    ReplayLoad,
)
_ADD = Command(sa.insert(replay_sessions))
_DROP = Command(sa.delete(replay_sessions).where(_KEY))
_SEEN = Command(
    sa.update(replay_sessions).where(
        (_ROWS.grant_id == given("grant")) & (_ROWS.function == given("at"))
    ),
    ["seen_s"],
)
_SWEEP = Command(sa.delete(replay_sessions).where(_ROWS.seen_s < given("since_s")))


class ReplayStore:
    """The queries of viewers of recordings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, grant_id: str, access_node: str) -> ReplaySession | None:
        """The viewer's edge, if it has one."""
        return await self._database.read(
            lambda connection: connection.first(_ONE, grant=grant_id, access=access_node)
        )

    async def put(self, session: ReplaySession) -> None:
        """This is the viewer's edge from now on. Where two instances choose at once, one edge is
        stored."""

        def change(connection: Connection) -> None:
            connection.run(_DROP, grant=session.grant_id, access=session.access_node)
            connection.run(_ADD, **asdict(session))

        with suppress(ConstraintViolated):
            await self._database.write(change)

    async def loads(self, since_s: float) -> list[ReplayLoad]:
        """Viewers seen since then, by capture and edge."""
        return await self._database.read(lambda connection: connection.all(_LOADS, since_s=since_s))

    async def seen(self, function: str, grant_ids: Collection[str], at_s: float) -> None:
        """The edge served these."""

        def change(connection: Connection) -> None:
            for grant_id in grant_ids:
                connection.run(_SEEN, grant=grant_id, at=function, seen_s=at_s)

        if grant_ids:
            await self._database.write(change)

    async def sweep(self, since_s: float) -> None:
        """Forget viewers who were not seen since then."""
        await self._database.write(lambda connection: connection.run(_SWEEP, since_s=since_s))
