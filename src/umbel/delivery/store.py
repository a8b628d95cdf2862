"""Wanted trees and sessions as rows. The wanted state is here alone: a restarted control
plane reads it and goes on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa

from umbel.delivery.model import Branch, Ingest, Session, Tree
from umbel.delivery.nodes.store import removed_among
from umbel.delivery.revocation import store as revocation
from umbel.delivery.sessions import store as session_rows
from umbel.delivery.sessions.model import SessionCount
from umbel.kit import journal
from umbel.kit.db import Database, VersionMismatch, expect_one, metadata
from umbel.kit.errors import NotFound
from umbel.kit.sql import Command, Connection, ConstraintViolated, Query, given

trees = sa.Table(
    "trees",
    metadata,
    sa.Column("stream", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("branches", sa.JSON, nullable=False),
    sa.Column("rtp_offer", sa.Text, nullable=False, server_default=""),
    sa.Column("ingest_ports", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("ingest_sources", sa.JSON, nullable=False, server_default="[]"),
)

_TREE_KIND = "tree"
_NEVER = -1
"""Before the journal's first entry: no tree has been read."""


@dataclass(frozen=True, kw_only=True)
class StoredStream:
    """What is stored of a stream: its tree (an empty one of version 0 when there is none) and those
    of all streams, the functions with a session of it, what a restarted acquirer must know, and
    the sessions revoked since a given time, as `revocation.since`."""

    tree: Tree
    trees: Mapping[str, Tree]
    watched: frozenset[str]
    ingest: Ingest
    revoked: list[tuple[str, float]]


class NoSuchSession(NotFound):
    """There is no session with that id: it has ended, or it never existed."""

    code = "umbel.no_such_session"


def _tree(*, stream: str, version: int, branches: Iterable[Mapping[str, Any]]) -> Tree:
    made = tuple(Branch(**branch) for branch in branches)
    return Tree(stream=stream, version=version, branches=made)


_STREAM = given("of")
_TREE = sa.select(trees.c.stream, trees.c.version, trees.c.branches)
_TREES = Query(_TREE, _tree)
_ONE_TREE = Query(_TREE.where(trees.c.stream == _STREAM), _tree)
_ADD_TREE = Command(sa.insert(trees), ["stream", "version", "branches"])
_CHANGE_TREE = Command(
    sa.update(trees).where((trees.c.stream == _STREAM) & (trees.c.version == given("before"))),
    ["version", "branches"],
)
_DROP_TREE = Command(sa.delete(trees).where(trees.c.stream == _STREAM))
_INGEST = Query(
    sa.select(
        trees.c.rtp_offer,
        trees.c.ingest_ports.label("ports"),
        trees.c.ingest_sources.label("sources"),
    ).where(trees.c.stream == _STREAM),
    lambda *, rtp_offer, ports, sources: Ingest(
        rtp_offer=rtp_offer, ports=tuple(ports), sources=tuple(sources)
    ),
)
_SET_SOURCES = Command(sa.update(trees).where(trees.c.stream == _STREAM), ["ingest_sources"])
_SET_PORTS = Command(sa.update(trees).where(trees.c.stream == _STREAM), ["ingest_ports"])
_SET_OFFER = Command(sa.update(trees).where(trees.c.stream == _STREAM), ["rtp_offer"])


