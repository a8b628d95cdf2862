"""What viewers ask for first: lists and searches of Discover over 10 000 events, with 100 000
reservations, through the front end in this process.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. Over SQLite on disk, and over
PostgreSQL where its programs are there. Each round asks for every kind of page in turn, from the
request to the last byte of JSON; the figures are medians of the rounds' 95th percentiles. Events
that are live have no functions behind them: their streams' state is not part of this.
"""

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
import httpx  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from support import postgres  # noqa: E402
from support.http import World, make_system, world  # noqa: E402
from umbel import migrations  # noqa: E402
from umbel.catalogue import store  # noqa: E402
from umbel.catalogue.model import Event, EventState, Provider, User, UserRole  # noqa: E402
from umbel.catalogue.reservations.model import Purpose  # noqa: E402
from umbel.catalogue.reservations.store import reservations  # noqa: E402
from umbel.kit.db import Database  # noqa: E402
from umbel.kit.sql import Command, Connection  # noqa: E402
from umbel.portal import auth  # noqa: E402

EVENTS, PROVIDERS, USERS, EACH = 10_000, 200, 1_000, 100
LIVE, OPEN, SOON = 60, 20, 3_920
ROUNDS, TIMES = 5, 40
TO_REACH_MS = 50.0
SEED = 1
HOUR_S = 3_600.0
BATCH = 500
SYLLABLES = ("ca", "do", "re", "mi", "fa", "sol", "la", "ti", "ben", "tor", "vé", "ün")

EVENTS_PATH, PROVIDERS_PATH = "/api/v1/discover/events", "/api/v1/discover/providers"


def vocabulary(random: Random) -> list[str]:
    """3 000 words of two to four syllables."""
    return ["".join(random.choices(SYLLABLES, k=random.randint(2, 4))) for _ in range(3_000)]


def provider_id(number: int) -> str:
    return f"pr_{number:012}"


def viewer(number: int) -> User:
    return User(username=f"viewer{number}", role=UserRole.VIEWER, generation="0" * 32)


def event(random: Random, words: list[str], number: int, now_s: float) -> Event:
    """A title of 5 words, of which some are frequent, and a description of 40."""
    frequent = words[:20]
    if number < LIVE + OPEN:
        state, starts_s = EventState.LIVE if number < LIVE else EventState.OPEN, now_s - HOUR_S
    elif number < LIVE + OPEN + SOON:
        state, starts_s = EventState.SCHEDULED, now_s + random.uniform(1, 2_000) * HOUR_S
    else:
        state, starts_s = EventState.ENDED, now_s - random.uniform(2, 9_000) * HOUR_S
    title = [*random.choices(words, k=4), random.choice(frequent)]
    return Event(
        id=f"ev_{number:012}",
        provider_id=provider_id(number % PROVIDERS),
        provider_name="",
        title=" ".join(title),
        description=" ".join(random.choices(words, k=40)),
        starts_s=starts_s,
        ends_s=starts_s + HOUR_S,
        state=state,
    )


def people(connection: Connection, random: Random, words: list[str]) -> None:
    for number in range(PROVIDERS):
        name = f"{random.choice(words)} {number}"
        store.add_provider(connection, Provider(id=provider_id(number), name=name, access_node="a"))
    for number in range(USERS):
        store.add_user(connection, viewer(number), "none")


def add(connection: Connection, batch: list[Event]) -> None:
    for one in batch:
        store.add_event(connection, one)


def reserve(connection: Connection, batch: list[dict[str, object]]) -> None:
    connection.run_many(Command(reservations.insert(), list(batch[0])), batch)


async def fill(database: Database, words: list[str], now_s: float) -> None:
    random = Random(SEED)
    some = [event(random, words, number, now_s) for number in range(EVENTS)]
    of_all = {"purpose": Purpose.WATCH.value, "reserved_s": now_s}
    rows: list[dict[str, object]] = [
        {"username": viewer(number).username, "event_id": one.id, **of_all}
        for number in range(USERS)
        for one in random.sample(some, EACH)
    ]
    await database.write(people, random, words)
    for start in range(0, len(some), BATCH):
        await database.write(add, some[start : start + BATCH])
    for start in range(0, len(rows), 10 * BATCH):
        await database.write(reserve, rows[start : start + 10 * BATCH])


