"""Brings an RTP publisher's two media onto one line by its sender reports (RFC 3550 6.4.1).

In: first packets and their arrival, sender reports. Out: what to add to the audio's times. Until
both media were reported, arrival alone tells.
"""

import struct
from dataclasses import dataclass

_NTP_UNITS_S = 1 << 32
_REPORT_BYTES = 28
_SENDER_REPORT = 200
_WORTH_S = 0.005


@dataclass(slots=True)
class _MediumClock:
    clock_hz: int
    ssrc: int | None = None
    first_timestamp: int = 0
    first_arrival_s: float = 0.0
    first_ntp_s: float | None = None


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
        """An RTCP packet came; anything but a sender report in front is passed over."""
        if len(packet) < _REPORT_BYTES or packet[1] != _SENDER_REPORT:
            return
        ssrc, ntp, timestamp = struct.unpack_from("!IQI", packet, 4)
        for source in self._media.values():
            if source.ssrc == ssrc and source.first_ntp_s is None:
                since = (timestamp - source.first_timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
                source.first_ntp_s = ntp / _NTP_UNITS_S - since / source.clock_hz
                self._align()

    def _align(self) -> None:
        video, audio = self._media.get("video"), self._media.get("audio")
        if video is None or audio is None or None in {video.first_ntp_s, audio.first_ntp_s}:
            return
        sent_s = (audio.first_ntp_s or 0.0) - (video.first_ntp_s or 0.0)
        shift_s = sent_s - (audio.first_arrival_s - video.first_arrival_s)
        if abs(shift_s) >= _WORTH_S:
            self.audio_shift_s = shift_s
