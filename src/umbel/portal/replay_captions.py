"""Captions on the timeline of what somebody may play."""

from umbel.catalogue.captions.model import Caption
from umbel.media.hls import webvtt
from umbel.media.hls.webvtt import Shown
from umbel.media.replay.pieces import NoSuchPiece
from umbel.portal.ports import System
from umbel.recordings import captions, subtitles
from umbel.recordings.indexes import Index
from umbel.recordings.model import Extent, NoReplay, NothingRecorded


async def of(system: System, index: Index) -> list[Shown]:
    """What was said in it."""
    walls = [captions.wall_of(one) for one in index.segments]
    until_s = max(wall + one.duration_s for wall, one in zip(walls, index.segments, strict=True))
    said = await system.catalogue.captions.between(index.capture.event_id, min(walls), until_s)
    return captions.shown(index.segments, said)


async def vtt(system: System, extent: Extent) -> str:
    """It as WebVTT. Raises NoSuchRecording, NothingRecorded."""
    return webvtt.document(await of(system, await system.recordings.index(extent)))


async def piece(system: System, extent: Extent, number: int) -> str:
    """That of the segment with this number, for a player of HLS. Raises NoSuchPiece, too."""
    index = await system.recordings.index(extent)
    one = next((one for one in index.segments if one.number == number), None)
    if one is None:
        raise NoSuchPiece
    return subtitles.piece(index.segments, one, await of(system, index))


async def replay_index(system: System, event_id: str) -> Index | None:
    """What everybody who may watch the event may see again; None where there is nothing."""
    try:
        _, extent = await system.recordings.replay(event_id)
        return await system.recordings.index(extent)
    except (NoReplay, NothingRecorded):
        return None


def position_s(index: Index, caption: Caption) -> float | None:
    """Where in the recording it is said; None where that was not recorded."""
    found = captions.shown(index.segments, [caption])
    return found[0].start_s if found else None
