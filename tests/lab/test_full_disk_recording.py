"""A recording on a disk that gets really full: a small tmpfs, which only root can mount."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import mp4
from support.disks import full, small_disk
from support.platform import platform
from support.recorded_lab import download, finish, record, until_kept
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.demo.encoder import FPS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SIZE_MB = 48


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE_MB) as folder:
        yield folder


async def test_a_recording_waits_for_room_while_viewers_go_on(disk: Path) -> None:
    async with platform(disk) as made:
        event, _ = await made.live()
        async with watching(await made.session(event, "pe2")) as watcher:
            recording_id = await record(made, event)
            await until_kept(made, recording_id, 6.0)
            with full(disk):
                waits = await until(
                    lambda: made.get(f"me/recordings/{recording_id}"),
                    lambda one: one["problem"] != "",
                    within_s=60,
                )
                assert "full" in waits["problem"]
                await goes_on(watcher, 150)
                assert (await made.get(f"events/{event.id}"))["state"] == "live"
                (file,) = await download(made, recording_id)
                shown_s = mp4.decode(file).shown_s
                assert len(shown_s) / FPS == pytest.approx(waits["duration_s"], abs=0.5)
            goes = await until_kept(made, recording_id, waits["duration_s"] + 10.0)
            assert (goes["state"], goes["problem"]) == ("recording", "")
            await goes_on(watcher)
        ready = await finish(made, event, recording_id)
        (file,) = await download(made, recording_id)
        decoded = mp4.decode(file)
        assert len(decoded.shown_s) / FPS == pytest.approx(ready["duration_s"], abs=0.5)
        assert max(decoded.gaps_s) < 0.2, "the recorder kept what had no room"
