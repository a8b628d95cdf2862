"""The real platform: an event is recorded in a smaller picture while nobody watches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import mp4
from support.platform import Platform, platform
from support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

MINE = "/api/v1/me/recordings"
LONGEST_S = 90.0


async def record(made: Platform, event_id: str, quality: str) -> Any:
    answer = await made.api.post(MINE, json={"event_id": event_id, "quality": quality})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def until_kept(made: Platform, recording_id: str, good: Callable[[Any], bool]) -> None:
    await until(lambda: made.get(f"me/recordings/{recording_id}"), good, within_s=LONGEST_S)


async def file(made: Platform, recording_id: str) -> bytes:
    """Its whole file."""
    replay = (await made.api.post(f"{MINE}/{recording_id}/replay")).json()
    (one,) = replay["files"]
    answer = await made.api.get(str(httpx.URL(made.url).join(one["url"])))
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_a_smaller_picture_is_recorded(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        await until(
            lambda: made.get(f"events/{event.id}"),
            lambda one: one["stream"] and "360p" in one["stream"]["qualities"],
            within_s=LONGEST_S,
        )
        small = await record(made, event.id, "360p")
        large = await record(made, event.id, "source")
        for one in (small, large):
            await until_kept(made, one["id"], lambda kept: kept["duration_s"] >= 6.0)
        roles = sorted(one["role"] for one in await made.get("functions"))
        assert roles == ["acquirer", "recorder", "transcoder"]
        assert (await made.api.post(f"/api/v1/events/{event.id}/end")).status_code == 200
        for one in (small, large):
            await until_kept(made, one["id"], lambda kept: kept["state"] == "ready")
        shown = mp4.decode(await file(made, small["id"]))
        assert {height for _, height in shown.sizes} == {360}
        assert len(shown.shown_s) > 120
        assert shown.heard_s
        assert {height for _, height in mp4.decode(await file(made, large["id"])).sizes} == {720}
        await until(lambda: made.get("functions"), lambda all_: all_ == [], within_s=LONGEST_S)
