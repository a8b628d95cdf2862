"""One timeline for a stream's media: RTP timestamps to ticks that can be compared in seconds.

In: timestamps as they arrive, and RTCP sender reports, which link a medium's clock to the sender's
wall clock (RFC 3550 6.4.1). Out: per medium, ticks of its own clock since the timeline's zero,
exact between corrections. Before reports, arrival links the media. The timeline is the receiver's
steady time, so a new sender goes on where the old one stopped. Neighbours: rtcp.py, hls/muxer.py.
"""

from dataclasses import dataclass
from enum import Enum

from umbel.media.rtp import rtcp
from umbel.media.rtp.clock import ClockMapping
from umbel.media.rtp.packet import MalformedPacket
from umbel.media.rtp.rtcp import SenderReport

_WORD = 1 << 32
# A medium moves only for a difference one could notice: below that, exact durations matter more.
_NOTICEABLE_S = 0.010
# No network delays one medium against the other this much: such a report is nonsense.
_ABSURD_S = 5.0
# A sender's clock that disagrees this much with its own last report was set again.
_CLOCK_STEP_S = 0.5
_MOST_UNKNOWN_REPORTS = 8
_TRUSTED_CLOCK_S = 60.0


class Continuity(Enum):
    """How a timestamp follows the medium's last one."""

    STEADY = "steady"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Moment:
    """A place on the timeline, in ticks of the medium's clock."""

    ticks: int
    continuity: Continuity


def sender_reports(data: bytes) -> list[SenderReport]:
    """The sender reports in an RTCP packet, compound or not; none in a damaged one."""
    try:
        packets = rtcp.parse(data)
    except MalformedPacket:
        return []
    return [one for one in packets if isinstance(one, SenderReport) and one.ntp >= _WORD]


def plausible_wall_s(
    timeline: "StreamTimeline", at_s: float, *, now_s: float, steady_s: float
) -> float:
    """When a place of the timeline was by the calendar: the sender's word, if it is plausible.
    `now_s` and `steady_s` are what this machine's clocks say."""
    own_s = now_s - (steady_s - at_s)
    sender_s = timeline.wall_s(at_s)
    is_trusted = sender_s is not None and abs(sender_s - own_s) < _TRUSTED_CLOCK_S
    return sender_s if sender_s is not None and is_trusted else own_s


class _Medium:
    """One medium's clock: where its timestamps lie on the timeline and on the wall."""

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self.ssrc = -1
        self.unwrapped = 0
        self.offset = 0
        self.arrived_s = 0.0
        # Wall time of the unwrapped timestamp zero, once a report gave it.
        self.wall_zero_s: float | None = None

    def follow(self, timestamp: int) -> int:
        """The timestamp without wraps, near the last one."""
        step = (timestamp - self.unwrapped) & 0xFFFFFFFF
        return self.unwrapped + (step - _WORD if step >= _WORD // 2 else step)

    def anchor(self, unwrapped: int, at_s: float) -> None:
        self.unwrapped = unwrapped
        self.offset = round(at_s * self.clock_hz) - unwrapped

    def seconds(self, unwrapped: int) -> float:
        return (unwrapped + self.offset) / self.clock_hz


class StreamTimeline:
    """Maps the timestamps of a stream's media, named by payload type, to common ticks.

    The first medium leads: a correction moves the others against it, never the leader.
    """

    def __init__(self, clocks_hz: dict[int, int]) -> None:
        self._media = {name: _Medium(clock_hz) for name, clock_hz in clocks_hz.items()}
        self._leader = next(iter(self._media.values()))
        # Timeline minus the sender's wall clock.
        self._base_s: float | None = None
        self._unknown: dict[int, SenderReport] = {}

    def place(self, name: int, ssrc: int, timestamp: int, now_s: float) -> Moment:
        """Where a medium's timestamp lies. RESTARTED: nothing links it to what came before."""
        medium = self._media[name]
        if ssrc != medium.ssrc:
            self._restart(medium, ssrc, timestamp, now_s)
            return Moment(medium.unwrapped + medium.offset, Continuity.RESTARTED)
        unwrapped = medium.follow(timestamp)
        media_s = (unwrapped - medium.unwrapped) / medium.clock_hz
        if abs(media_s - (now_s - medium.arrived_s)) > _ABSURD_S:
            self._restart(medium, ssrc, timestamp, now_s)
            return Moment(medium.unwrapped + medium.offset, Continuity.RESTARTED)
        medium.unwrapped, medium.arrived_s = unwrapped, now_s
        return Moment(unwrapped + medium.offset, Continuity.STEADY)

    def report(self, report: SenderReport) -> None:
        """Take a sender report. One for an unknown source is kept until its first packet."""
        for medium in self._media.values():
            if medium.ssrc == report.ssrc:
                self._apply(medium, report)
                return
        self._unknown.pop(report.ssrc, None)
        self._unknown[report.ssrc] = report
        if len(self._unknown) > _MOST_UNKNOWN_REPORTS:
            self._unknown.pop(next(iter(self._unknown)))

    def wall_s(self, at_s: float) -> float | None:
        """The sender's wall time at a place of the timeline; None before any report."""
        return None if self._base_s is None else at_s - self._base_s

    def _restart(self, medium: _Medium, ssrc: int, timestamp: int, now_s: float) -> None:
        medium.ssrc, medium.arrived_s, medium.wall_zero_s = ssrc, now_s, None
        medium.anchor(timestamp, now_s)
        known = self._unknown.pop(ssrc, None)
        if known is not None:
            self._apply(medium, known)

    def _apply(self, medium: _Medium, report: SenderReport) -> None:
        mapping = ClockMapping(report.ntp, report.timestamp, medium.clock_hz)
        latest = medium.unwrapped
        zero_s = mapping.wall_s_at(latest & 0xFFFFFFFF) - latest / medium.clock_hz
        known = medium.wall_zero_s
        medium.wall_zero_s = zero_s
        stepped = known is not None and abs(zero_s - known) > _CLOCK_STEP_S
        if self._base_s is None or stepped:
            self._rebase(medium, zero_s)
            return
        ahead_s = zero_s + self._base_s - medium.offset / medium.clock_hz
        if abs(ahead_s) > _ABSURD_S:
            self._rebase(medium, zero_s)
        elif abs(ahead_s) > _NOTICEABLE_S:
            if medium is not self._leader:
                medium.offset += round(ahead_s * medium.clock_hz)
                return
            self._base_s -= ahead_s
            for other in self._media.values():
                if other is not medium and other.wall_zero_s is not None:
                    other.offset = round((other.wall_zero_s + self._base_s) * other.clock_hz)

    def _rebase(self, medium: _Medium, zero_s: float) -> None:
        """Trust this report: the medium stays where it is, and later reports move the others."""
        self._base_s = medium.offset / medium.clock_hz - zero_s
        for other in self._media.values():
            if other is not medium:
                other.wall_zero_s = None
