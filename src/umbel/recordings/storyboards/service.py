"""A storyboard: small pictures of a capture, one about every 10 s, for who seeks in it.

In: the newest picture of what comes in, from delivery. Out: pictures in an item of the repository,
and rows that say where. A picture that is not there, or cannot be stored, is left out: nothing of
the recording waits for it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from umbel.kit.db import Database
from umbel.kit.errors import UmbelError
from umbel.media.replay.pieces import NoSuchPiece
from umbel.recordings.indexes import Index
from umbel.recordings.model import Capture, Picture
from umbel.recordings.storyboards import store
from umbel.repository.service import Repository, Source

log = structlog.get_logger(__name__)

EVERY_S = 10.0
MOST_PICTURES = 8_000
"""Of one capture: 22 hours."""
_MOST_BYTES = 256 << 10

TakePicture = Callable[[str], Awaitable[bytes | None]]
"""The newest picture of an event as JPEG; None while there is none."""


async def no_picture(_event_id: str) -> bytes | None:
    """Where nothing takes any."""
    return None


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture of a part of a capture, `at_s` after its beginning."""

    picture: Picture
    at_s: float


@dataclass(frozen=True, kw_only=True)
class Storyboards:
    """Pictures of captures."""

    database: Database
    repository: Repository
    take_picture: TakePicture = no_picture

    async def follow(self, capture: Capture, owner: str) -> None:
        """Take a picture of the capture's newest part, if it is time. Never raises."""
        try:
            await self._follow(capture, owner)
        except UmbelError as error:
            log.info("no picture kept", stream=capture.stream, reason=error.message)

    async def of(self, index: Index) -> Sequence[ShownPicture]:
        """The pictures of what may be played, in order."""
        pictures = await self.database.read(store.every, index.capture.id)
        begin_s = index.segments[0].position_s
        shown = (ShownPicture(picture=one, at_s=one.position_s - begin_s) for one in pictures)
        return [one for one in shown if 0 <= one.at_s <= index.duration_s]

    async def read(self, index: Index, number: int) -> bytes:
        """One picture as JPEG. Raises NoSuchPiece, ItemDamaged, StorageFailed."""
        found = next((o.picture for o in await self.of(index) if o.picture.number == number), None)
        if found is None:
            raise NoSuchPiece
        content = await self.repository.content(found.item)
        pieces = self.repository.read(content, found.offset, found.offset + found.size)
        async with aclosing(pieces):
            return b"".join([piece async for piece in pieces])

    async def _follow(self, capture: Capture, owner: str) -> None:
        last = await self.database.read(store.last, capture.id)
        if last is not None:
            is_early = capture.duration_s - last.position_s < EVERY_S
            if is_early or last.number + 1 >= MOST_PICTURES:
                return
        jpeg = await self.take_picture(capture.event_id)
        if jpeg is None or len(jpeg) > _MOST_BYTES:
            return
        item = last.item if last is not None else await self._new_item(capture, owner)
        offset = (await self.repository.get(item)).size
        source = Source(chunks=_once(jpeg), size=len(jpeg), offset=offset or None)
        await self.repository.write(item, source)
        new = Picture(
            number=0 if last is None else last.number + 1,
            item=item,
            offset=offset,
            size=len(jpeg),
            position_s=capture.duration_s,
        )
        await self.database.write(store.add, capture.id, new)

    async def _new_item(self, capture: Capture, owner: str) -> str:
        metadata = {"capture": capture.id, "event": capture.event_id, "kind": "storyboard"}
        return (await self.repository.create(owner, metadata)).id


def vtt(shown: Sequence[ShownPicture], duration_s: float) -> str:
    """A WebVTT file whose cues name the pictures, as many players read storyboards."""
    lines = ["WEBVTT", ""]
    ends = [*(one.at_s for one in shown[1:]), duration_s]
    for one, end_s in zip(shown, ends, strict=False):
        lines += [f"{_timestamp(one.at_s)} --> {_timestamp(max(end_s, one.at_s + 0.001))}"]
        lines += [f"picture-{one.picture.number}.jpg", ""]
    return "\n".join(lines)


def spread(shown: Sequence[ShownPicture], most: int) -> Sequence[ShownPicture]:
    """At most so many of them, evenly spread."""
    if len(shown) <= most:
        return shown
    return [shown[round(n * (len(shown) - 1) / (most - 1))] for n in range(most)]


def _timestamp(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{milliseconds:03d}"


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
