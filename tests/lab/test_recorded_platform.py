"""The real platform records a real encoder: the control plane pulls from recorders."""

from pathlib import Path

import pytest

from support import mp4
from support.platform import platform
from support.recorded_lab import download, finish, record, recorders, until_kept
from support.viewers import goes_on, watching
from umbel.catalogue.model import UserRole
from umbel.demo.encoder import FPS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
SAMPLES_PER_S = 48_000
LONGEST_HOLE_S = 3.0
"""A longer one is a break, which a file leaves out."""


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
        (file,) = await download(made, recording_id)
        decoded = mp4.decode(file)
        assert len(decoded.shown_s) / FPS == pytest.approx(ready["duration_s"], abs=0.5)
        assert max(decoded.gaps_s) < 0.2, "nothing is missing"


async def test_a_recorder_that_is_killed_comes_back(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        recording_id = await record(made, event)
        before = await until_kept(made, recording_id, 6.0)
        (recorder,) = await recorders(made)
        made.kill(recorder)
        await until_kept(made, recording_id, before["duration_s"] + 8.0)
        assert await recorders(made) == [recorder]
        ready = await finish(made, event, recording_id)
        files = [mp4.decode(file) for file in await download(made, recording_id)]
        shown_s = sum(one.shown_s[-1] + 1 / FPS for one in files)
        heard_s = sum(one.samples for one in files) / SAMPLES_PER_S
        assert shown_s == pytest.approx(ready["duration_s"], abs=0.5)
        # Packets that a recorder misses as it comes back are neither shown nor heard.
        assert heard_s == pytest.approx(ready["duration_s"], abs=2.0)
        for one in files:
            # What came after the gap follows on: a player does not wait there.
            assert one.shown_s[0] == pytest.approx(0.0, abs=0.2)
            assert one.shown_s == sorted(one.shown_s)
            assert max(one.gaps_s) < LONGEST_HOLE_S
