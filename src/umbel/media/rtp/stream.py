"""A live stream inside one media server: what viewers, packagers and recorders attach to.

In: the platform's RTP and RTCP as it came from the network (`LiveStream` is a PacketSink).
Out: the same packets with plain headers in one continuous space of sequence numbers, timestamps
and SSRCs, also when the acquirer changes (it is a PacketSource). It also holds the keyframe
cache, the recent packets and the clock mapping that viewers need. Neighbours: wire/udp, webrtc,
hls.
"""

import secrets
from collections.abc import Callable, Sequence

from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, PayloadType
from umbel.media.rtp import h264_payload, rtcp
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.clock import ClockMapping
from umbel.media.rtp.feedback import Aggregate, Feedback, PacketsMissed, PictureRequest
from umbel.media.rtp.gop import GopCache
from umbel.media.rtp.history import History
from umbel.media.rtp.losses import Losses
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.pads import Sink
from umbel.media.rtp.rtcp import SenderReport

# A jump of sequence numbers beyond these means that the source restarted (RFC 3550 appendix A.1).
_FURTHEST_AHEAD = 3000
_FURTHEST_BEHIND = -3000
# Packets of the source before this one are stragglers while this one is heard.
_SILENT_AFTER_S = 1.0
# Without any sender report for so long, arrival times serve as the clock.
_REPORTLESS_S = 3.0
_MOST_UNCLAIMED_REPORTS = 8
_VIDEO = frozenset({PayloadType.H264, PayloadType.VP8, PayloadType.VP9, PayloadType.AV1})


