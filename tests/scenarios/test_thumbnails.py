"""Pictures of live events: however many ask, an acquirer is asked rarely."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.virtual import scenario
from support.world import world
from umbel.catalogue.model import NoSuchEvent
from umbel.delivery.thumbnails import READ_AGAIN_S, NoThumbnail
from umbel.media.drivers.fake import FakeMedia
from umbel.media.model import Server, Thumbnail


@dataclass
class CountedMedia(FakeMedia):
    """Media servers that take their time for a picture."""

    pictures_read: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    async def thumbnail(self, server: Server, stream: str) -> Thumbnail | None:
        self.pictures_read += 1
        await asyncio.sleep(0.2)
        return await super().thumbnail(server, stream)


@scenario
async def test_a_crowd_costs_one_question_in_a_while(tmp_path: Path) -> None:
    media = CountedMedia()
    async with world(tmp_path, media=media) as w:
        event, other = await w.live(), await w.live("pe3")
        crowd = await asyncio.gather(*(w.delivery.thumbnail(event) for _ in range(50)))
        assert {one.jpeg for one in crowd} == {crowd[0].jpeg}
        assert media.pictures_read == 1
        assert (await w.delivery.thumbnail(other)).jpeg != crowd[0].jpeg
        assert media.pictures_read == 2
        await asyncio.sleep(READ_AGAIN_S - 1.0)
        later = await w.delivery.thumbnail(event)
        assert later.age_s == pytest.approx(READ_AGAIN_S - 1.0, abs=0.5)
        await asyncio.sleep(1.0)
        await w.delivery.thumbnail(event)
        assert media.pictures_read == 3


@scenario
async def test_only_what_is_live_has_a_picture(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.event()
        with pytest.raises(NoThumbnail):
            await w.delivery.thumbnail(event)
        with pytest.raises(NoSuchEvent):
            await w.delivery.thumbnail("ev_unknown")
        point = await w.delivery.open_ingest(event)
        with pytest.raises(NoThumbnail):
            await w.delivery.thumbnail(event)
        w.media.publish(point.function, event)
        await asyncio.sleep(1.0)
        assert (await w.delivery.thumbnail(event)).jpeg


@scenario
async def test_an_acquirer_that_does_not_answer_is_no_fault_of_the_viewer(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        w.media.cut("acquirer-pe1-1")
        with pytest.raises(NoThumbnail):
            await w.delivery.thumbnail(event)
        w.media.mend("acquirer-pe1-1")
        await asyncio.sleep(READ_AGAIN_S)
        assert (await w.delivery.thumbnail(event)).jpeg
