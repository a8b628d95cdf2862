"""How many pictures a second come in, and how many are left out. Pure.

In: RTP packets of the platform (H.264, RFC 6184). Out: rates by the stream's own timestamps
(90 kHz). An encoder whose connection or machine is too slow leaves pictures out: their times are
missing in an otherwise even row. Neighbour: the ingest endpoint shows it.
"""

from collections import deque
from collections.abc import Sequence
from statistics import median

from umbel.media.model import VIDEO_CLOCK_HZ, PayloadType
from umbel.media.rtp import packet as rtp

_WINDOW = 10 * VIDEO_CLOCK_HZ
_MOST = 1_500
_ENOUGH = 20
# A longer jump is a pause or another time scale.
_LONGEST = 2 * VIDEO_CLOCK_HZ
# So much of a usual step, or of the picture's place in the row, is even enough.
_EVEN = 0.75


class FrameRateMeter:
    """Measures one stream over its last ten seconds: a PacketSink."""

    def __init__(self) -> None:
        self._steps: deque[int] = deque()
        self._span = 0
        self._latest: int | None = None

    def packets(self, batch: Sequence[bytes], _now_s: float = 0.0) -> None:
        """Take packets in order; those that are not H.264 are ignored."""
        for packet in batch:
            if len(packet) > rtp.HEADER_BYTES and rtp.payload_type(packet) == PayloadType.H264:
                self._picture(rtp.timestamp_of(packet))

    def reset(self) -> None:
        """Another encoder begins."""
        self._steps.clear()
        self._span, self._latest = 0, None

    @property
    def fps(self) -> float:
        """Pictures a second, 0 while it is not known."""
        return len(self._steps) * VIDEO_CLOCK_HZ / self._span if self._is_known else 0.0

    @property
    def missing(self) -> float:
        """The share of pictures that were left out, from 0 to 1: by the gaps of a row that is
        otherwise even. A row that is not says nothing, and gives 0."""
        if not self._is_known:
            return 0.0
        usual = median(self._steps)
        multiples = [step / usual for step in self._steps]
        if any(times < _EVEN or abs(times - round(times)) > 1 - _EVEN for times in multiples):
            return 0.0
        left_out = sum(round(times) - 1 for times in multiples)
        return left_out / (left_out + len(self._steps))

    @property
    def _is_known(self) -> bool:
        return len(self._steps) >= _ENOUGH

    def _picture(self, timestamp: int) -> None:
        before, self._latest = self._latest, timestamp
        step = 0 if before is None else (timestamp - before) & 0xFFFFFFFF
        if step == 0:
            return
        if step > _LONGEST:
            # Back, or far ahead: what was measured before says nothing about what comes.
            self.reset()
            self._latest = timestamp
            return
        self._steps.append(step)
        self._span += step
        while self._span > _WINDOW or len(self._steps) > _MOST:
            self._span -= self._steps.popleft()
