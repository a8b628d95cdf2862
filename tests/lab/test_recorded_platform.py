"""The real platform records a real encoder: the control plane pulls from recorders."""

from pathlib import Path
from typing import Any

import pytest

from support import mp4
from support.platform import Platform, platform
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo.encoder import FPS
from umbel.demo.stage import LiveEvent

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

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


async def download(made: Platform, recording_id: str) -> bytes:
    replay = (await made.api.post(f"{MINE}/{recording_id}/replay")).json()
    (file,) = replay["files"]
    return (await made.api.get(file["url"])).content


async def test_an_event_is_recorded_though_the_control_plane_is_killed(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        session = await made.session(event, "pe2")
        async with watching(session) as watcher:
            recording_id = await record(made, event)
            await until_kept(made, recording_id, 6.0)
            (recorder,) = await recorders(made)
            pid = made.records()[recorder]["pid"]
            tree = await made.get(f"trees/{event.id}")
            (leaf,) = [b for b in tree["branches"] if b["role"] == "recorder"]
            assert (leaf["function"], leaf["node"]) == (recorder, tree["root"])
            await made.kill_control_plane()
            await goes_on(watcher, 60)
            await made.restart()
            await made.sign_in(UserRole.OPERATOR)
            await until_kept(made, recording_id, 16.0)
            assert made.records()[recorder]["pid"] == pid
            await goes_on(watcher, 30)
        ready = await finish(made, event, recording_id)
        assert ready["problem"] == ""
        decoded = mp4.decode(await download(made, recording_id))
        assert len(decoded.shown_s) / FPS == pytest.approx(ready["duration_s"], abs=0.5)
        gaps_s = [b - a for a, b in zip(decoded.shown_s, decoded.shown_s[1:], strict=False)]
        assert max(gaps_s) < 0.2, "nothing is missing"


async def test_a_recorder_that_is_killed_comes_back(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        recording_id = await record(made, event)
        before = await until_kept(made, recording_id, 6.0)
        (recorder,) = await recorders(made)
        made.kill(recorder)
        await until_kept(made, recording_id, before["duration_s"] + 8.0)
        assert await recorders(made) == [recorder]
        await finish(made, event, recording_id)