class DeliveryStore:
    """The queries of delivery."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trees: dict[str, Tree] = {}
        self._trees_at = _NEVER

    async def trees(self) -> dict[str, Tree]:
        """Every wanted tree by stream. Only those are read that the journal says have changed since
        the last time, by whichever instance."""
        began = self._trees_at
        return self._kept(began, *await self._database.read(_trees_since, began))

    def _kept(
        self, began: int, head: int, rows: Mapping[str, Tree | None], is_whole: bool
    ) -> dict[str, Tree]:
        """Every tree, after what has changed since `began` was read."""
        # Of two reads at the same time, the one that saw less may end last: the other's is newer.
        if head >= self._trees_at or began == self._trees_at:
            self._trees_at = head
            kept = {} if is_whole else self._trees
            changed = {stream: tree for stream, tree in rows.items() if tree is not None}
            self._trees = {k: v for k, v in kept.items() if k not in rows} | changed
        return dict(self._trees)

    async def tree(self, stream: str) -> Tree:
        """The stream's tree; an empty one of version 0 when there is none."""
        return (await self.trees()).get(stream) or Tree(stream=stream)

    async def stream(self, stream: str, revoked_since_s: float) -> StoredStream:
        """What each run for the stream needs to know, by one read."""
        began = self._trees_at
        changed, functions, ingest, revoked = await self._database.read(
            _stream, stream, began, revoked_since_s
        )
        trees = self._kept(began, *changed)
        return StoredStream(
            tree=trees.get(stream) or Tree(stream=stream),
            trees=trees,
            watched=frozenset(functions),
            ingest=ingest,
            revoked=revoked,
        )

    async def save_tree(self, tree: Tree, *, at_s: float) -> Tree:
        """Store it. Raises VersionMismatch when somebody else did since it was read."""
        return await self._database.write(_save_tree, tree, at_s)

    async def drop_tree(
        self, stream: str, *, at_s: float, why: str = "", kept: Sequence[Branch] = ()
    ) -> list[Session]:
        """The stream is over: no sessions, and no tree but for the branches that are kept. It is
        not an error if there is none. With a reason it may come back: each session's end is
        journalled, and its token stays revoked. Returns the sessions that ended."""

        def drop(connection: Connection) -> list[Session]:
            before = connection.first(_ONE_TREE, of=stream)
            connection.run(_DROP_TREE, of=stream)
            ended = connection.all(session_rows.SESSIONS_OF, of=stream)
            if before is not None:
                left = Tree(stream=stream, branches=tuple(kept), version=before.version + 1)
                if kept:
                    rows = [asdict(branch) for branch in kept]
                    connection.run(_ADD_TREE, stream=stream, version=left.version, branches=rows)
                _journal_tree(connection, left, at_s)
            if why:
                session_rows.end(connection, ended, why, at_s)
            else:
                connection.run(session_rows.CLOSE_ALL, of=stream)
                revocation.drop(connection, stream)
            return ended

        return await self._database.write(drop)

    async def ingest(self, stream: str) -> Ingest:
        """What a restarted acquirer must know."""
        return await self._database.read(lambda c: c.first(_INGEST, of=stream)) or Ingest()

    async def save_ingest_sources(self, stream: str, sources: tuple[str, ...]) -> None:
        """Remember from where a publisher without a key is taken."""
        rows = {"of": stream, "ingest_sources": list(sources)}
        await self._database.write(lambda c: c.run(_SET_SOURCES, **rows))

    async def save_ingest_ports(self, stream: str, ports: tuple[int, ...]) -> None:
        """Remember the ports that encoders push to."""
        await self._database.write(lambda c: c.run(_SET_PORTS, of=stream, ingest_ports=list(ports)))

    async def save_rtp_offer(self, stream: str, offer: str) -> None:
        """Remember the SDP for a restarted acquirer."""
        await self._database.write(lambda c: c.run(_SET_OFFER, of=stream, rtp_offer=offer))

    async def open_session(
        self, session: Session, tree: Tree | None, *, known: int | None = None
    ) -> None:
        """Store a session, and the tree it needs where that changed. Raises VersionMismatch when
        its node has more sessions than the `known` ones: another instance gave the room away."""

        def open_(connection: Connection) -> None:
            stored = connection.scalar(session_rows.AT_NODE, at=session.edge_node) or 0
            if known is not None and stored > known:
                raise VersionMismatch(f"others have sessions on {session.edge_node} by now")
            if tree is not None:
                _save_tree(connection, tree, session.opened_s)
            session_rows.add(connection, session)

        await self._database.write(open_)

    async def session(self, session_id: str) -> Session:
        """The session. Raises NoSuchSession."""
        found = await self._database.read(lambda c: c.first(session_rows.SESSION, id_=session_id))
        if found is None:
            raise NoSuchSession(session=session_id)
        return found

    async def sessions(self) -> list[Session]:
        """All of them, in the order in which they were opened."""
        return await self._database.read(lambda c: c.all(session_rows.SESSIONS))

    async def close_session(self, session: Session, *, at_s: float, why: str = "closed") -> None:
        """Forget it. It is not an error if there is none."""

        def close(connection: Connection) -> None:
            session_rows.end(connection, [session], why, at_s)

        await self._database.write(close)

    async def counts(self) -> list[SessionCount]:
        """How many sessions there are, by stream and place. One statement reads all, so that sums
        over them agree."""
        return await self._database.read(lambda c: c.all(session_rows.COUNTS))

    async def audience(self) -> list[tuple[str, str, int, float]]:
        """Stream, access node, how many sessions, and when they were opened on average."""
        return await self._database.read(lambda c: c.all(session_rows.AUDIENCE))

    async def sweep(
        self,
        stream: str,
        seen: Collection[str],
        *,
        now_s: float,
        idle_s: float,
        unknown: Collection[str] = (),
    ) -> list[Session]:
        """Mark the seen sessions as seen, and those at `unknown` functions, of whose viewers
        nothing is known; end and return those unseen for `idle_s`."""

        def sweep(connection: Connection) -> list[Session]:
            connection.run_many(
                session_rows.SEEN_AT,
                ({"of": stream, "at": at, "seen_s": now_s} for at in sorted(unknown)),
            )
            connection.run_many(
                session_rows.SEEN, ({"id_": id_, "seen_s": now_s} for id_ in sorted(seen))
            )
            ended = connection.all(session_rows.STALE, of=stream, unseen_since_s=now_s - idle_s)
            session_rows.end(connection, ended, "expired", now_s)
            revocation.purge(connection, now_s)
            return ended

        return await self._database.write(sweep)

    async def close_unauthorized(self, stream: str, event_id: str, *, at_s: float) -> list[Session]:
        """End and return the stream's sessions of viewers who may not watch its event any more."""
        of = {"of": stream, "event_": event_id}
        return await self._close_found(session_rows.UNAUTHORIZED, "closed", at_s, of)

    async def close_sessions_at(self, node: str, *, at_s: float) -> list[Session]:
        """End and return the sessions of viewers whom the node's edges serve."""
        return await self._close_found(session_rows.SESSIONS_AT, "evicted", at_s, {"at": node})

    async def _close_found(
        self, which: Query[Session], why: str, at_s: float, given_: Mapping[str, str]
    ) -> list[Session]:
        """End and return those sessions. Nothing is written where there are none."""
        if not await self._database.read(lambda c: c.first(which, **given_)):
            return []

        def close(connection: Connection) -> list[Session]:
            ended = connection.all(which, **given_)
            session_rows.end(connection, ended, why, at_s)
            return ended

        return await self._database.write(close)

    async def note(self, kind: str, subject: str, body: Mapping[str, object], at_s: float) -> None:
        """Journal something that was observed."""
        await self._database.write(journal.record, at_s=at_s, kind=kind, subject=subject, body=body)


