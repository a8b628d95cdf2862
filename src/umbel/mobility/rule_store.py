"""Rules against migrations as rows: a restart and every other instance see the same ones."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.kit import journal
from umbel.kit.clock import Clock
from umbel.kit.db import Database, metadata
from umbel.kit.errors import Conflict, NotFound
from umbel.kit.sql import Command, Connection, Query, given
from umbel.mobility.model import MigrationKind
from umbel.mobility.rules import MOST_RULES, Hours, MigrationRule, check

migration_rules = sa.Table(
    "migration_rules",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("rule", sa.JSON, nullable=False),
)

_KIND = "migration_rule"
_LOCK = 0x6D72756C


class NoSuchMigrationRule(NotFound):
    """There is no rule with that name."""

    code = "umbel.no_such_migration_rule"


class TooManyMigrationRules(Conflict):
    """There are as many rules as there may be; remove one."""

    code = "umbel.too_many_migration_rules"


def _rule(*, name: str, rule: Mapping[str, Any]) -> MigrationRule:
    found = dict(rule)
    kinds = tuple(MigrationKind(kind) for kind in found.pop("kinds"))
    hours = found.pop("hours")
    lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list)}
    return MigrationRule(
        name=name,
        reason=found["reason"],
        kinds=kinds,
        hours=None if hours is None else Hours(**{**hours, "days": tuple(hours["days"])}),
        **lists,
    )


_ALL = Query(sa.select(migration_rules).order_by(migration_rules.c.name), _rule)
_ADD = Command(sa.insert(migration_rules))
_DROP = Command(sa.delete(migration_rules).where(migration_rules.c.name == given("named")))


class MigrationRules:
    """The rules, for operators."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def all(self) -> list[MigrationRule]:
        """Every rule, by name."""
        return await self._database.read(lambda connection: connection.all(_ALL))

    async def put(self, rule: MigrationRule, *, by: str) -> None:
        """Have the rule, also in place of one of that name. Raises BadMigrationRule,
        TooManyMigrationRules."""
        check(rule)
        fields = asdict(rule)
        row, at_s = {"name": fields.pop("name"), "rule": fields}, self._clock.now_s()

        def change(connection: Connection) -> None:
            connection.lock(_LOCK)
            connection.run(_DROP, named=rule.name)
            if len(connection.all(_ALL)) >= MOST_RULES:
                raise TooManyMigrationRules(most=MOST_RULES)
            connection.run(_ADD, **row)
            _journal(connection, rule.name, {"what": "put", "by": by}, at_s)

        await self._database.write(change)

    async def remove(self, name: str, *, by: str) -> None:
        """Have no such rule. Raises NoSuchMigrationRule."""
        at_s = self._clock.now_s()

        def change(connection: Connection) -> None:
            if not connection.run(_DROP, named=name):
                raise NoSuchMigrationRule(f"There is no rule {name}", name=name)
            _journal(connection, name, {"what": "removed", "by": by}, at_s)

        await self._database.write(change)


def _journal(connection: Connection, name: str, body: Mapping[str, str], at_s: float) -> None:
    journal.record(connection, at_s=at_s, kind=_KIND, subject=name, body=body)
