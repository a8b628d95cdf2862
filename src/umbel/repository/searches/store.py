"""Searches over the rows of items: by the exact values of metadata, and by their keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from umbel.kit.db import Database
from umbel.kit.sql import Query, Scalar, given
from umbel.repository.store import digest, entries, items

_I = items.c


@dataclass(frozen=True, kw_only=True)
class Found:
    """An item as a search meets it."""

    id: str
    metadata: Mapping[str, str]


class SearchStore:
    """The queries of searches. `owner` is whose items, None for all owners'."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self, owner: str | None, wanted: Mapping[str, str], now_s: float, most: int
    ) -> list[str]:
        """Ids of items whose metadata have these values; `most` at most."""
        values: dict[str, object] = {"now_s": now_s, "most": most}
        if owner is not None:
            values["of"] = owner
        for number, (key, value) in enumerate(wanted.items()):
            values |= {f"key{number}": key, f"hash{number}": digest(value)}
        query = _by_values(len(wanted), owner is not None)
        return await self._database.read(lambda c: c.scalars(query, **values))

    async def page(
        self, owner: str | None, keys: Sequence[str], now_s: float, after: str
    ) -> list[Found]:
        """The next 500 items after that id that have all these keys, by id."""
        values: dict[str, object] = {"now_s": now_s, "after": after}
        if owner is not None:
            values["of"] = owner
        values |= {f"key{number}": key for number, key in enumerate(keys)}
        query = _by_keys(len(keys), owner is not None)
        return await self._database.read(lambda c: c.all(query, **values))


def _alive(is_owned: bool) -> sa.ColumnElement[bool]:
    alive = _I.expires_s.is_(None) | (_I.expires_s > given("now_s"))
    return alive & (_I.owner == given("of")) if is_owned else alive


@cache
def _by_values(count: int, is_owned: bool) -> Scalar[str]:
    clause = sa.select(_I.id).where(_alive(is_owned))
    for number in range(count):
        entry = entries.alias(f"e{number}").c
        has = (entry.key == given(f"key{number}")) & (entry.value_hash == given(f"hash{number}"))
        clause = clause.where(sa.exists().where((entry.item == _I.id) & has))
    return Scalar(clause.order_by(_I.id).limit(given("most", sa.Integer)), str)


@cache
def _by_keys(count: int, is_owned: bool) -> Query[Found]:
    clause = sa.select(_I.id, _I.metadata).where(_alive(is_owned) & (_I.id > given("after")))
    for number in range(count):
        entry = entries.alias(f"e{number}").c
        has = (entry.item == _I.id) & (entry.key == given(f"key{number}"))
        clause = clause.where(sa.exists().where(has))
    return Query(clause.order_by(_I.id).limit(500), Found)
