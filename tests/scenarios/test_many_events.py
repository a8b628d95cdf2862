"""What keeping many events costs the database: as much for each as for one alone."""

import asyncio
from pathlib import Path

import pytest

from support.rows import Rows
from support.virtual import scenario
from support.world import world

_WATCHED_S = 10.0


def rows_per_event(folder: Path, events: int) -> float:
    """The rows that are read for each of so many live events, in some quiet seconds."""
    read = []

    @scenario
    async def run() -> None:
        async with world(folder) as w:
            for number in range(events):
                await w.live(f"pe{number % 5 + 1}")
            await asyncio.sleep(5)
            with pytest.MonkeyPatch.context() as patch:
                rows = Rows(patch)
                await asyncio.sleep(_WATCHED_S)
                read.append(rows.read)

    run()
    return read[0] / events


def test_an_event_costs_no_more_rows_among_many(tmp_path: Path) -> None:
    costs = {}
    for events in (1, 10, 50):
        folder = tmp_path / str(events)
        folder.mkdir()
        costs[events] = rows_per_event(folder, events)
    assert costs[1] > 0
    assert costs[10] <= costs[1], costs
    assert costs[50] <= costs[1], costs
