"""Wanted counts as rows: a restart and every other instance see the same ones."""

from dataclasses import asdict

import sqlalchemy as sa

from umbel.delivery.prepared.model import Prepared
from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, given

prepared_functions = sa.Table(
    "prepared_functions",
    metadata,
    sa.Column("node", sa.String(64), primary_key=True),
    sa.Column("edges", sa.Integer, nullable=False),
    sa.Column("forwarders", sa.Integer, nullable=False),
)

_ROWS = Query(sa.select(prepared_functions).order_by(prepared_functions.c.node), Prepared)
_ADD = Command(sa.insert(prepared_functions))
_DROP = Command(sa.delete(prepared_functions).where(prepared_functions.c.node == given("named")))


class PreparedStore:
    """The queries of wanted counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Prepared]:
        """Every node that is to have functions in advance, by name."""
        return await self._database.read(lambda connection: connection.all(_ROWS))

    async def forget(self, node: str) -> None:
        """The node is gone."""
        await self._database.write(lambda connection: connection.run(_DROP, named=node))

    async def set(self, wanted: Prepared, *, by: str, at_s: float) -> None:
        """The node is to have exactly these."""

        def change(connection: Connection) -> None:
            connection.run(_DROP, named=wanted.node)
            if wanted.edges or wanted.forwarders:
                connection.run(_ADD, **asdict(wanted))
            body = {"what": "prepared", "by": by}
            journal.record(connection, at_s=at_s, kind="node", subject=wanted.node, body=body)

        await self._database.write(change)