class Track:
    """One medium of a stream in its continuous space. `packets` and `octets` count since the
    start; `next_index` and `last_timestamp` tell where the space ends now. An index is a
    sequence number that does not wrap: its lower 16 bits are on the wire. `payload_type` tells the
    present source's codec, None while it is not known."""

    def __init__(self, clock_hz: int, history_packets: int) -> None:
        self.clock_hz = clock_hz
        self.ssrc = secrets.randbits(32)
        self.history = History(history_packets)
        self.losses = Losses()
        self.gop = GopCache()
        self.payload_type: int | None = None
        self.profile_level_id: str | None = None
        self.packets = 0
        self.octets = 0
        self.next_index = secrets.randbits(14)
        self.last_timestamp = secrets.randbits(31)
        self.source_ssrc: int | None = None
        self._former_ssrc: int | None = None
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self.first_s: float | None = None
        self._heard_s = 0.0
        self._clock: tuple[ClockMapping, float] | None = None

    @property
    def has_clock(self) -> bool:
        """Whether a sender report gave the source's clock."""
        return self._clock is not None

    def index_of(self, sequence: int) -> int:
        """The index nearest to the present that has this sequence number."""
        return self.next_index + rtp.sequence_ahead(sequence, self.next_index)

    def admit(self, packet: RtpPacket, now_s: float) -> bytes | None:
        """The packet in the continuous space; None for a duplicate or a straggler."""
        if not packet.payload or not self._is_current(packet, now_s):
            return None
        sequence = (packet.sequence + self._sequence_offset) & 0xFFFF
        index = self.index_of(sequence)
        if index < self.next_index:
            if self.history.get(sequence) is not None:
                return None
            self.losses.came(index)
        else:
            if index != self.next_index:
                self.losses.skipped(self.next_index, index, now_s)
            self.next_index = index + 1
            self.last_timestamp = (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF
        self._heard_s = now_s
        return self._keep(packet, sequence)

    def missed(self, now_s: float) -> PacketsMissed | None:
        """Which of the source's packets to ask for now; None: none."""
        due = self.losses.due(now_s)
        if not due or self.source_ssrc is None:
            return None
        numbers = tuple((index - self._sequence_offset) & 0xFFFF for index in due)
        return PacketsMissed(self.source_ssrc, numbers)

    def reported(self, report: SenderReport, now_s: float) -> SenderReport:
        """Remember the current source's clock; the report in the continuous space."""
        timestamp = (report.timestamp + self._timestamp_offset) & 0xFFFFFFFF
        self._clock = (ClockMapping(report.ntp, timestamp, self.clock_hz), now_s)
        return SenderReport(
            ssrc=self.ssrc,
            ntp=report.ntp,
            timestamp=timestamp,
            packets=self.packets,
            octets=self.octets,
        )

    def clock_at(self, now_s: float) -> tuple[int, int] | None:
        """The source's two clocks now: (NTP in 1/2**32 s, timestamp); None before a report."""
        if self._clock is None:
            return None
        mapping, heard_s = self._clock
        return mapping.after(now_s - heard_s)

    def arrival_clock_at(self, now_s: float) -> tuple[int, int]:
        """A stand-in for `clock_at` from when packets came, in a time scale of our own."""
        mapping = ClockMapping(round(self._heard_s * 2**32), self.last_timestamp, self.clock_hz)
        return mapping.after(now_s - self._heard_s)

    def _is_current(self, packet: RtpPacket, now_s: float) -> bool:
        if packet.ssrc == self._former_ssrc and now_s - self._heard_s < _SILENT_AFTER_S:
            return False
        if packet.ssrc != self.source_ssrc:
            self._switch(packet, now_s)
            return True
        sequence = packet.sequence + self._sequence_offset
        ahead = rtp.sequence_ahead(sequence, self.next_index)
        if not _FURTHEST_BEHIND <= ahead <= _FURTHEST_AHEAD:
            self._switch(packet, now_s)
        return True

    def _switch(self, packet: RtpPacket, now_s: float) -> None:
        """Go on from another source, as much later as it began to be heard later."""
        if self.first_s is None:
            self.first_s = self._heard_s = now_s
        elapsed = max(1, round((now_s - self._heard_s) * self.clock_hz))
        self._former_ssrc = self.source_ssrc if self.source_ssrc != packet.ssrc else None
        self.source_ssrc, self.payload_type = packet.ssrc, packet.payload_type
        self._sequence_offset = self.next_index - packet.sequence
        self._timestamp_offset = self.last_timestamp + elapsed - packet.timestamp
        self.gop.clear()
        self.losses.clear()

    def _keep(self, packet: RtpPacket, sequence: int) -> bytes:
        second = (0x80 if packet.marker else 0) | packet.payload_type
        timestamp = packet.timestamp + self._timestamp_offset
        data = rtp.build_header(second, sequence, timestamp, self.ssrc) + packet.payload
        self.history.put(data)
        self.packets += 1
        self.octets += len(packet.payload)
        if self.gop.add(data).parameters:
            known = self.profile_level_id
            self.profile_level_id = h264_payload.profile_level_id(packet.payload) or known
        return data


class LiveStream:
    """One stream: a PacketSink for the network's side, a PacketSource for viewers. `video_type`:
    the video's payload type, where it is known before the first packet."""

    def __init__(self, video_type: int | None = None) -> None:
        self.video = Track(VIDEO_CLOCK_HZ, 4096)
        self.video.payload_type = video_type
        self.audio = Track(AUDIO_CLOCK_HZ, 512)
        self.malformed = 0
        self.on_feedback: Callable[[Feedback, float], None] | None = None
        self._aggregate = Aggregate()
        self._sinks: list[Sink] = []
        self._unclaimed: dict[int, tuple[SenderReport, float]] = {}

    def attach(self, sink: Sink) -> None:
        """Give packets to the sink too. Idempotent."""
        if not any(known is sink for known in self._sinks):
            self._sinks.append(sink)

    def detach(self, sink: Sink) -> None:
        """No more packets to the sink. An unknown one is not an error."""
        self._sinks = [known for known in self._sinks if known is not sink]

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take a viewer's feedback; what the source must know of all viewers' goes up."""
        if isinstance(feedback, PictureRequest):
            feedback = PictureRequest(self.video.source_ssrc or 0)
        passed = self._aggregate.throttled(feedback, now_s)
        if passed is not None and self.on_feedback is not None:
            self.on_feedback(passed, now_s)

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        """Take packets of the platform, and give them to every sink in the continuous space."""
        out: list[bytes] = []
        for data in batch:
            try:
                out.extend(self._take(data, now_s))
            except MalformedPacket:
                self.malformed += 1
        if out:
            for sink in self._sinks:
                sink.packets(out, now_s)
        for track in (self.video, self.audio):
            if track.losses.is_due(now_s):
                self._ask_for(track, now_s)

    def clock_at(self, track: Track, now_s: float) -> tuple[int, int] | None:
        """(NTP in 1/2**32 s, timestamp) of a track now; None while it is unknown.

        Both tracks use one time scale: reports, or arrival times when no source sends reports.
        """
        if self.video.has_clock or self.audio.has_clock:
            return track.clock_at(now_s)
        if track.first_s is None or now_s - track.first_s < _REPORTLESS_S:
            return None
        return track.arrival_clock_at(now_s)

    def _ask_for(self, track: Track, now_s: float) -> None:
        """Have what feeds the stream send again what is missing."""
        missed = track.missed(now_s)
        if missed is not None and self.on_feedback is not None:
            self.on_feedback(missed, now_s)

    def _take(self, data: bytes, now_s: float) -> list[bytes]:
        if rtp.is_rtcp(data):
            return self._take_reports(data, now_s)
        packet = RtpPacket.parse(data)
        track = self._track_of(packet)
        before = track.source_ssrc
        taken = track.admit(packet, now_s)
        if track.source_ssrc != before:
            self._claim(track)
        return [] if taken is None else [taken]

    def _track_of(self, packet: RtpPacket) -> Track:
        if packet.payload_type == PayloadType.OPUS:
            return self.audio
        if packet.payload_type in _VIDEO:
            return self.video
        raise MalformedPacket(f"payload type {packet.payload_type} is not the platform's")

    def _take_reports(self, data: bytes, now_s: float) -> list[bytes]:
        reports = [one for one in rtcp.parse(data) if isinstance(one, SenderReport)]
        out = []
        for report in reports:
            track = self._source(report.ssrc)
            if track is not None:
                out.append(rtcp.build([track.reported(report, now_s)]))
                continue
            self._unclaimed[report.ssrc] = (report, now_s)
            if len(self._unclaimed) > _MOST_UNCLAIMED_REPORTS:
                del self._unclaimed[next(iter(self._unclaimed))]
        return out

    def _source(self, ssrc: int) -> Track | None:
        for track in (self.video, self.audio):
            if track.source_ssrc == ssrc:
                return track
        return None

    def _claim(self, track: Track) -> None:
        """A report may come before the first packet of the source it is about."""
        report, heard_s = self._unclaimed.pop(track.source_ssrc or 0, (None, 0.0))
        if report is not None:
            track.reported(report, heard_s)
