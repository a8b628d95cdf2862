"""Rules on functions' ports as rows: a restart and every other instance see the same ones."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from umbel.compute.firewall.model import (
    MOST_RULES,
    MOST_RULES_OF_ONE,
    FirewallRule,
    NoSuchFirewallRule,
    TooManyFirewallRules,
)
from umbel.compute.model import Transport
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, given

rules = sa.Table(
    "firewall_rules",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("function", sa.String(128), nullable=False),
    sa.Column("node", sa.String(64), nullable=False),
    sa.Column("transport", sa.String(8), nullable=False),
    sa.Column("ports", sa.String(64), nullable=False),
    sa.Column("sources", sa.JSON, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
    sa.Index("ix_firewall_rules_function", "function"),
)


def _rule(*, transport: str, sources: list[str], **row: Any) -> FirewallRule:
    return FirewallRule(transport=Transport(transport), sources=tuple(sources), **row)


_LOCK = 0x66697265
_R = rules.c
_ALL = Query(sa.select(rules).order_by(_R.function, _R.created_s, _R.id), _rule)
_OF = Query(
    sa.select(rules).where(_R.function == given("named")).order_by(_R.created_s, _R.id), _rule
)
_ONE = Query(sa.select(rules).where(_R.id == given("id_")), _rule)
_ADD = Command(sa.insert(rules))
_DROP = Command(sa.delete(rules).where(_R.id == given("id_")))
_DROP_OF = Command(sa.delete(rules).where(_R.function == given("named")))
_SEEN = Command(sa.update(rules).where(_R.function == given("named")), ["node"])


class FirewallStore:
    """The queries of rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[FirewallRule]:
        """By function, the oldest first."""
        return await self._database.read(lambda connection: connection.all(_ALL))

    async def of(self, function_id: str) -> Sequence[FirewallRule]:
        """The function's, the oldest first."""
        return await self._database.read(lambda c: c.all(_OF, named=function_id))

    async def get(self, rule_id: str) -> FirewallRule:
        """One rule. Raises NoSuchFirewallRule."""
        found = await self._database.read(lambda connection: connection.first(_ONE, id_=rule_id))
        if found is None:
            raise NoSuchFirewallRule(f"There is no rule {rule_id}", rule=rule_id)
        return found

    async def add(self, rule: FirewallRule) -> None:
        """A rule comes. Raises TooManyFirewallRules."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            check_number(len(connection.all(_OF, named=rule.function)), rule.function)
            if len(connection.all(_ALL)) >= MOST_RULES:
                raise TooManyFirewallRules(f"There are {MOST_RULES} rules; remove one")
            values = vars(rule) | {
                "transport": rule.transport.value,
                "sources": list(rule.sources),
            }
            connection.run(_ADD, **values)

        await self._database.write(add)

    async def remove(self, rule_id: str) -> None:
        """The rule is forgotten."""
        await self._database.write(lambda connection: connection.run(_DROP, id_=rule_id))

    async def remove_of(self, function_id: str) -> None:
        """All rules of the function are forgotten."""
        await self._database.write(lambda connection: connection.run(_DROP_OF, named=function_id))

    async def seen_at(self, function_id: str, node: str) -> None:
        """The function runs on that node."""
        await self._database.write(lambda c: c.run(_SEEN, named=function_id, node=node))


def check_number(there: int, function_id: str) -> None:
    """Raise TooManyFirewallRules where the function may not have one more."""
    if there >= MOST_RULES_OF_ONE:
        message = f"{function_id} has {there} rules, the most that one may"
        raise TooManyFirewallRules(message, function=function_id)
