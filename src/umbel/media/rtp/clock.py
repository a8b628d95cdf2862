"""A sender report's mapping (RFC 3550 section 6.4.1): one instant on two clocks.

In: NTP time and RTP timestamp of a report. Out: wall time at any timestamp, and both clocks later.
Neighbours: stream.py, sync.py, ingest/aligner.py and ingest/reports.py.
"""

from dataclasses import dataclass

from umbel.media.rtp.packet import timestamp_ahead

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900-01-01, NTP's zero, to 1970-01-01."""
_UNITS_S = 1 << 32


def ntp_of(wall_s: float) -> int:
    """Wall time (seconds since 1970) in NTP's units of 1/2**32 s."""
    return round((wall_s + NTP_EPOCH_S) * _UNITS_S)


def wall_of(ntp: int) -> float:
    """NTP's units as wall time (seconds since 1970)."""
    return ntp / _UNITS_S - NTP_EPOCH_S


@dataclass(frozen=True, slots=True)
class ClockMapping:
    """The RTP `timestamp` of a clock of `clock_hz` at the instant `ntp` (1/2**32 s)."""

    ntp: int
    timestamp: int
    clock_hz: int

    def wall_s_at(self, timestamp: int) -> float:
        """The sender's wall time (seconds since 1970) at a timestamp near the mapping's."""
        return wall_of(self.ntp) + timestamp_ahead(timestamp, self.timestamp) / self.clock_hz

    def after(self, elapsed_s: float) -> tuple[int, int]:
        """Both clocks so many seconds later: (NTP in 1/2**32 s, timestamp)."""
        ntp = self.ntp + round(elapsed_s * _UNITS_S)
        timestamp = self.timestamp + round(elapsed_s * self.clock_hz)
        return ntp & 0xFFFFFFFFFFFFFFFF, timestamp & 0xFFFFFFFF
