"""The segments of captures, kept in memory: they are only ever added to.

In: a capture and a range of time. Out: its segments, of which only new ones are read. Captures that
were not asked for lately are read again.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.kit.db import Database
from umbel.kit.sql import Connection
from umbel.recordings import store
from umbel.recordings.model import (
    Capture,
    CaptureState,
    Extent,
    NoSuchRecording,
    NothingRecorded,
    Segment,
)

_MOST_CAPTURES = 64


@dataclass(frozen=True, kw_only=True)
class Index:
    """What somebody may play: segments in order, at least one, their maps by number, and whether
    more are to come."""

    capture: Capture
    segments: tuple[Segment, ...]
    maps: Mapping[int, bytes]
    is_growing: bool

    @property
    def duration_s(self) -> float:
        """Of all segments."""
        return sum(one.duration_s for one in self.segments)

    @property
    def mbps(self) -> float:
        """The rate at which it plays, in the mean."""
        return sum(one.size for one in self.segments) * 8e-6 / max(self.duration_s, 0.1)


@dataclass
class _Known:
    segments: tuple[Segment, ...] = ()
    maps: Mapping[int, bytes] = field(default_factory=dict)


class Indexes:
    """Lives on one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def of(self, extent: Extent) -> Index:
        """What there is of the extent now. Raises NoSuchRecording, NothingRecorded."""
        known = self._known.get(extent.capture_id, _Known())
        first = len(known.segments)
        capture, more, maps = await self._database.read(_later, extent.capture_id, first)
        if more or extent.capture_id not in self._known:
            known = _Known(segments=(*known.segments, *more), maps=maps or known.maps)
            self._known[extent.capture_id] = known
        self._known.move_to_end(extent.capture_id)
        while len(self._known) > _MOST_CAPTURES:
            self._known.popitem(last=False)
        found = tuple(one for one in known.segments if _is_in(one, extent))
        if not found:
            raise NothingRecorded
        is_open = extent.until_s is None or extent.until_s > found[-1].ended_s
        is_growing = is_open and capture.state is CaptureState.RUNNING
        return Index(capture=capture, segments=found, maps=known.maps, is_growing=is_growing)


def _later(
    connection: Connection, capture_id: str, first: int
) -> tuple[Capture, list[Segment], Mapping[int, bytes]]:
    capture = store.by_id(connection, capture_id)
    if capture is None:
        raise NoSuchRecording
    if capture.segments <= first:
        return capture, [], {}
    more = store.segments(connection, capture_id, first)
    return capture, more, store.maps(connection, capture_id)


def _is_in(one: Segment, extent: Extent) -> bool:
    return (extent.from_s is None or one.ended_s > extent.from_s) and (
        extent.until_s is None or one.began_s < extent.until_s
    )
