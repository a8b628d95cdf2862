"""Sessions follow an edge that was moved to another node."""

import sqlalchemy as sa

from umbel.delivery.sessions.store import sessions
from umbel.kit.db import Database
from umbel.kit.sql import Command, given

_RELOCATE = Command(
    sa.update(sessions).where(
        (sessions.c.function == given("of")) & (sessions.c.edge_node != given("to"))
    ),
    ["edge_node"],
)


class MoveStore:
    """The queries of moved functions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def relocate_sessions(self, function: str, node: str) -> None:
        """The function's viewers are served on that node from now on."""
        await self._database.write(lambda c: c.run(_RELOCATE, of=function, to=node, edge_node=node))
