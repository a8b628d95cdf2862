"""Thumbnails with a real worker: how they look, how large they are, and when they are made."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import av
import pytest

from support.camera import Camera, Picture, pictures
from support.clocks import SetClock
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.media.model import WORKER_LIMITS, WorkerLimits
from umbel.media.rtp.feedback import PictureRequest
from umbel.media.server.elements.fan import Fan
from umbel.media.server.elements.thumbnail import RENEW_S, LiveThumbnail
from umbel.media.workers.pool import WorkerPool
from umbel.media.workers.thumbnailer import Thumbnailer

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
MOST_BYTES = 60_000


@asynccontextmanager
async def a_thumbnailer(
    limits: WorkerLimits = WORKER_LIMITS, *, idle_s: float = 60.0
) -> AsyncIterator[Thumbnailer]:
    workers = WorkerPool(SystemClock(), limits)
    made = Thumbnailer(workers, idle_s=idle_s)
    try:
        yield made
    finally:
        await made.close()
        await workers.close()


@pytest.fixture
async def thumbnailer() -> AsyncIterator[Thumbnailer]:
    async with a_thumbnailer() as made:
        yield made


def decoded(jpeg: bytes) -> av.VideoFrame:
    [frame] = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg))
    return frame


def brightness(frame: av.VideoFrame, size: tuple[int, int] = (32, 18)) -> list[int]:
    """The picture in a few grey squares."""
    return list(frame.reformat(*size, "gray").to_ndarray().flatten())


def source_of(picture: Picture) -> av.VideoFrame:
    """The picture by another decoder than the worker's."""
    context = av.CodecContext.create("h264", "r")
    data = b"".join(b"\0\0\0\1" + unit for unit in picture.units)
    frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    return frames[0]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((320, 180), (320, 180)),
        ((1920, 1080), (640, 360)),
        ((1080, 1920), (202, 360)),
        ((1920, 480), (640, 160)),
    ],
)
async def test_a_thumbnail_is_the_key_picture_made_small(
    thumbnailer: Thumbnailer, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    key = pictures(0.1, size=size)[0]
    jpeg = await thumbnailer.make(key.units)
    assert 0 < len(jpeg) <= MOST_BYTES
    frame = decoded(jpeg)
    assert (frame.width, frame.height) == shown
    pairs = zip(brightness(frame), brightness(source_of(key)), strict=True)
    apart = [abs(int(a) - int(b)) for a, b in pairs]
    assert sum(apart) / len(apart) < 8


async def test_what_cannot_be_decoded_gives_none_and_the_next_one_is_made(
    thumbnailer: Thumbnailer,
) -> None:
    key, other = pictures(0.1)[:2]
    assert await thumbnailer.make(other.units) == b""
    assert await thumbnailer.make((key.units[0], b"\x68", b"\x65" + bytes(40))) == b""
    pid = thumbnailer.worker_pid
    assert await thumbnailer.make(key.units)
    assert thumbnailer.worker_pid == pid


async def test_a_picture_larger_than_the_limit_is_not_decoded() -> None:
    async with a_thumbnailer(WorkerLimits(most_pixels=319 * 180)) as small:
        assert await small.make(pictures(0.1)[0].units) == b""


async def test_a_worker_that_died_is_replaced(thumbnailer: Thumbnailer) -> None:
    key = pictures(0.1)[0]
    assert await thumbnailer.make(key.units)
    pid = thumbnailer.worker_pid
    os.kill(pid, signal.SIGKILL)
    await thumbnailer.make(key.units)
    assert await thumbnailer.make(key.units)
    assert thumbnailer.worker_pid not in {0, pid}


async def test_a_picture_that_nobody_waits_for_any_more_is_not_given_to_another_stream(
    thumbnailer: Thumbnailer,
) -> None:
    ended, other = [picture for picture in pictures(4.2) if picture.keyframe][:2]
    expected = await thumbnailer.make(other.units)
    making = asyncio.create_task(thumbnailer.make(ended.units))
    while thumbnailer._answer is None:
        await asyncio.sleep(0)
    making.cancel()
    await asyncio.wait({making})
    assert making.cancelled()
    assert await thumbnailer.make(other.units) == expected


async def test_the_worker_ends_when_no_picture_is_wanted() -> None:
    async with a_thumbnailer(idle_s=0.05) as short:
        assert await short.make(pictures(0.1)[0].units)
        await until(lambda: asyncio.sleep(0, short.worker_pid), lambda pid: pid == 0)
        assert await short.make(pictures(0.1)[0].units)


# -- when ------------------------------------------------------------------------------------


class Feed:
    """A stream of two pictures that differ, and what its encoder is asked."""

    def __init__(self, thumbnailer: Thumbnailer) -> None:
        self.clock = SetClock(100.0)
        self.requests = 0
        self.fan = Fan(self._on_feedback)
        self.thumbnail = LiveThumbnail(self.fan, thumbnailer)
        self._camera = Camera()
        self._keys = [picture for picture in pictures(4.2) if picture.keyframe]

    def _on_feedback(self, feedback: object, now_s: float) -> None:
        self.requests += isinstance(feedback, PictureRequest)

    @property
    def is_listened_to(self) -> bool:
        return bool(self.fan._sinks)

    def send(self, key: int) -> None:
        """One of the pictures; before it one that starts in the middle."""
        self._camera.sent.clear()
        self._camera.video(self._shown(key), self.clock.at_s)
        self.fan.packets([packet for _, packet in self._camera.sent], self.clock.at_s)

    def _shown(self, key: int) -> Iterable[Picture]:
        picture = self._keys[key]
        yield Picture(picture.units, picture.at_s * 0, keyframe=True)

    def read(self) -> bytes:
        found = self.thumbnail.read(self.clock.at_s)
        return b"" if found is None else found.jpeg

    async def made(self, before: bytes = b"") -> bytes:
        """The next picture; the clock stands still."""
        return await until(lambda: asyncio.sleep(0, self.read()), lambda jpeg: jpeg != before)


async def test_pictures_are_made_only_for_readers_and_not_too_often(
    thumbnailer: Thumbnailer,
) -> None:
    feed = Feed(thumbnailer)
    feed.send(0)
    assert not feed.is_listened_to
    assert feed.read() == b""
    assert feed.is_listened_to
    feed.send(0)
    assert not feed.is_listened_to
    first = await feed.made()

    feed.clock.at_s += RENEW_S - 0.1
    assert feed.read() == first
    assert not feed.is_listened_to
    feed.clock.at_s += 0.2
    assert feed.read() == first
    feed.send(1)
    second = await feed.made(first)
    pairs = zip(brightness(decoded(first)), brightness(decoded(second)), strict=True)
    assert any(abs(int(a) - int(b)) > 40 for a, b in pairs)

    feed.clock.at_s += 61.0
    assert feed.read() == b""
    await feed.thumbnail.close()


async def test_another_publication_begins_without_the_last_ones_picture(
    thumbnailer: Thumbnailer,
) -> None:
    feed = Feed(thumbnailer)
    feed.read()
    feed.send(0)
    await feed.made()
    feed.thumbnail.reset()
    assert feed.read() == b""
    feed.send(1)
    assert await feed.made()
    await feed.thumbnail.close()


async def test_the_encoder_is_asked_when_no_key_picture_comes_by_itself(
    thumbnailer: Thumbnailer,
) -> None:
    feed = Feed(thumbnailer)
    feed.read()
    feed.thumbnail.tick(feed.clock.at_s + 2.9)
    assert feed.requests == 0
    feed.thumbnail.tick(feed.clock.at_s + 3.1)
    assert feed.requests == 1
    await feed.thumbnail.close()
    assert not feed.is_listened_to