def functions_at(connection: Connection, node: str) -> list[str]:
    """The functions that trees want on the node. In a unit of work."""
    branches = (b for tree in connection.all(_TREES) for b in tree.branches)
    return sorted({b.function for b in branches if b.node == node})


def _trees_since(connection: Connection, after: int) -> tuple[int, dict[str, Tree | None], bool]:
    """The journal's newest seq; the trees that changed after `after`, None for those that are gone;
    and whether these are all trees there are."""
    head, changed = journal.changed(connection, _TREE_KIND, after)
    if changed is None or after == _NEVER:
        return head, {tree.stream: tree for tree in connection.all(_TREES)}, True
    return head, {stream: connection.first(_ONE_TREE, of=stream) for stream in changed}, False


def _stream(
    connection: Connection, stream: str, after: int, revoked_since_s: float
) -> tuple[tuple[int, dict[str, Tree | None], bool], list[str], Ingest, list[tuple[str, float]]]:
    """The parts of a StoredStream; of the trees, as `_trees_since`."""
    return (
        _trees_since(connection, after),
        connection.scalars(session_rows.WATCHED, of=stream),
        connection.first(_INGEST, of=stream) or Ingest(),
        revocation.since(connection, stream, revoked_since_s),
    )


def _save_tree(connection: Connection, tree: Tree, at_s: float) -> Tree:
    what, version = f"the tree of {tree.stream}", tree.version + 1
    branches = [asdict(branch) for branch in tree.branches]
    if tree.version == 0:
        try:
            connection.run(_ADD_TREE, stream=tree.stream, version=version, branches=branches)
        except ConstraintViolated as error:
            raise VersionMismatch(f"{what} was made in the meantime") from error
    else:
        values = {"of": tree.stream, "before": tree.version}
        expect_one(connection.run(_CHANGE_TREE, version=version, branches=branches, **values), what)
    saved = replace(tree, version=version)
    _journal_tree(connection, saved, at_s)
    if gone := removed_among(connection, {branch.node for branch in tree.branches}):
        raise VersionMismatch(
            f"{what} would use {', '.join(gone)}, which was removed in the meantime"
        )
    return saved


def _journal_tree(connection: Connection, tree: Tree, at_s: float) -> None:
    root = tree.root
    body = {
        "root": root.node if root is not None else None,
        "functions": [branch.function for branch in tree.branches],
    }
    journal.record(connection, at_s=at_s, kind=_TREE_KIND, subject=tree.stream, body=body)
