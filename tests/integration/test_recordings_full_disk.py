"""Recordings whose database and repository are on one disk that gets really full: a small tmpfs,
which only root can mount."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import databases, recorded
from support.clocks import SetClock
from support.disks import full, small_disk
from support.recorded import Reel, film
from support.recorded_event import NOW_S, place_of
from support.stored import repository
from umbel.kit.db import Database, DatabaseDiskFull
from umbel.recordings.capturing import LEASE_S
from umbel.repository.drivers.files import FileStorage

SIZE_MB = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE_MB) as folder:
        yield folder


async def test_a_recording_says_why_it_waits_and_goes_on(disk: Path) -> None:
    clock = SetClock(NOW_S)
    database = Database(f"sqlite:///{disk / 'umbel.db'}", durable=False)
    try:
        await databases.prepare(database)
        here = await place_of(database, clock)
        items = repository(database, FileStorage(disk / "items"), clock)
        here.studio = recorded.studio(database, here.catalogue, items, clock)
        reel = await here.on_air(Reel("one", film(24.0)))
        await here.studio.recordings.start("ann", here.event.id, from_start=True)
        await here.play(reel, 3)
        (before,) = await here.kept("ann")
        assert (before.problem, before.duration_s > 5) == ("", True)
        capturing = here.studio.recordings.capturing
        with full(disk):
            reel.ready = 6
            # The lease is renewed meanwhile, which cannot be written either.
            for later_s in (2.0, LEASE_S):
                here.studio.advance(later_s)
                with pytest.raises(DatabaseDiskFull):
                    await capturing._capture(here.event.id)
                (waits,) = await here.kept("ann")
                assert "it is full" in waits.problem
                assert waits.duration_s == before.duration_s
        await capturing._capture(here.event.id)
        (after,) = await here.kept("ann")
        assert (after.problem, after.duration_s > before.duration_s) == ("", True)
    finally:
        await database.close()
