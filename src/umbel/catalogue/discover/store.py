"""Listed events and providers as rows. In: a connection of a read unit. Out: values of `model`.

`LISTED` of the catalogue's store alone says which events anybody may find: every query here has it.
Searches are written for PostgreSQL without statistics, too, as it is after a restore or an import.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.discover.model import STATES, ListedProvider, Section
from umbel.catalogue.model import Event
from umbel.catalogue.store import LISTED, event_of, events, providers
from umbel.catalogue.words.store import event_words, provider_words
from umbel.kit.sql import Connection, Query, Scalar, given


@dataclass(frozen=True)
class _Order:
    """Whether the soonest is first, and whether there is an event to go on after."""

    is_ahead: bool
    after: bool


_IS_LISTED = sa.func.coalesce(LISTED, sa.false())
"""`LISTED` of searches. Without statistics PostgreSQL expects 1 of 200 events to have a value, and
would check and sort all events for a page; of an expression it expects that half of them pass."""


_LAST = "\U0010ffff"
"""Sorts after every letter: a word that begins with `a` is between `a` and `a` with this."""


_RARE = 1_000
"""A word with fewer events than this is looked up first; others are checked along the order."""


def _in(section: Section) -> sa.ColumnElement[bool]:
    return events.c.state.in_([sa.literal(state.value) for state in STATES[section]])


def _begins(word: sa.ColumnElement[str], number: int) -> sa.ColumnElement[bool]:
    return (word >= given(f"word{number}")) & (word < given(f"end{number}"))


def _of_provider(number: int) -> sa.Select[Any]:
    return sa.select(provider_words.c.provider_id).where(_begins(provider_words.c.word, number))


def _with(number: int) -> sa.CompoundSelect[Any]:
    """The events that have the word, or whose provider has it."""
    other = events.alias("other")
    return sa.union(
        sa.select(event_words.c.event_id).where(_begins(event_words.c.word, number)),
        sa.select(other.c.id).where(other.c.provider_id.in_(_of_provider(number))),
    )


def _read_first(number: int) -> sa.FromClause:
    """The same as whole events, read before any other condition is looked at."""
    # The offset keeps the conditions apart: without statistics PostgreSQL expects few events of a
    # state, and would go through all that have the word for each of thousands.
    with_word = sa.select(events).where(_IS_LISTED).where(events.c.id.in_(_with(number)))
    return with_word.offset(0).subquery("found")


def _has(of: sa.FromClause, number: int) -> sa.ColumnElement[bool]:
    """The same as a condition on one event."""
    # Not EXISTS: PostgreSQL would collect every event that has the word, for a page of a few.
    word = (
        sa.select(event_words.c.word)
        .where(event_words.c.event_id == of.c.id)
        .where(_begins(event_words.c.word, number))
        .limit(1)
        .scalar_subquery()
    )
    return word.is_not(None) | of.c.provider_id.in_(_of_provider(number))


def _count_words() -> sa.ScalarSelect[int]:
    # Of the next words in the index, those that have the beginning. With both ends of the range in
    # one place PostgreSQL would collect all of it, however long, before it counts the first.
    begins = event_words.c.word >= given("word0")
    following = sa.select(event_words.c.word).where(begins).order_by(event_words.c.word)
    word = following.limit(_RARE).subquery().c.word
    return sa.select(sa.func.count()).where(word < given("end0")).scalar_subquery()


def _count_of_providers() -> sa.ScalarSelect[int]:
    some = sa.select(events.c.id).where(events.c.provider_id.in_(_of_provider(0))).limit(_RARE)
    return sa.select(sa.func.count()).select_from(some.subquery()).scalar_subquery()


_FREQUENCY = Scalar(sa.select((_count_words() + _count_of_providers()).label("frequency")), int)


@cache
def _events_query(
    words: int, rarest: int | None, *, of_state: bool, of_provider: bool, order: _Order
) -> Query[Event]:
    """One statement for each form of a search. Of one state only: an index has its order."""
    of = events if rarest is None else _read_first(rarest)
    query = (
        sa.select(of, providers.c.name.label("provider_name"))
        .join_from(of, providers, of.c.provider_id == providers.c.id)
        .limit(given("most", sa.Integer))
    )
    if rarest is None:
        query = query.where(_IS_LISTED)
    if of_state:
        query = query.where(of.c.state == given("state"))
    if of_provider:
        query = query.where(of.c.provider_id == given("provider"))
    for number in range(words):
        if number != rarest:
            query = query.where(_has(of, number))
    start, id_ = of.c.starts_s, of.c.id
    if order.after:
        last_s, last = given("last_s", sa.Float), given("last")
        beyond = start > last_s if order.is_ahead else start < last_s
        tied = (start == last_s) & (id_ > last if order.is_ahead else id_ < last)
        # What the index can do: the rest follows from it.
        query = query.where(start >= last_s if order.is_ahead else start <= last_s)
        query = query.where(beyond | tied)
    columns = (start, id_) if order.is_ahead else (start.desc(), id_.desc())
    return Query(query.order_by(*columns), event_of)


_THE_EVENT = Query(
    sa.select(events, providers.c.name.label("provider_name"))
    .join_from(events, providers)
    .where(LISTED)
    .where(events.c.id == given("id_")),
    event_of,
)


def _count(section: Section) -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .where(events.c.provider_id == providers.c.id)
        .where(_in(section))
        .where(LISTED)
        .scalar_subquery()
    )


@cache
def _providers_query(words: int, *, after: bool) -> Query[ListedProvider]:
    query = sa.select(
        providers.c.id,
        providers.c.name,
        _count(Section.LIVE).label("live"),
        _count(Section.SOON).label("soon"),
    ).limit(given("most", sa.Integer))
    for number in range(words):
        query = query.where(providers.c.id.in_(_of_provider(number)))
    if after:
        query = query.where(providers.c.name > given("last"))
    return Query(query.order_by(providers.c.name), ListedProvider)


def find_events(
    connection: Connection,
    section: Section | None,
    beginnings: list[str],
    *,
    provider_id: str,
    after: tuple[float, str] | None,
    most: int,
) -> list[Event]:
    """Those that have words with all these beginnings: to come by their start, others the latest
    first."""
    values: dict[str, Any] = _ranges(beginnings)
    if provider_id:
        values["provider"] = provider_id
    if after is not None:
        values["last_s"], values["last"] = after
    order = _Order(is_ahead=section is Section.SOON, after=after is not None)
    query = _events_query(
        len(beginnings),
        _rarest(connection, beginnings),
        of_state=section is not None,
        of_provider=bool(provider_id),
        order=order,
    )
    if section is None:
        return connection.all(query, most=most, **values)
    found = [
        event
        for state in STATES[section]
        for event in connection.all(query, most=most, state=state.value, **values)
    ]
    found.sort(key=lambda event: (event.starts_s, event.id), reverse=not order.is_ahead)
    return found[:most]


def _rarest(connection: Connection, beginnings: list[str]) -> int | None:
    """The number of the word that the fewest events have; None where each is frequent."""
    counts = [connection.scalar(_FREQUENCY, **_ranges([word])) or 0 for word in beginnings]
    fewest = min(counts, default=_RARE)
    return counts.index(fewest) if fewest < _RARE else None


def find_event(connection: Connection, event_id: str) -> Event | None:
    """That event, if anybody may find it."""
    return connection.first(_THE_EVENT, id_=event_id)


def find_providers(
    connection: Connection, beginnings: list[str], *, after: str | None, most: int
) -> list[ListedProvider]:
    """Those whose names have words with all these beginnings, by name."""
    values = _ranges(beginnings) | ({} if after is None else {"last": after})
    query = _providers_query(len(beginnings), after=after is not None)
    return connection.all(query, most=most, **values)


def _ranges(beginnings: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for number, word in enumerate(beginnings):
        values[f"word{number}"], values[f"end{number}"] = word, f"{word}{_LAST}"
    return values
