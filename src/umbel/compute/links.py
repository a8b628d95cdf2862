"""The connections of a VIM to machines that operators add and remove while it runs.

In: rows of machines, hypervisors or clusters' nodes, by name. Out: a link for each row of one pool,
and another when its row changes. A row whose link cannot be made costs that node alone.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, TypeVar

import structlog

from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)


class Pooled(Protocol):
    """A row that belongs to a pool."""

    @property
    def pool(self) -> str: ...


class Closing(Protocol):
    """What lets go of its machine."""

    async def close(self) -> None: ...


Row = TypeVar("Row", bound=Pooled)
Link = TypeVar("Link", bound=Closing)


class Links(Generic[Row, Link]):
    """The links of one pool. `connect` makes one and raises UmbelError where it cannot be made;
    `failed` says why, by name."""

    def __init__(
        self,
        pool: str,
        rows: Callable[[], Awaitable[Mapping[str, Row]]],
        connect: Callable[[Row], Link],
    ) -> None:
        self.failed: dict[str, UmbelError] = {}
        self._pool = pool
        self._rows = rows
        self._connect = connect
        self._links: dict[str, tuple[Row, Link]] = {}

    @property
    def now(self) -> Mapping[str, Link]:
        """The links as they were when last asked for."""
        return {name: link for name, (_, link) in self._links.items()}

    async def follow(self) -> Mapping[str, Link]:
        """The links to exactly the machines there are, as they are now."""
        rows = {name: row for name, row in (await self._rows()).items() if row.pool == self._pool}
        gone = [name for name, (row, _) in self._links.items() if rows.get(name) != row]
        # Taken out before anything is awaited: another caller must not close them again.
        left = [self._links.pop(name) for name in gone]
        for _, link in left:
            await link.close()
        self.failed = {name: error for name, error in self.failed.items() if name in rows}
        for name, row in rows.items():
            if name not in self._links:
                self._open(name, row)
        return self.now

    async def close(self) -> None:
        """Let go of all."""
        links, self._links = self._links, {}
        for _, link in links.values():
            await link.close()

    def _open(self, name: str, row: Row) -> None:
        try:
            self._links[name] = (row, self._connect(row))
        except UmbelError as error:
            if name not in self.failed:
                log.warning("node cannot be reached", node=name, reason=error.message)
            self.failed[name] = error
        else:
            self.failed.pop(name, None)