def requests(words: list[str]) -> dict[str, list[dict[str, str]]]:
    """Each kind of page with what is asked for: `TIMES` different searches of a kind."""
    random = Random(SEED + 1)
    rare = words[20:]
    return {
        "list-live": [{"section": "live"}],
        "list-soon": [{"section": "soon"}],
        "list-past": [{"section": "past"}],
        "list-provider": [
            {"section": "soon", "provider_id": provider_id(random.randrange(PROVIDERS))}
            for _ in range(TIMES)
        ],
        "search-rare": [{"q": random.choice(rare)} for _ in range(TIMES)],
        "search-frequent": [
            {"q": random.choice(words[:20]), "section": "soon"} for _ in range(TIMES)
        ],
        "search-two-words": [
            {"q": f"{random.choice(rare)[:3]} {random.choice(rare)[:4]}"} for _ in range(TIMES)
        ],
        "search-one-letter": [{"q": random.choice("cdrmflstbv")} for _ in range(TIMES)],
        "search-nothing": [{"q": f"zz{number}"} for number in range(TIMES)],
    }


async def asked(
    client: httpx.AsyncClient,
    path: str,
    params: dict[str, str],
    headers: dict[str, str] | None = None,
) -> float:
    began = time.perf_counter()
    answer = await client.get(path, params=params, headers=headers)
    taken_ms = (time.perf_counter() - began) * 1_000
    assert answer.status_code == 200, answer.text
    return taken_ms


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def measure(here: World, name: str, words: list[str]) -> None:
    kinds = requests(words)
    taken: dict[str, list[float]] = {}
    headers = {"Authorization": f"Bearer {auth.sign(here.system, viewer(7))}"}
    deep = ""
    for _ in range(20):
        page = await here.client.get(
            EVENTS_PATH, params={"section": "past", "limit": "100", "cursor": deep}
        )
        deep = page.json()["cursor"]
    for _ in range(ROUNDS):
        for kind, queries in kinds.items():
            cycle = [queries[number % len(queries)] for number in range(TIMES)]
            one = [await asked(here.client, EVENTS_PATH, query) for query in cycle]
            taken.setdefault(kind, []).append(p95(one))
        one = [
            await asked(here.client, EVENTS_PATH, {"section": "past", "cursor": deep})
            for _ in range(TIMES)
        ]
        taken.setdefault("list-page-20", []).append(p95(one))
        one = [await asked(here.client, PROVIDERS_PATH, {}) for _ in range(TIMES)]
        taken.setdefault("list-providers", []).append(p95(one))
        one = [
            await asked(here.client, "/api/v1/me/reservations", {}, headers) for _ in range(TIMES)
        ]
        taken.setdefault("reservations-100", []).append(p95(one))
    for kind, values in taken.items():
        emit(
            Figure(
                bench="discover",
                case=f"{name}-{kind}-p95",
                value=statistics.median(values),
                unit="ms",
                peer="to reach",
                peer_value=TO_REACH_MS,
                n=ROUNDS,
            )
        )


@contextlib.asynccontextmanager
async def filled(url: str, folder: Path, words: list[str]) -> AsyncIterator[World]:
    database = Database(url)
    try:
        await migrations.upgrade(database)
        began = time.monotonic()
        system = make_system(database, folder)
        await fill(database, words, system.clock.now_s())
        print(f"filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
        async with world(system, static=folder / "none") as here:
            yield here
    finally:
        await database.close()


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    yield "sqlite", f"sqlite:///{folder / 'umbel.db'}"
    if postgres.programs() is None:
        print(f"without PostgreSQL: {postgres.ABSENT}", file=sys.stderr)
        return
    with postgres.cluster(durable=True) as cluster:
        yield "postgresql", cluster.fresh()


async def main() -> None:
    words = vocabulary(Random(SEED))
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        for name, url in databases(Path(folder)):
            async with filled(url, Path(folder), words) as here:
                print(f"load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
                await measure(here, name, words)


if __name__ == "__main__":
    asyncio.run(main())
