"""Searches find what a plain reading of all texts finds, on SQLite and on PostgreSQL, and do not
read all events for a page."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import sqlalchemy as sa

from support import databases
from support.postgres import Cluster
from umbel.catalogue import store
from umbel.catalogue.discover import store as discover
from umbel.catalogue.discover.model import STATES, Search, Section
from umbel.catalogue.discover.service import Discover
from umbel.catalogue.model import Event, EventState, Provider, Visibility
from umbel.kit.db import Database
from umbel.kit.sql import Command, Connection, Scalar

NOW_S = 1_803_000_000.0
EVENTS, PROVIDERS, QUERIES, PAGE = 600, 12, 80, 24
FREQUENT = ("ba", "Bé", "lo", "Lù")
SYLLABLES = ("ca", "Dü", "fi", "nò", "mi", "ra")


def word(random: Random) -> str:
    """One that begins with B or L, as most do, or another one."""
    first = random.choice(FREQUENT if random.random() < 0.9 else SYLLABLES)
    return first + "".join(random.choices(SYLLABLES, k=random.randint(0, 2)))


def text(random: Random, words: int) -> str:
    between = (" ", ", ", "; ", "\n", "-", "!? ")
    return "".join(word(random) + random.choice(between) for _ in range(words))


def some_providers(random: Random) -> list[Provider]:
    return [
        Provider(id=f"pr_{number}", name=f"{text(random, 1)} {number}", access_node="a")
        for number in range(PROVIDERS)
    ]


def some_events(random: Random, providers: list[Provider]) -> list[Event]:
    """Of all states and visibilities; several start at the same time."""
    made = []
    for number in range(EVENTS):
        starts_s = NOW_S + random.randrange(60) * 3_600.0
        owner = random.choice(providers)
        one = Event(
            id=f"ev_{random.randrange(10**9)}_{number}",
            provider_id=owner.id,
            provider_name=owner.name,
            title=text(random, 3),
            description=text(random, 3),
            starts_s=starts_s,
            ends_s=starts_s + 3_600.0,
            state=random.choice(list(EventState)),
            visibility=random.choice([Visibility.PUBLIC] * 6 + list(Visibility)),
        )
        made.append(one)
    return made


def put(connection: Connection, providers: list[Provider], events: list[Event]) -> None:
    for provider in providers:
        store.add_provider(connection, provider)
    for event in events:
        store.add_event(connection, event)


def plain_words(of: str) -> list[str]:
    parts = unicodedata.normalize("NFD", of.casefold())
    return re.findall("[a-z0-9]+", "".join(one for one in parts if not unicodedata.combining(one)))


def plainly_found(events: list[Event], search: Search) -> list[str]:
    """Every event is looked at."""
    asked = plain_words(search.query)
    found = []
    for event in events:
        words = plain_words(f"{event.title} {event.description} {event.provider_name}")
        if (
            event.visibility is Visibility.PUBLIC
            and (search.section is None or event.state in STATES[search.section])
            and search.provider_id in ("", event.provider_id)
            and all(any(has.startswith(begins) for has in words) for begins in asked)
        ):
            found.append(event)
    found.sort(key=lambda one: (one.starts_s, one.id), reverse=search.section is not Section.SOON)
    return [one.id for one in found]


def searches(random: Random, providers: list[Provider]) -> Iterator[Search]:
    for section in (None, *Section):
        yield Search(query="b L", section=section)
    for _ in range(QUERIES):
        words = [word(random) for _ in range(random.choice((0, 1, 1, 2, 2, 3)))]
        begun = [one[: random.randint(1, len(one))] for one in words]
        yield Search(
            query=" ".join(random.choice((one, one.upper())) for one in begun),
            section=random.choice([None, *Section]),
            provider_id=random.choice([""] * 4 + [random.choice(providers).id]),
            most=random.choice((7, 100)),
        )


async def found_by_pages(portal: Discover, search: Search) -> list[str]:
    found: list[str] = []
    while True:
        page = await portal.events(search)
        found += [one.id for one in page.items]
        if not page.cursor:
            return found
        search = replace(search, cursor=page.cursor)


async def test_searches_find_what_a_plain_reading_finds(database: Database) -> None:
    random = Random(1)
    providers = some_providers(random)
    events = some_events(random, providers)
    await database.write(put, providers, events)
    ways = set[tuple[int, bool]]()
    for search in searches(random, providers):
        found = await found_by_pages(Discover(database), search)
        assert found == plainly_found(events, search), search
        begun = plain_words(search.query)
        rarest = await database.read(discover._rarest, begun)
        ways.add((len(begun), rarest is not None))
    # Frequent and rare words are looked up in different ways.
    assert {(1, False), (1, True), (2, False), (2, True)} <= ways


async def test_a_page_does_not_look_at_all_events_where_there_are_no_statistics(
    postgresql: Cluster,
) -> None:
    random = Random(3)
    providers = some_providers(random)
    database = Database(databases.prepared(postgresql), durable=False)
    try:
        await database.write(put_without_statistics, providers, some_events(random, providers))
        looked_up = await database.read(count_lookups, ["b", "l"])
    finally:
        await database.close()
    assert 0 < looked_up < EVENTS / 2


def put_without_statistics(
    connection: Connection, providers: list[Provider], events: list[Event]
) -> None:
    for table in ("events", "event_words", "providers", "provider_words"):
        connection.run(Command(sa.text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")))
    put(connection, providers, events)


def count_lookups(connection: Connection, begun: list[str]) -> int:
    """How often the index of words is read for a page of events that have both."""
    found = discover.find_events(connection, None, begun, provider_id="", after=None, most=PAGE)
    assert len(found) == PAGE
    return connection.scalar(_LOOKUPS) or 0


_OF_TABLES = sa.table("pg_stat_xact_user_tables", sa.column("relname"), sa.column("idx_scan"))
_LOOKUPS = Scalar(
    sa.select(_OF_TABLES.c.idx_scan).where(_OF_TABLES.c.relname == sa.literal("event_words")), int
)
