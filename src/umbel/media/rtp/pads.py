"""Where a sink meets its sources: at most one for each medium (NUBOMEDIA, section 4.3.8.1).

In: connections by medium. Out: attachments at the sources, with a filter where a source gives only
some of the media; feedback of the sink to whom it concerns. Neighbours: media/ports.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from umbel.media.model import ALL_MEDIA, MediaType, PayloadType
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.feedback import Feedback

_BY_TYPE = {
    PayloadType.H264: MediaType.VIDEO,
    PayloadType.VP8: MediaType.VIDEO,
    PayloadType.VP9: MediaType.VIDEO,
    PayloadType.AV1: MediaType.VIDEO,
    PayloadType.OPUS: MediaType.AUDIO,
}
_MOST_SOURCES = 16


class Sink(Protocol):
    """What media.ports.PacketSink says, for this lower layer."""

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        """Take a batch; `now_s` is steady time."""


class Source(Protocol):
    """What media.ports.PacketSource says, for this lower layer."""

    def attach(self, sink: Sink) -> None:
        """Give packets to the sink too."""

    def detach(self, sink: Sink) -> None:
        """No more packets to the sink."""

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take what a sink reports."""


class MediaFilter:
    """A Sink that passes some media on. RTCP goes with the medium whose source it is about."""

    def __init__(self, sink: Sink, media: frozenset[MediaType]) -> None:
        self._sink = sink
        self._media = media
        self._by_ssrc: dict[bytes, MediaType | None] = {}

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        passed = [data for data in batch if self._medium(data) in self._media]
        if passed:
            self._sink.packets(passed, now_s)

    def _medium(self, data: bytes) -> MediaType | None:
        if len(data) < rtp.HEADER_BYTES:
            return None
        if rtp.is_rtcp(data):
            return self._by_ssrc.get(data[4:8])
        medium = _BY_TYPE.get(rtp.payload_type(data))
        if data[8:12] not in self._by_ssrc:
            if len(self._by_ssrc) >= _MOST_SOURCES:
                del self._by_ssrc[next(iter(self._by_ssrc))]
            self._by_ssrc[data[8:12]] = medium
        return medium


@dataclass(frozen=True)
class _Attachment:
    source: Source
    media: frozenset[MediaType]
    sink: Sink


class SinkPad:
    """One sink's side of its connections."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sources: dict[MediaType, Source] = {}
        self._attached: dict[int, _Attachment] = {}

    def connect(self, source: Source, media: Iterable[MediaType] = ALL_MEDIA) -> None:
        """Take these media from the source. Whatever gave one of them before gives it no more."""
        self._sources.update(dict.fromkeys(media, source))
        self._apply()

    def disconnect(self, source: Source, media: Iterable[MediaType] = ALL_MEDIA) -> None:
        """Take these media from the source no more. What it does not give is not an error."""
        for medium in media:
            if self._sources.get(medium) is source:
                del self._sources[medium]
        self._apply()

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        """Report to the source of the video, or to the only one there is.

        Both kinds of feedback are about video wherever there is some.
        """
        source = self._sources.get(MediaType.VIDEO) or next(iter(self._sources.values()), None)
        if source is not None:
            source.feedback(feedback, now_s)

    def _apply(self) -> None:
        wanted: dict[int, tuple[Source, frozenset[MediaType]]] = {}
        for medium, source in self._sources.items():
            _, media = wanted.get(id(source), (source, frozenset[MediaType]()))
            wanted[id(source)] = (source, media | {medium})
        for key, known in list(self._attached.items()):
            if key not in wanted or wanted[key][1] != known.media:
                known.source.detach(known.sink)
                del self._attached[key]
        for key, (source, media) in wanted.items():
            if key not in self._attached:
                sink = self._sink if media == ALL_MEDIA else MediaFilter(self._sink, media)
                self._attached[key] = _Attachment(source, media, sink)
                source.attach(sink)
