"""Files streamed as events by a real platform: a viewer sees them, whatever dies on the way."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.films import film, uploaded
from support.platform import Platform, platform
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo.stage import LiveEvent

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


async def chosen(made: Platform, path: Path, **options: Any) -> LiveEvent:
    """An event that streams this file, when it is started."""
    event = await made.event()
    await made.sign_in(UserRole.PROVIDER)
    file = await uploaded(made.api, path)
    assert file["state"] == "ready", file["problem"]
    body = {"file_id": file["id"], "on_schedule": False, **options}
    answer = await made.api.put(f"/api/v1/events/{event.id}/playout", json=body)
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting"), answer.text
    return event


async def start(made: Platform, event: LiveEvent, **body: float) -> None:
    answer = await made.api.post(f"/api/v1/events/{event.id}/playout/start", json=body)
    assert answer.status_code == 200, answer.text


async def state(made: Platform, event: LiveEvent) -> dict[str, Any]:
    seen: dict[str, Any] = await made.get(f"events/{event.id}/playout")
    return seen


async def until_flowing(made: Platform, event: LiveEvent) -> dict[str, Any]:
    async def stream() -> dict[str, Any]:
        return (await made.get(f"events/{event.id}"))["stream"] or {"flowing": False}

    return await until(stream, lambda seen: seen["flowing"] and seen["audio"], within_s=60)


def worker(made: Platform) -> int:
    """The process that sends the file."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if b"umbel.playout.inside.main" in words and parent == made.serve.process.pid:
            return int(path.name)
    raise AssertionError("no worker")


async def test_a_file_is_streamed_to_a_viewer_and_ends_its_event(tmp_path: Path) -> None:
    path = await film(tmp_path / "Council.mp4", seconds=40)
    async with platform(tmp_path / "data") as made:
        event = await chosen(made, path, ends_event=True)
        await start(made, event)
        stream = await until_flowing(made, event)
        assert (stream["protocol"], stream["video"], stream["audio"]) == ("srt", "H.264", "AAC")
        assert "video" not in stream["transcoding"], "it passes as it is"
        async with watching(await made.session(event, "pe2")):
            seen = await until(lambda: state(made, event), lambda s: s["position_s"] > 5)
            assert (seen["state"], seen["duration_s"]) == ("playing", 40.0)
        seen = await until(lambda: state(made, event), lambda s: s["state"] == "ended", within_s=90)
        assert seen["position_s"] == pytest.approx(40, abs=0.5)

        async def event_state() -> str:
            return str((await made.get(f"events/{event.id}"))["state"])

        await until(event_state, lambda s: s == "ended")


async def test_a_killed_worker_and_a_killed_control_plane_go_on_where_they_were(
    tmp_path: Path,
) -> None:
    path = await film(tmp_path / "Council.mp4", seconds=90)
    async with platform(tmp_path / "data") as made:
        event = await chosen(made, path)
        await start(made, event, position_s=30)
        await until_flowing(made, event)
        async with watching(await made.session(event, "pe2")) as viewer:
            seen = await until(lambda: state(made, event), lambda s: s["position_s"] > 33)
            os.kill(worker(made), signal.SIGKILL)
            await goes_on(viewer, 60)
            again = await until(
                lambda: state(made, event), lambda s: s["position_s"] > seen["position_s"] + 2
            )
            assert again["position_s"] < 60, "it goes on, and does not jump"
            await made.kill_control_plane()
            await made.restart()
            await made.sign_in(UserRole.PROVIDER)
            after = await state(made, event)
            assert again["position_s"] - 5 < after["position_s"] < again["position_s"] + 15
            await goes_on(viewer, 60)
            await until(
                lambda: state(made, event),
                lambda s: s["position_s"] > after["position_s"] + 2,
                within_s=60,
            )
        answer = await made.api.post(f"/api/v1/events/{event.id}/playout/stop")
        assert answer.json()["state"] == "stopped"

        async def is_off() -> bool:
            stream = (await made.get(f"events/{event.id}"))["stream"]
            return not (stream and stream["flowing"])

        await until(is_off, within_s=30)
        assert (await state(made, event))["position_s"] > 33
