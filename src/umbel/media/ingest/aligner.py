"""Brings an RTP publisher's two media onto one line by its sender reports (RFC 3550 6.4.1).

In: first packets and their arrival, sender reports. Out: what to add to the audio's times. Until
both media were reported, arrival alone tells.
"""

import struct
from dataclasses import dataclass

from umbel.media.rtp import sync
from umbel.media.rtp.clock import ClockMapping

_WORTH_S = 0.005


@dataclass(slots=True)
class _MediumClock:
    clock_hz: int
    ssrc: int | None = None
    first_timestamp: int = 0
    first_arrival_s: float = 0.0
    first_wall_s: float | None = None


class Aligner:
    """One per publication. `clocks`: RTP clock rate in Hz by medium."""

    def __init__(self, clocks: dict[str, int]) -> None:
        self._media = {medium: _MediumClock(clock_hz) for medium, clock_hz in clocks.items()}
        self.audio_shift_s = 0.0

    def packet(self, medium: str, packet: bytes, arrival_s: float) -> None:
        """An RTP packet of at least 12 bytes came."""
        source = self._media[medium]
        if source.ssrc is None:
            source.first_timestamp, source.ssrc = struct.unpack_from("!II", packet, 4)
            source.first_arrival_s = arrival_s

    def report(self, packet: bytes) -> None:
        """An RTCP packet came; anything but a sender report is passed over."""
        for report in sync.sender_reports(packet):
            for source in self._media.values():
                if source.ssrc == report.ssrc and source.first_wall_s is None:
                    mapping = ClockMapping(report.ntp, report.timestamp, source.clock_hz)
                    source.first_wall_s = mapping.wall_s_at(source.first_timestamp)
                    self._align()

    def _align(self) -> None:
        video, audio = self._media.get("video"), self._media.get("audio")
        if video is None or audio is None or None in {video.first_wall_s, audio.first_wall_s}:
            return
        sent_s = (audio.first_wall_s or 0.0) - (video.first_wall_s or 0.0)
        shift_s = sent_s - (audio.first_arrival_s - video.first_arrival_s)
        if abs(shift_s) >= _WORTH_S:
            self.audio_shift_s = shift_s
