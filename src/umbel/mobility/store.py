"""Migrations as rows, and what compute must know of them. The row's state is the truth: whichever
instance reads it next goes on from there.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from umbel.compute.model import Move
from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Conflict, Exhausted, NotFound
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.mobility.model import (
    ACTIVE,
    MIGRATION_STATES,
    RUNNING,
    Migration,
    MigrationEvent,
    MigrationKind,
    MigrationState,
    Step,
    Terms,
)

migrations = sa.Table(
    "function_migrations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("function", sa.String(128), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("requested_by", sa.String(64), nullable=False),
    sa.Column("requested_s", sa.Float, nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    sa.Column("wait_until_s", sa.Float, nullable=False),
    sa.Column("terms", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cancelled_by", sa.String(64), nullable=False),
    sa.Column("copying_s", sa.Float, nullable=True),
    sa.Column("predicted", sa.JSON, nullable=True),
    sa.Column("progress", sa.JSON, nullable=False),
    sa.Column("achieved", sa.JSON, nullable=True),
    sa.Index("ix_function_migrations_requested_s", "requested_s"),
)

KEEP = 200
"""How many are remembered after they are over."""
MOST_ACTIVE = 64
_TURN_LOCK = 0x6D6F7665
_KIND = "migration"


class NoSuchMigration(NotFound):
    """There is no migration with that id: it was forgotten, or it never existed."""

    code = "umbel.no_such_migration"


class MigrationUnderWay(Conflict):
    """Another migration of this function is not over yet."""

    code = "umbel.migration_under_way"


class MigrationTooLate(Conflict):
    """The migration cannot be cancelled any more: it is over, or the function serves at the target
    already."""

    code = "umbel.migration_too_late"


class TooManyMigrations(Exhausted):
    """Too many migrations wait or run; try again when some are over."""

    code = "umbel.too_many_migrations"
    retry_after_s = 30


class MigrationsBusy(Exhausted):
    """As many migrations run as may run at once; this one waits for its turn."""

    code = "umbel.migrations_busy"


def _migration(*, state: str, kind: str, terms: Mapping[str, float], **row: Any) -> Migration:
    return Migration(
        state=MigrationState(state), kind=MigrationKind(kind), terms=Terms(**terms), **row
    )


def _move(*, function: str, source: str, target: str, state: str) -> tuple[str, Move]:
    is_copying = state == MigrationState.COPYING
    return function, Move(source=source, target=target, is_copying=is_copying)


def _among(states: frozenset[MigrationState]) -> sa.ColumnElement[bool]:
    return migrations.c.state.in_([sa.literal(state.value) for state in sorted(states)])


_T = migrations.c
_ID = given("id_")
_ACTIVE, _RUNNING = _among(ACTIVE), _among(RUNNING)
_MADE = _among(frozenset({MigrationState.COPYING, MigrationState.SWITCHED})) | (
    _among(frozenset({MigrationState.COMMITTED})) & (_T.changed_s >= given("since_s"))
)
_NEWEST = sa.select(_T.id).order_by(_T.requested_s.desc()).limit(given("keep", sa.Integer))

_ADD = Command(sa.insert(migrations))
_TRIM = Command(sa.delete(migrations).where(~_ACTIVE & _T.id.not_in(_NEWEST)))
_ONE = Query(sa.select(migrations).where(_T.id == _ID), _migration)
_LOCKED = Query(sa.select(migrations).where(_T.id == _ID).with_for_update(), _migration)
_ALL = Query(sa.select(migrations).order_by(_T.requested_s.desc(), _T.id), _migration)
_ALL_ACTIVE = Query(
    sa.select(migrations).where(_ACTIVE).order_by(_T.requested_s, _T.id), _migration
)
_OF_FUNCTION = Scalar(sa.select(_T.id).where(_ACTIVE & (_T.function == given("of"))), str)
_COUNT_ACTIVE = Scalar(sa.select(sa.func.count()).where(_ACTIVE), int)
_COUNT_RUNNING = Scalar(sa.select(sa.func.count()).where(_RUNNING), int)
_MOVES = Query(
    sa.select(_T.function, _T.source, _T.target, _T.state)
    .where(_MADE & (_T.kind != MigrationKind.REPLACEMENT.value))
    .order_by(_T.requested_s),
    _move,
)
_CHANGING = ["state", "reason", "changed_s", "copying_s", "predicted", "achieved"]
_SET = Command(sa.update(migrations).where(_T.id == _ID), _CHANGING)
_SET_REASON = Command(sa.update(migrations).where((_T.id == _ID) & _ACTIVE), ["reason"])
_SET_PROGRESS = Command(sa.update(migrations).where((_T.id == _ID) & _ACTIVE), ["progress"])
_SET_CANCELLED = Command(sa.update(migrations).where(_T.id == _ID), ["cancelled_by"])


class MigrationStore:
    """The queries of migrations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, migration: Migration) -> None:
        """Store a new one, and forget all but the newest that are over. Raises MigrationUnderWay
        for a function that has one, TooManyMigrations."""

        def add(connection: Connection) -> None:
            connection.lock(_TURN_LOCK)
            other = connection.scalar(_OF_FUNCTION, of=migration.function)
            if other is not None:
                raise MigrationUnderWay(function=migration.function, migration=other)
            if (connection.scalar(_COUNT_ACTIVE) or 0) >= MOST_ACTIVE:
                raise TooManyMigrations(most=MOST_ACTIVE)
            connection.run(_ADD, **_row(migration))
            connection.run(_TRIM, keep=KEEP)
            _journal(connection, migration, migration.changed_s)

        await self._database.write(add)

    async def get(self, migration_id: str) -> Migration:
        """One of them. Raises NoSuchMigration."""
        found = await self._database.read(lambda c: c.first(_ONE, id_=migration_id))
        if found is None:
            raise NoSuchMigration(migration=migration_id)
        return found

    async def all(self) -> list[Migration]:
        """All that are remembered, the newest first."""
        return await self._database.read(lambda c: c.all(_ALL))

    async def active(self) -> list[Migration]:
        """Those that are not over, the oldest first."""
        return await self._database.read(lambda c: c.all(_ALL_ACTIVE))

    async def moves(self, since_s: float) -> dict[str, Move]:
        """By function, the latest copy that is under way or was made since then, whichever
        instance makes it: compute leaves the function where that copy leads."""
        found = await self._database.read(lambda c: c.all(_MOVES, since_s=since_s))
        return dict(found)

    async def transition(
        self,
        migration_id: str,
        step: Step,
        *,
        at_s: float,
        most_running: int | None = None,
    ) -> Migration:
        """Move it to its next state. Raises NoSuchMigration, IllegalTransition, and MigrationsBusy
        where `most_running` are running."""

        def change(connection: Connection) -> Migration:
            connection.lock(_TURN_LOCK)
            before = _locked(connection, migration_id)
            state = MIGRATION_STATES.next(before.state, step.event)
            running = connection.scalar(_COUNT_RUNNING) or 0
            if most_running is not None and running >= most_running:
                raise MigrationsBusy(running=running)
            after = replace(
                before,
                state=state,
                reason=step.reason,
                changed_s=at_s,
                copying_s=at_s if state is MigrationState.COPYING else before.copying_s,
                predicted=before.predicted if step.predicted is None else step.predicted,
                achieved=before.achieved if step.achieved is None else step.achieved,
            )
            row = _row(after)
            connection.run(_SET, id_=migration_id, **{name: row[name] for name in _CHANGING})
            _journal(connection, after, at_s)
            return after

        return await self._database.write(change)

    async def cancel(self, migration_id: str, *, by: str, at_s: float) -> Migration:
        """Remember who wants it aborted; the first one stays. Raises NoSuchMigration,
        MigrationTooLate."""

        def cancel(connection: Connection) -> Migration:
            before = _locked(connection, migration_id)
            if not MIGRATION_STATES.allows(before.state, MigrationEvent.ABORT):
                raise MigrationTooLate(state=before.state.value)
            after = replace(before, cancelled_by=before.cancelled_by or by)
            connection.run(_SET_CANCELLED, id_=migration_id, cancelled_by=after.cancelled_by)
            _journal(connection, after, at_s)
            return after

        return await self._database.write(cancel)

    async def report(self, migration: Migration, *, at_s: float) -> None:
        """Store its reason and progress; one that is over stays as it is."""

        def report(connection: Connection) -> None:
            known = {"id_": migration.id}
            if connection.run(_SET_REASON, reason=migration.reason, **known):
                connection.run(_SET_PROGRESS, progress=dict(migration.progress), **known)
                _journal(connection, migration, at_s)

        await self._database.write(report)


def _locked(connection: Connection, migration_id: str) -> Migration:
    found = connection.first(_LOCKED, id_=migration_id)
    if found is None:
        raise NoSuchMigration(migration=migration_id)
    return found


def _row(migration: Migration) -> dict[str, Any]:
    return {
        **asdict(migration),
        "kind": migration.kind.value,
        "state": migration.state.value,
        "terms": asdict(migration.terms),
    }


def _journal(connection: Connection, migration: Migration, at_s: float) -> None:
    body = {
        "state": migration.state.value,
        "function": migration.function,
        "source": migration.source,
        "target": migration.target,
        "reason": migration.reason,
        "cancelled_by": migration.cancelled_by,
        "progress": dict(migration.progress),
    }
    journal.record(connection, at_s=at_s, kind=_KIND, subject=migration.id, body=body)
