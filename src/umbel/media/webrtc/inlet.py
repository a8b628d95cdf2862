"""One source of a publisher: order restored, gaps found, reception measured (RFC 3550).

In: RTP packets as they came, repaired ones too. Out: packets in order, the numbers to ask for
again, and report blocks. A gap is waited for a moment, then given up.
"""

from umbel.media.rtp import packet as rtp
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import ReportBlock, SenderReport

WAIT_S = 0.2
_ASK_AFTER_S = 0.01
_ASK_AGAIN_S = 0.05
_MOST_HELD = 512
_MOST_ASKED = 128
_RESTART_AHEAD = 3000


class Inlet:
    """One SSRC. Sequence numbers are unwrapped to indices inside."""

    def __init__(self, ssrc: int, clock_hz: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.given_up = 0
        self._clock_hz = clock_hz
        self._first: int | None = None
        self._next = 0
        self._highest = 0
        self._held: dict[int, RtpPacket] = {}
        self._missing: dict[int, tuple[float, float]] = {}
        self._transit: float | None = None
        self._jitter = 0.0
        self._last_report: tuple[int, float] | None = None
        self._expected_before = 0
        self._received_before = 0

    @property
    def is_waiting(self) -> bool:
        """Whether packets are held for missing ones."""
        return bool(self._held)

    def admit(self, packet: RtpPacket, now_s: float, *, is_repair: bool = False) -> list[RtpPacket]:
        """Take a packet; those that are in order now."""
        index = self._index(packet.sequence)
        if self._first is None or abs(index - self._highest) > _RESTART_AHEAD:
            self._begin(packet.sequence)
            index = self._next
        if index < self._next or index in self._held:
            return []
        self.received += 1
        if not is_repair:
            self._measure(packet, now_s)
        self._missing.pop(index, None)
        for lost in range(self._highest + 1, index):
            self._missing[lost] = (now_s, now_s + _ASK_AFTER_S)
        self._highest = max(self._highest, index)
        self._held[index] = packet
        if len(self._held) > _MOST_HELD:
            self._skip_to(min(self._held))
        return self._ready()

    def late(self, now_s: float) -> list[RtpPacket]:
        """Packets that waited long enough for those before them."""
        out: list[RtpPacket] = []
        while self._held and now_s - self._missing_since(now_s) >= WAIT_S:
            self._skip_to(min(self._held))
            out += self._ready()
        return out

    def wanted(self, now_s: float) -> tuple[int, ...]:
        """The sequence numbers to ask for now."""
        due = [index for index, (_, ask_s) in self._missing.items() if now_s >= ask_s]
        for index in due[:_MOST_ASKED]:
            self._missing[index] = (self._missing[index][0], now_s + _ASK_AGAIN_S)
        return tuple(index & 0xFFFF for index in due[:_MOST_ASKED])

    def reported(self, report: SenderReport, now_s: float) -> None:
        """Remember when the source's last report came."""
        self._last_report = (report.ntp >> 16 & 0xFFFFFFFF, now_s)

    def block(self, now_s: float) -> ReportBlock:
        """The report on this source since the last one (RFC 3550 section 6.4.1)."""
        expected = self._highest - (self._first or 0) + 1 if self._first is not None else 0
        expected_now = expected - self._expected_before
        lost_now = max(0, expected_now - (self.received - self._received_before))
        self._expected_before, self._received_before = expected, self.received
        last_sr, heard_s = self._last_report or (0, now_s)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, 256 * lost_now // expected_now) if expected_now > 0 else 0,
            packets_lost=expected - self.received,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=last_sr,
            delay_since_sr=round((now_s - heard_s) * 65536),
        )

    def _index(self, sequence: int) -> int:
        return self._highest + rtp.sequence_ahead(sequence, self._highest)

    def _begin(self, sequence: int) -> None:
        self._first = self._next = sequence
        self._highest = sequence - 1
        self.received = self._expected_before = self._received_before = 0
        self._held.clear()
        self._missing.clear()

    def _ready(self) -> list[RtpPacket]:
        out: list[RtpPacket] = []
        while self._next in self._held:
            out.append(self._held.pop(self._next))
            self._next += 1
        return out

    def _skip_to(self, index: int) -> None:
        for lost in range(self._next, index):
            self.given_up += 1
            self._missing.pop(lost, None)
        self._next = index

    def _missing_since(self, now_s: float) -> float:
        return self._missing.get(self._next, (now_s, 0.0))[0]

    def _measure(self, packet: RtpPacket, now_s: float) -> None:
        """Interarrival jitter (RFC 3550 appendix A.8)."""
        transit = now_s * self._clock_hz - packet.timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._clock_hz:  # else the timestamp wrapped or restarted
                self._jitter += (change - self._jitter) / 16
        self._transit = transit
