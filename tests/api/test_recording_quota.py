"""An account whose recordings take as many bytes as they may, over REST."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import recorded
from support.http import World, make_system, world
from support.recorded import Reel, film
from umbel.catalogue.model import EventEvent
from umbel.kit.db import Database

MINE = "/api/v1/me/recordings"
QUOTA_BYTES = 1_000


@pytest.fixture
async def tight(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A front end whose accounts have less room than one segment takes."""
    system = make_system(sqlite, tmp_path)
    studio = recorded.studio(
        sqlite, system.catalogue, system.repository, system.clock, quota_bytes=QUOTA_BYTES
    )
    small = replace(system, studio=studio, recordings=studio.recordings)
    async with world(small, static=tmp_path / "no-build") as made:
        yield made


async def call(here: World, method: str, path: str = "", who: str = "viewer", **given: Any) -> Any:
    return await here.client.request(method, MINE + path, headers=here.as_(who), **given)


async def test_who_has_no_room_records_nothing_more_until_some_is_deleted(tight: World) -> None:
    event = await tight.event()
    for happened in (EventEvent.OPEN, EventEvent.START):
        await tight.system.catalogue.transition(event.id, happened)
    reel = tight.system.studio.reels.running[event.id] = Reel("one", film())
    asked = {"event_id": event.id, "begin": "start"}
    first = await call(tight, "POST", json=asked)
    assert first.status_code == 201, first.text
    await tight.system.studio.look()
    reel.ready = 1
    await tight.system.studio.look()

    refused = await call(tight, "POST", json=asked)
    error = refused.json()
    assert (refused.status_code, error["code"]) == (409, "umbel.recording_quota_reached")
    assert error["details"]["quota_bytes"] == QUOTA_BYTES
    assert "delete" in error["message"].lower()
    listed = (await call(tight, "GET")).json()
    assert [one["id"] for one in listed["recordings"]] == [first.json()["id"]]
    assert listed["used_bytes"] > listed["quota_bytes"] == QUOTA_BYTES

    assert (await call(tight, "POST", who="city", json=asked)).status_code == 201
    assert (await call(tight, "DELETE", f"/{first.json()['id']}")).status_code == 204
    assert (await call(tight, "POST", json={"event_id": event.id})).status_code == 201
