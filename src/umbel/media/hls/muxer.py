"""A stream's RTP and RTCP packets to parts of segments.

In: packets as they arrive, with the steady time. Out: the segmenter's events. Everything but H.264
and Opus is passed over; nothing that comes in raises. Neighbours: rtp/ below, io/hls_stream.py
above.
"""

from collections.abc import Sequence

from umbel.media.hls.aac import AacSegments
from umbel.media.hls.boxes import Sample, VideoSets, length_prefixed
from umbel.media.hls.segmenter import Segmenter, SegmenterEvent
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, PayloadType
from umbel.media.rtp import h264, packet, sync
from umbel.media.rtp.bits import MalformedVideo
from umbel.media.rtp.depacketize import AccessUnit, H264Depacketizer, OpusDepacketizer
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.sps import parse_sps
from umbel.media.rtp.sync import Continuity, StreamTimeline

# Parameter sets go into the initialisation section; the others say nothing in a file.
_NOT_STORED = frozenset({h264.SPS, h264.PPS, h264.DELIMITER, h264.FILLER})
_MOST_PPS = 31


class Muxer:
    """Owns the way from packets to parts for one stream. What comes is given to `aac` too."""

    def __init__(self) -> None:
        self.segmenter = Segmenter()
        self.aac: AacSegments | None = None
        self.malformed = 0
        self._timeline = StreamTimeline(
            {PayloadType.H264: VIDEO_CLOCK_HZ, PayloadType.OPUS: AUDIO_CLOCK_HZ}
        )
        self._pictures, self._sounds = H264Depacketizer(), OpusDepacketizer()
        self._sets: VideoSets | None = None

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return self._pictures.lost + self._sounds.lost

    def packets(self, batch: Sequence[bytes], now_s: float) -> list[SegmenterEvent]:
        """Take packets; the parts that are whole now."""
        out: list[SegmenterEvent] = []
        for data in batch:
            if packet.is_rtcp(data):
                for report in sync.sender_reports(data):
                    self._timeline.report(report)
                continue
            try:
                read = RtpPacket.parse(data)
            except MalformedPacket:
                self.malformed += 1
                continue
            if read.payload_type == PayloadType.H264:
                self._video(read, now_s, out)
            elif read.payload_type == PayloadType.OPUS:
                self._audio(read, now_s, out)
        return out

    def end(self) -> list[SegmenterEvent]:
        """No more packets come: what is left."""
        return self.segmenter.discontinue()

    def wall_s(self, at_s: float, *, now_s: float, steady_s: float) -> float:
        """As sync.plausible_wall_s."""
        return sync.plausible_wall_s(self._timeline, at_s, now_s=now_s, steady_s=steady_s)

    def _video(self, read: RtpPacket, now_s: float, out: list[SegmenterEvent]) -> None:
        self.segmenter.note_video(now_s)
        for picture in self._pictures.push(read):
            moment = self._timeline.place(PayloadType.H264, picture.ssrc, picture.timestamp, now_s)
            if moment.continuity is Continuity.RESTARTED:
                out += self.segmenter.discontinue()
                self._sets = None
                if self.aac is not None:
                    self.aac.discontinue()
            if picture.keyframe:
                self._sets = _sets(picture) or self._sets
            units = [unit for unit in picture.units if h264.nal_type(unit) not in _NOT_STORED]
            sample = Sample(moment.ticks, 0, length_prefixed(units), picture.keyframe)
            sets = self._sets if picture.keyframe else None
            if self.aac is not None:
                self.aac.video(sample, sets, now_s)
            out += self.segmenter.video(sample, sets, now_s)

    def _audio(self, read: RtpPacket, now_s: float, out: list[SegmenterEvent]) -> None:
        sound = self._sounds.push(read)
        if sound is None:
            return
        moment = self._timeline.place(PayloadType.OPUS, sound.ssrc, sound.timestamp, now_s)
        if moment.continuity is Continuity.RESTARTED:
            out += self.segmenter.audio_restarted()
        if self.aac is not None:
            self.aac.opus(moment.ticks, sound.data)
        out += self.segmenter.audio(Sample(moment.ticks, sound.duration, sound.data, True), now_s)


def _sets(picture: AccessUnit) -> VideoSets | None:
    """The parameter sets a keyframe brings, if they are whole and can be read."""
    sps = [unit for unit in picture.units if h264.nal_type(unit) == h264.SPS]
    pps = dict.fromkeys(unit for unit in picture.units if h264.nal_type(unit) == h264.PPS)
    if not sps or not 0 < len(pps) <= _MOST_PPS:
        return None
    try:
        parse_sps(sps[-1])
    except MalformedVideo:
        return None
    return VideoSets(sps[-1], tuple(pps))
