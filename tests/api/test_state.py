"""Server-sent events over real uvicorn: hello, resume, reset, silence, rights, the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.http import World, make_system, serving, world
from support.waiting import until
from umbel.catalogue.model import EventEvent, Visibility
from umbel.kit.db import Database
from umbel.kit.journal import record
from umbel.portal.api.state import MOST_READERS_PER_ADDRESS
from umbel.portal.server import PortalServer

KEEP_ALIVE_S = 0.2


@dataclass(frozen=True)
class Message:
    id: int
    event: str
    data: dict[str, object]


@dataclass(frozen=True)
class Live:
    here: World
    server: PortalServer
    client: httpx.AsyncClient

    def stream(self, **headers: str) -> "Stream":
        return Stream(self.client, headers)


class Stream:
    """An open stream; `next` gives a change, `any` None for `alive`; StopAsyncIteration at the
    end."""

    def __init__(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._context = client.stream("GET", "/api/v1/state", headers=named, timeout=60)

    async def __aenter__(self) -> "Stream":
        response = await self._context.__aenter__()
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        self._lines = response.aiter_lines()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._context.__aexit__(None, None, None)

    async def any(self) -> Message | None:
        fields: dict[str, str] = {}
        async with asyncio.timeout(60):
            async for line in self._lines:
                if not line and fields.get("event") == "alive":
                    return None
                if not line and fields:
                    return Message(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
        raise StopAsyncIteration

    async def next(self) -> Message:
        while True:
            message = await self.any()
            if message is not None:
                return message


@pytest.fixture
async def live(sqlite: Database, tmp_path: Path) -> AsyncIterator[Live]:
    system = make_system(sqlite, tmp_path)
    async with (
        world(system, served=True, keep_alive_s=KEEP_ALIVE_S) as here,
        serving(here.app) as (server, base),
        httpx.AsyncClient(base_url=base, timeout=60) as client,
    ):
        yield Live(here, server, client)


async def test_hello_tells_the_head_and_changes_follow(live: Live) -> None:
    head = await live.here.system.journal.head()
    async with live.stream() as stream:
        hello = await stream.next()
        assert (hello.id, hello.event, hello.data["head"]) == (head, "hello", head)
        event = await live.here.event()
        added = await stream.next()
        assert (added.id, added.event) == (head + 1, "event")
        assert added.data["kind"] == "event"
        assert added.data["subject"] == event.id
        assert added.data["state"] == "scheduled"
        assert str(added.data["at"]).endswith("Z")
        await live.here.system.catalogue.transition(event.id, EventEvent.OPEN)
        assert (await stream.next()).data["state"] == "open"


async def test_a_reader_resumes_where_it_was(live: Live) -> None:
    async with live.stream() as stream:
        at = (await stream.next()).id
    events = [await live.here.event() for _ in range(3)]
    async with live.stream(last_event_id=str(at)) as stream:
        told = [await stream.next() for _ in events]
    assert [message.data["subject"] for message in told] == [event.id for event in events]
    assert [message.id for message in told] == [at + 1, at + 2, at + 3]


async def test_a_position_older_than_memory_is_read_from_the_database(live: Live) -> None:
    before = await live.here.system.journal.head()
    event = await live.here.event()
    live.here.app.state.feed._recent.clear()
    async with live.stream(last_event_id=str(before)) as stream:
        assert (await stream.next()).data["subject"] == event.id


@pytest.mark.parametrize("position", ["1", "999999"])
async def test_a_position_that_is_not_kept_is_reset(live: Live, position: str) -> None:
    journal = live.here.system.journal
    for _ in range(3):
        await live.here.event()
    journal._keep = 1
    await journal.trim()
    live.here.app.state.feed._recent.clear()
    head = await journal.head()

    async def caught_up() -> bool:
        return bool(live.here.app.state.feed.head == head)

    await until(caught_up)
    async with live.stream(last_event_id=position) as stream:
        reset = await stream.next()
        assert (reset.id, reset.event) == (head, "reset")
        event = await live.here.event()
        assert (await stream.next()).data["subject"] == event.id


async def test_a_silent_stream_is_kept_alive(live: Live) -> None:
    async with live.stream() as stream:
        await stream.next()
        assert await stream.any() is None
        assert await stream.any() is None


async def test_a_stream_of_hidden_changes_is_kept_alive_too(live: Live) -> None:
    async def chatter() -> None:
        database = live.here.system.database
        while True:
            await database.write(record, at_s=0.0, kind="session", subject="x", body={})

    async with live.stream() as stream:
        await stream.next()
        talking = asyncio.create_task(chatter())
        try:
            assert await stream.any() is None
            assert not talking.done()
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


async def test_who_sees_what(live: Live) -> None:
    operator = live.here.as_("operator")["Authorization"]
    async with live.stream() as public, live.stream(Authorization=operator) as all_of_it:
        await public.next()
        await all_of_it.next()
        await live.here.system.catalogue.remove_user("viewer")
        event = await live.here.event()
        assert (await public.next()).data["subject"] == event.id
        assert (await all_of_it.next()).event == "user"
        assert (await all_of_it.next()).data["subject"] == event.id


async def test_a_token_that_is_not_valid_is_refused(live: Live) -> None:
    bad = await live.client.get("/api/v1/state", headers={"Authorization": "Bearer nonsense"})
    assert (bad.status_code, bad.json()["code"]) == (401, "umbel.token_invalid")


async def test_an_idle_stream_holds_nothing_of_the_database(live: Live) -> None:
    database = live.here.system.database
    async with live.stream() as one, live.stream() as two:
        await one.next()
        await two.next()
        assert await one.any() is None

        async def nothing_under_way() -> bool:
            return database.under_way == 0

        await until(nothing_under_way)
        gauge = (await live.client.get("/metrics")).text
        assert "umbel_state_readers 2.0" in gauge

    async def left() -> bool:
        return "umbel_state_readers 0.0" in (await live.client.get("/metrics")).text

    await until(left)


async def test_an_address_has_so_many_streams_and_others_have_theirs(live: Live) -> None:
    metrics = live.server.config.app.state.metrics
    for _ in range(MOST_READERS_PER_ADDRESS - 1):
        metrics.reader_came("127.0.0.1")
    async with live.stream() as stream:
        await stream.next()
        refused = await live.client.get("/api/v1/state")
        assert (refused.status_code, refused.json()["code"]) == (503, "umbel.too_many_readers")
        other = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        url = str(live.client.base_url)
        async with (
            httpx.AsyncClient(transport=other, base_url=url) as client,
            Stream(client, {}) as theirs,
        ):
            assert (await theirs.next()).event == "hello"


async def test_streams_that_are_opened_at_once_are_bounded_too(live: Live) -> None:
    url = live.client.base_url
    many = MOST_READERS_PER_ADDRESS + 50
    opened = [await asyncio.open_connection(url.host, url.port) for _ in range(many)]
    for _, writer in opened:
        writer.write(b"GET /api/v1/state HTTP/1.1\r\nHost: here\r\n\r\n")
    async with asyncio.timeout(60):
        statuses = [(await reader.readline())[9:12] for reader, _ in opened]
    assert statuses.count(b"200") == MOST_READERS_PER_ADDRESS
    assert statuses.count(b"503") == 50
    for _, writer in opened:
        writer.close()
    await until(lambda: live.client.get("/metrics"), lambda r: "umbel_state_readers 0.0" in r.text)


async def test_streams_end_when_the_server_stops(live: Live) -> None:
    async with live.stream() as stream:
        await stream.next()
        live.server.should_exit = True
        # Well within the grace time, after which uvicorn would cancel and complain.
        async with asyncio.timeout(2):
            with pytest.raises(StopAsyncIteration):
                while True:
                    await stream.any()


async def test_changes_of_hidden_events_reach_those_who_run_them(live: Live) -> None:
    here = live.here
    async with (
        live.stream() as anybody,
        live.stream(**here.as_("club")) as club,
        live.stream(**here.as_("city")) as city,
        live.stream(**here.as_("operator")) as operator,
    ):
        for reader in (anybody, club, city, operator):
            assert (await reader.next()).event == "hello"
        hidden = await here.event(visibility=Visibility.UNLISTED, title="Behind closed doors")
        shown = await here.event(title="For all")
        for reader in (city, operator):
            assert (await reader.next()).data["subject"] == hidden.id
        for reader in (anybody, club, city, operator):
            assert (await reader.next()).data["subject"] == shown.id
