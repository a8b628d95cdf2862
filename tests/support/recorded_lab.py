"""Recordings of a real platform: made, waited for, ended and downloaded over its API."""

from typing import Any

from support.platform import Platform
from support.waiting import until
from umbel.demo.stage import LiveEvent

MINE = "/api/v1/me/recordings"


async def record(made: Platform, event: LiveEvent) -> str:
    answer = await made.api.post(MINE, json={"event_id": event.id, "begin": "start"})
    assert answer.status_code == 201, answer.text
    recording_id: str = answer.json()["id"]
    return recording_id


async def until_kept(made: Platform, recording_id: str, seconds: float) -> dict[str, Any]:
    return await until(
        lambda: made.get(f"me/recordings/{recording_id}"),
        lambda one: bool(one["duration_s"] >= seconds),
        within_s=seconds + 60,
    )


async def recorders(made: Platform) -> list[str]:
    return [one["id"] for one in await made.get("functions") if one["role"] == "recorder"]


async def finish(made: Platform, event: LiveEvent, recording_id: str) -> dict[str, Any]:
    """End the event; the recording once it is whole."""
    assert (await made.api.post(f"/api/v1/events/{event.id}/end")).status_code == 200
    ready = await until(
        lambda: made.get(f"me/recordings/{recording_id}"),
        lambda one: one["state"] == "ready",
        within_s=90,
    )
    await until(lambda: recorders(made), lambda found: not found, within_s=60)
    return ready


async def download(made: Platform, recording_id: str) -> list[bytes]:
    """The recording's files, whole."""
    replay = await made.api.post(f"{MINE}/{recording_id}/replay")
    assert replay.status_code == 200, replay.text
    files = [await made.api.get(file["url"]) for file in replay.json()["files"]]
    assert {file.status_code for file in files} == {200}
    return [file.content for file in files]
