"""Captures as players and browsers ask for them: playlists, segments, and files to keep.

In: an extent and a name. Out: texts and pieces of bytes, read of the repository. A file is made of
segments that have the same map and are moved in time so that they follow on; where a stream changed
its size in the middle, there are several.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby

from umbel.media.replay.pieces import NoSuchPiece, Span
from umbel.recordings import mp4
from umbel.recordings.indexes import Index, Indexes
from umbel.recordings.model import Extent, Segment
from umbel.repository.service import Repository


@dataclass(frozen=True, kw_only=True)
class File:
    """An MP4 file: `head`, then the segments, each so many seconds later."""

    head: bytes
    segments: Sequence[tuple[Segment, float]]
    section: bytes

    @property
    def size(self) -> int:
        """All of it."""
        return len(self.head) + sum(segment.size for segment, _ in self.segments)


class Replays:
    """What is played of captures. Each method raises NoSuchRecording and NothingRecorded."""

    def __init__(self, indexes: Indexes, repository: Repository) -> None:
        self._indexes = indexes
        self._repository = repository

    async def index(self, extent: Extent) -> Index:
        """What there is of it."""
        return await self._indexes.of(extent)

    async def section(self, extent: Extent, number: int) -> bytes:
        """An initialisation section. Raises NoSuchPiece."""
        maps = (await self._indexes.of(extent)).maps
        if number not in maps:
            raise NoSuchPiece
        return maps[number]

    async def segment(self, extent: Extent, number: int) -> tuple[int, AsyncGenerator[bytes, None]]:
        """A segment's size and its bytes. Raises NoSuchPiece, ItemDamaged, StorageFailed."""
        one = await self._segment(extent, number)
        return one.size, await self._pieces(one)

    async def whole(self, extent: Extent, number: int) -> tuple[Span, bytes]:
        """When a segment was recorded, and all its bytes. Raises NoSuchPiece, ItemDamaged,
        StorageFailed."""
        one = await self._segment(extent, number)
        return Span(began_s=one.began_s, ended_s=one.ended_s), await self._whole(one)

    async def file(self, extent: Extent, part: int) -> File:
        """The file of that number, from 0. Raises NoSuchPiece."""
        files = files_of(await self._indexes.of(extent))
        if not 0 <= part < len(files):
            raise NoSuchPiece
        return files[part]

    async def read(self, file: File, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Its bytes from `start` up to, not including, `end`. Raises ItemDamaged, StorageFailed,
        BadFragment, also after some pieces."""
        if start < len(file.head):
            yield file.head[start:end]
        scales, at = mp4.timescales(file.section), len(file.head)
        for segment, by_s in file.segments:
            if at + segment.size > start and at < end:
                body = mp4.moved(await self._whole(segment), by_s, scales)
                yield body[max(0, start - at) : end - at]
            at += segment.size

    async def _segment(self, extent: Extent, number: int) -> Segment:
        segments = (await self._indexes.of(extent)).segments
        place = number - segments[0].number
        if not 0 <= place < len(segments):
            raise NoSuchPiece
        return segments[place]

    async def _pieces(self, one: Segment) -> AsyncGenerator[bytes, None]:
        content = await self._repository.content(one.item)
        return self._repository.read(content, one.offset, one.offset + one.size)

    async def _whole(self, one: Segment) -> bytes:
        async with aclosing(await self._pieces(one)) as pieces:
            return b"".join([piece async for piece in pieces])


def files_of(index: Index) -> list[File]:
    """The files of what there is."""
    runs = groupby(index.segments, key=lambda one: index.maps[one.map_number])
    return [file for section, run in runs for file in _files(section, list(run))]


def _files(section: bytes, segments: Sequence[Segment]) -> list[File]:
    """One; more where an index cannot name all segments."""
    parts = range(0, len(segments), mp4.MOST_INDEXED)
    return [_file(section, segments[at : at + mp4.MOST_INDEXED]) for at in parts]


def _file(section: bytes, segments: Sequence[Segment]) -> File:
    moved: list[tuple[Segment, float]] = []
    by_s = 0.0
    for number, one in enumerate(segments):
        if number == 0 or one.is_break:
            by_s = one.position_s - segments[0].position_s - one.base_s
        moved.append((one, by_s))
    named = [mp4.Indexed(size=one.size, duration_s=one.duration_s) for one in segments]
    return File(head=mp4.head(section, named), segments=moved, section=section)
