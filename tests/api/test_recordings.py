"""MyShare over REST: recordings, links to them, replays of events, and who may do what; over SQLite
and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support import mp4
from support.http import World, make_system, world
from support.recorded import Reel, film
from umbel.catalogue.model import EventEvent
from umbel.kit.db import Database
from umbel.portal import grants

MINE = "/api/v1/me/recordings"
ROLES = ("", "viewer", "city", "club", "operator")
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tables of roles: who may is no question of the database."""


@pytest.fixture
async def here(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """The front end over a database of each kind; all other modules here have SQLite."""
    async with world(make_system(database, tmp_path), static=tmp_path / "no-build") as made:
        yield made


async def call(here: World, method: str, path: str, who: str = "viewer", **given: Any) -> Any:
    headers = (here.as_(who) if who else {}) | given.pop("headers", {})
    return await here.client.request(method, path, headers=headers, **given)


async def on_air(here: World) -> tuple[str, Reel]:
    """An event with a recorder that has nothing yet."""
    event = await here.event()
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    reel = here.system.studio.reels.running[event.id] = Reel("one", film())
    return event.id, reel


async def recorded(here: World, who: str = "viewer", count: int = 3) -> tuple[str, str]:
    """An event, and somebody's recording of it with so many segments."""
    event_id, reel = await on_air(here)
    made = await call(here, "POST", MINE, who, json={"event_id": event_id, "begin": "start"})
    assert made.status_code == 201, made.text
    await here.system.studio.look()
    reel.ready = count
    await here.system.studio.look()
    return event_id, made.json()["id"]


async def test_the_quality_is_the_viewers_choice(here: World) -> None:
    event_id, _ = await on_air(here)
    small = await call(here, "POST", MINE, json={"event_id": event_id, "quality": "360p"})
    assert (small.status_code, small.json()["quality"]) == (201, "360p"), small.text
    usual = await call(here, "POST", MINE, json={"event_id": event_id})
    assert usual.json()["quality"] == "source"
    listed = (await call(here, "GET", MINE)).json()["recordings"]
    assert sorted(one["quality"] for one in listed) == ["360p", "source"]
    for wrong in ("x" * 17, 7, None):
        answer = await call(here, "POST", MINE, json={"event_id": event_id, "quality": wrong})
        assert answer.status_code == 422, answer.text


async def test_a_viewer_records_plays_and_downloads(here: World) -> None:
    event_id, recording_id = await recorded(here)
    listed = (await call(here, "GET", MINE)).json()
    (one,) = listed["recordings"]
    assert (one["id"], one["name"], one["state"]) == (recording_id, "Council", "recording")
    assert (one["event_id"], one["provider_name"], one["problem"]) == (event_id, "City", "")
    assert one["duration_s"] == pytest.approx(6.0, abs=0.1)
    assert 0 < listed["used_bytes"] == one["bytes"] < listed["quota_bytes"]
    replay = (await call(here, "POST", f"{MINE}/{recording_id}/replay")).json()
    assert (replay["title"], replay["is_growing"]) == ("Council", True)
    text = (await call(here, "GET", replay["url"], "")).text
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert names == ["segment-0.m4s", "segment-1.m4s", "segment-2.m4s"]
    folder = replay["url"].rpartition("/")[0]
    section = (await call(here, "GET", f"{folder}/init-0.mp4", "")).content
    bodies = [(await call(here, "GET", f"{folder}/{name}", "")).content for name in names]
    assert len(mp4.decode(section + b"".join(bodies)).shown_s) == 180
    (file,) = replay["files"]
    whole = await call(here, "GET", file["url"], "", params={"name": file["name"]})
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''Council.mp4"
    assert len(whole.content) == file["bytes"]
    assert len(mp4.decode(whole.content).shown_s) == 180
    # Any range of it is that range of the whole.
    for start, end in ((0, 10), (50, 5000), (file["bytes"] - 7, file["bytes"])):
        part = await call(
            here, "GET", file["url"], "", headers={"Range": f"bytes={start}-{end - 1}"}
        )
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{file['bytes']}"
        assert part.content == whole.content[start:end]
    beyond = await call(here, "GET", file["url"], "", headers={"Range": "bytes=999999999-"})
    assert beyond.status_code == 416
    same = {"If-None-Match": whole.headers["etag"]}
    assert (await call(here, "GET", file["url"], "", headers=same)).status_code == 304


async def test_a_recording_is_renamed_stopped_and_deleted(here: World) -> None:
    _, recording_id = await recorded(here)
    path = f"{MINE}/{recording_id}"
    renamed = await call(here, "PATCH", path, json={"name": " <b>Council</b> \u202e "})
    assert renamed.json()["name"] == "<b>Council</b>"
    assert (await call(here, "PATCH", path, json={"name": "\n"})).status_code == 422
    assert (await call(here, "PATCH", path, json={"name": "x" * 201})).status_code == 422
    for _ in range(2):
        assert (await call(here, "PATCH", path, json={"stop": True})).status_code == 200
    kept = await here.system.recordings.the("viewer", recording_id)
    assert kept.recording.until_s is not None
    assert (await call(here, "DELETE", path)).status_code == 204
    assert (await call(here, "DELETE", path)).status_code == 404
    assert (await call(here, "GET", MINE)).json()["recordings"] == []


async def test_what_is_not_on_air_is_not_recorded(here: World) -> None:
    event = await here.event()
    refused = await call(here, "POST", MINE, json={"event_id": event.id})
    assert (refused.status_code, refused.json()["code"]) == (409, "umbel.not_recordable")
    unknown = await call(here, "POST", MINE, json={"event_id": "ev_0"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "umbel.no_such_event")
    await here.system.catalogue.transition(event.id, EventEvent.OPEN)
    made = await call(here, "POST", MINE, json={"event_id": event.id})
    assert (made.status_code, made.json()["state"]) == (201, "waiting")
    nothing = await call(here, "POST", f"{MINE}/{made.json()['id']}/replay")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "umbel.nothing_recorded")


@ONE_DATABASE
@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize(
    ("method", "path", "body", "own", "others"),
    [
        ("GET", "", None, 200, 200),
        ("GET", "/{id}", None, 200, 404),
        ("PATCH", "/{id}", {"name": "Mine"}, 200, 404),
        ("POST", "/{id}/replay", None, 200, 404),
        ("GET", "/{id}/shares", None, 200, 404),
        ("POST", "/{id}/shares", {"expires_in_s": 3600}, 201, 404),
        ("DELETE", "/{id}/shares/share_1", None, 204, 404),
        ("DELETE", "/{id}", None, 204, 404),
    ],
)
async def test_recordings_are_their_owners_alone(
    here: World,
    who: str,
    method: str,
    path: str,
    body: dict[str, object] | None,
    own: int,
    others: int,
) -> None:
    _, recording_id = await recorded(here)
    given = {} if body is None else {"json": body}
    answer = await call(here, method, MINE + path.format(id=recording_id), who, **given)
    expected = {"": 401, "viewer": own}.get(who, others)
    assert answer.status_code == expected, answer.text
    if path == "" and who in {"city", "club", "operator"}:
        assert answer.json()["recordings"] == []


@ONE_DATABASE
@pytest.mark.parametrize("who", ROLES)
async def test_only_who_runs_the_event_has_it_recorded_for_everybody(here: World, who: str) -> None:
    event_id, reel = await on_air(here)
    path = f"/api/v1/events/{event_id}/replay-policy"
    answer = await call(here, "PUT", path, who, json={"enabled": True})
    may = who in {"city", "operator"}
    assert answer.status_code == (200 if may else 401 if not who else 403)
    assert (await call(here, "GET", path, "")).json() == {"enabled": may}
    await here.system.studio.look()
    reel.ready = 2
    await here.system.studio.look()
    shown = await call(here, "POST", f"/api/v1/events/{event_id}/replay", "")
    assert shown.status_code == (200 if may else 404)
    if may:
        assert shown.json()["duration_s"] == pytest.approx(4.0, abs=0.1)


async def test_a_link_needs_no_account_and_ends(here: World) -> None:
    _, recording_id = await recorded(here)
    path = f"{MINE}/{recording_id}/shares"
    made = (await call(here, "POST", path, json={"expires_in_s": 3600})).json()
    secret = made["url"].rpartition("/shared/")[2]
    assert len(secret) == 40
    shown = await call(here, "GET", f"/api/v1/shared-recordings/{secret}", "")
    assert (shown.status_code, shown.json()["title"]) == (200, "Council")
    assert shown.json()["expires_at"] <= made["expires_at"]
    assert secret not in (await call(here, "GET", path)).text
    assert (await call(here, "DELETE", f"{path}/{made['id']}")).status_code == 204
    gone = await call(here, "GET", f"/api/v1/shared-recordings/{secret}", "")
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_share")
    for seconds in (0, 59, 1e12, float("nan")):
        refused = await call(here, "POST", path, content=f'{{"expires_in_s": {seconds}}}')
        assert refused.status_code == 422, seconds


async def test_a_playlist_is_its_tokens_alone(here: World) -> None:
    _, recording_id = await recorded(here)
    replay = (await call(here, "POST", f"{MINE}/{recording_id}/replay")).json()
    token = replay["url"].split("/")[2]
    viewer = here.as_("viewer")["Authorization"].removeprefix("Bearer ")
    for other, status in ((token[:-2], 401), ("x", 401), (viewer, 403)):
        answer = await call(here, "GET", f"/replay/{other}/media.m3u8", "")
        assert answer.status_code == status, other
    for name in ("segment-99.m4s", "init-7.mp4", "recording-1.mp4"):
        answer = await call(here, "GET", f"/replay/{token}/{name}", "")
        assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_piece")
    assert (await grants.extent_of(here.system, token)).capture_id.startswith("cap_")


async def test_ones_data_name_the_recordings(here: World) -> None:
    _, recording_id = await recorded(here)
    data = (await call(here, "GET", "/api/v1/me/data")).json()
    assert [one["id"] for one in data["recordings"]] == [recording_id]


async def test_many_read_one_growing_replay(here: World) -> None:
    _, recording_id = await recorded(here, count=1)
    replay = (await call(here, "POST", f"{MINE}/{recording_id}/replay")).json()
    reel = next(iter(here.system.studio.reels.running.values()))
    for count in (2, 4):
        reel.ready = count
        await here.system.studio.look()
        texts = await asyncio.gather(*(call(here, "GET", replay["url"], "") for _ in range(5)))
        assert {one.text.count("#EXTINF") for one in texts} == {count}


async def test_a_storyboard_comes_with_a_replay(here: World) -> None:
    event_id, reel = await on_air(here)
    here.system.studio.reels.pictures[event_id] = b"\xff\xd8 a picture"
    await call(here, "POST", MINE, json={"event_id": event_id, "begin": "start"})
    await here.system.studio.look()
    for count in (1, 6):
        reel.ready = count
        await here.system.studio.look()
    (one,) = (await call(here, "GET", MINE)).json()["recordings"]
    replay = (await call(here, "POST", f"{MINE}/{one['id']}/replay")).json()
    assert [round(picture["at_s"]) for picture in replay["pictures"]] == [2, 12]
    shown = await call(here, "GET", replay["pictures"][0]["url"], "")
    assert (shown.content, shown.headers["content-type"]) == (b"\xff\xd8 a picture", "image/jpeg")
    board = await call(here, "GET", replay["storyboard_url"], "")
    assert board.text.startswith("WEBVTT\n")
    folder = replay["storyboard_url"].rpartition("/")[0]
    assert (await call(here, "GET", f"{folder}/picture-9.jpg", "")).status_code == 404


async def test_a_playlist_ends_with_the_right_to_it(here: World) -> None:
    """The recording is deleted, or the link revoked: from the next request on, nothing is read."""
    _, recording_id = await recorded(here)
    path = f"{MINE}/{recording_id}"
    made = (await call(here, "POST", f"{path}/shares", json={"expires_in_s": 3600})).json()
    secret = made["url"].rpartition("/shared/")[2]
    own = (await call(here, "POST", f"{path}/replay")).json()["url"]
    shared = (await call(here, "GET", f"/api/v1/shared-recordings/{secret}", "")).json()["url"]
    assert await _played(here, own) == await _played(here, shared) == {200}
    await call(here, "DELETE", f"{path}/shares/{made['id']}")
    assert await _played(here, shared) == {403}
    assert await _played(here, own) == {200}
    refused = await call(here, "GET", shared, "")
    assert refused.json()["code"] == "umbel.grant_ended"
    await call(here, "DELETE", path)
    assert await _played(here, own) == {403}


async def test_a_replay_ends_with_what_lets_its_viewers_in(here: World) -> None:
    event_id, reel = await on_air(here)
    path, city = f"/api/v1/events/{event_id}", here.as_("city")
    await here.system.recordings.set_replay(event_id, enabled=True)
    await here.system.studio.look()
    reel.ready = 2
    await here.system.studio.look()

    async def replay(who: str, **headers: str) -> str:
        answer = await call(here, "POST", f"{path}/replay", who, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["url"])

    async def change(**fields: object) -> None:
        version = (await call(here, "GET", path, "city")).json()["version"]
        answer = await here.client.patch(path, json={"version": version, **fields}, headers=city)
        assert answer.status_code == 200, answer.text

    for_all, provider = await replay(""), await replay("city")
    await change(visibility="pass_phrase", pass_phrase="a quiet lighthouse")
    assert await _played(here, for_all) == await _played(here, provider) == {403}
    right = {"pass_phrase": "a quiet lighthouse"}
    grant = (await call(here, "POST", f"{path}/grants", "", json=right)).json()["token"]
    by_phrase, provider = await replay("", **{"X-Event-Grant": grant}), await replay("city")
    assert await _played(here, by_phrase) == await _played(here, provider) == {200}
    await change(pass_phrase="another lighthouse")
    assert await _played(here, by_phrase) == {403}
    assert await _played(here, provider) == {200}
    await change(visibility="invited")
    await here.system.catalogue.audiences.invite(event_id, ["viewer"])
    invited = await replay("viewer")
    assert await _played(here, invited) == {200}
    await here.system.catalogue.audiences.invite(event_id, [])
    assert await _played(here, invited) == {403}
    assert await _played(here, provider) == {200}
    await here.system.recordings.set_replay(event_id, enabled=False)
    assert await _played(here, provider) == {403}


async def _played(here: World, url: str) -> set[int]:
    """The status of what a player asks for."""
    folder = url.rpartition("/")[0]
    names = ("media.m3u8", "init-0.mp4", "segment-0.m4s", "recording-0.mp4", "storyboard.vtt")
    answers = [await call(here, "GET", f"{folder}/{name}", "") for name in names]
    return {one.status_code for one in answers}
