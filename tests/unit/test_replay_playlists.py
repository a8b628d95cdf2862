"""Playlists of long recordings do not hold up the loop."""

import asyncio
import gzip

import pytest

from umbel.portal import replay_playlists
from umbel.recordings.model import Segment

SEGMENTS = [
    Segment(
        number=number,
        item="item",
        offset=0,
        size=1,
        map_number=0,
        duration_s=2.0,
        position_s=2.0 * number,
        base_s=0.0,
        began_s=1.8e9 + 2.0 * number,
        is_break=False,
    )
    for number in range(2_000)
]
FOLDER = f"http://edge/replay/{'token' * 100}/"


@pytest.mark.parametrize("is_gzip", [True, False])
async def test_it_is_made_away_from_the_loop(is_gzip: bool) -> None:
    making = asyncio.create_task(
        replay_playlists.body(SEGMENTS, is_growing=False, folder=FOLDER, is_gzip=is_gzip)
    )
    await asyncio.sleep(0)
    assert not making.done(), "the loop goes on"
    body = await making
    text = gzip.decompress(body) if is_gzip else body
    lines = text.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        f"{FOLDER}segment-{number}.m4s" for number in range(2_000)
    ]
    assert not is_gzip or len(body) < len(text) / 50
