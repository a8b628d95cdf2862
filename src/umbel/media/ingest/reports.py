"""Sender reports (RFC 3550 section 6.4.1) that tie both media of a publication to one wall clock.

In: the publication's RTP and the wall time. Out: the same packets with reports among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from umbel.media.ingest.timeline import Unwrapped
from umbel.media.rtp import rtcp
from umbel.media.rtp.clock import ntp_of
from umbel.media.rtp.rtcp import SenderReport

_RTP_HEADER_BYTES = 12
_PERIOD_S = 1.0
_SETTLING_S = 3.0
_SLEW_S = 0.002
_LOST_S = 2.0


@dataclass(frozen=True, kw_only=True)
class SourceClock:
    """An SSRC the reports are for. `offset`: its RTP timestamp at the time line's zero."""

    ssrc: int
    clock_hz: int
    offset: int


@dataclass(slots=True)
class _Sent:
    medium: SourceClock
    packets: int = 0
    octets: int = 0
    times: Unwrapped = field(default_factory=Unwrapped)

    def media_s(self, packet: bytes) -> float:
        """The packet's time on the line both media share."""
        stamp = int.from_bytes(packet[4:8], "big")
        return self.times.unwrap((stamp - self.medium.offset) & 0xFFFFFFFF) / self.medium.clock_hz


class SenderReports:
    """Puts a report before each medium's first packet and about once a second after.

    The line's zero on the wall clock is the earliest that any packet suggested while settling;
    later it follows the encoder's drift slowly, and jumps when the encoder lost seconds.
    """

    def __init__(self, media: Sequence[SourceClock]) -> None:
        self._sent = {medium.ssrc: _Sent(medium) for medium in media}
        self._zero_s: float | None = None
        self._began_s = 0.0
        self._due_s = 0.0
        self._earliest_s: float | None = None

    def interleave(self, batch: Sequence[bytes], wall_s: float) -> list[bytes]:
        """The batch with the reports that are due now."""
        out: list[bytes] = []
        for packet in batch:
            sent = self._sent.get(int.from_bytes(packet[8:12], "big"))
            if sent is None:
                continue
            self._hear(wall_s - sent.media_s(packet), wall_s)
            if sent.packets == 0:
                out.append(self._report(sent, wall_s))
            sent.packets += 1
            sent.octets += len(packet) - _RTP_HEADER_BYTES
            out.append(packet)
        if out and wall_s >= self._due_s:
            out += self._all(wall_s)
        return out

    def _hear(self, zero_s: float, wall_s: float) -> None:
        if self._zero_s is None:
            self._zero_s, self._began_s = zero_s, wall_s
            self._due_s = wall_s + _PERIOD_S
        if wall_s - self._began_s < _SETTLING_S:
            self._zero_s = min(self._zero_s, zero_s)
        self._earliest_s = zero_s if self._earliest_s is None else min(self._earliest_s, zero_s)

    def _all(self, wall_s: float) -> list[bytes]:
        self._due_s = wall_s + _PERIOD_S
        self._follow()
        return [self._report(sent, wall_s) for sent in self._sent.values() if sent.packets]

    def _follow(self) -> None:
        if self._zero_s is not None and self._earliest_s is not None:
            away_s = self._earliest_s - self._zero_s
            step_s = away_s if abs(away_s) > _LOST_S else max(-_SLEW_S, min(_SLEW_S, away_s))
            self._zero_s += step_s
        self._earliest_s = None

    def _report(self, sent: _Sent, wall_s: float) -> bytes:
        media_s = wall_s - (self._zero_s or 0.0)
        timestamp = sent.medium.offset + round(media_s * sent.medium.clock_hz)
        report = SenderReport(
            ssrc=sent.medium.ssrc,
            ntp=ntp_of(wall_s),
            timestamp=timestamp & 0xFFFFFFFF,
            packets=sent.packets & 0xFFFFFFFF,
            octets=sent.octets & 0xFFFFFFFF,
        )
        return rtcp.build([report])
