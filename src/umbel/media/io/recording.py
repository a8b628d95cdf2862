"""The recording of one stream, in process and in memory, until the control plane has pulled it.

In: the stream's packets. Out: answers to pulls, which wait for the next whole segment. Neighbours:
hls/ cuts, record/ keeps and writes down, the media server's HTTP calls `pull`.
"""

import secrets

import structlog

from umbel.kit.clock import Clock
from umbel.kit.signal import Signal
from umbel.media.hls.muxer import Muxer
from umbel.media.hls.segmenter import SegmenterEvent
from umbel.media.model import Pulled
from umbel.media.ports import Packets
from umbel.media.record.buffer import KEPT, Bounds, SegmentBuffer

log = structlog.get_logger(__name__)

WAIT_S = 10.0
"""How long a pull waits for a segment."""
IDLE_S = 4.0
"""Silence after which the open segment ends: longer than what the segmenter calls a stall."""
_BOOT_BYTES = 12


class Recording:
    """A PacketSink. Lives on one event loop."""

    def __init__(self, stream: str, clock: Clock, bounds: Bounds = KEPT) -> None:
        self._stream = stream
        self._clock = clock
        self._muxer = Muxer()
        self._buffer = SegmentBuffer(secrets.token_urlsafe(_BOOT_BYTES), bounds)
        self._is_idle = True
        self._grown = Signal()
        self._reported = 0

    @property
    def dropped(self) -> int:
        """How many segments nobody pulled in time."""
        return self._buffer.dropped

    @property
    def unpulled(self) -> int:
        """How many whole segments were not acknowledged yet."""
        return self._buffer.unpulled

    @property
    def is_over(self) -> bool:
        """Whether no more packets are taken."""
        return self._buffer.is_over

    @property
    def is_held(self) -> bool:
        """Whether only the open segment is kept."""
        return self._buffer.is_held

    def hold(self, *, is_held: bool) -> None:
        """Keep the open segment alone, or segments from that on."""
        self._buffer.is_held = is_held

    @property
    def stored_bytes(self) -> int:
        """How much media is kept in memory."""
        return self._buffer.stored_bytes

    def packets(self, batch: Packets, now_s: float) -> None:
        """Take packets. After `end` they are ignored."""
        if not self._buffer.is_over:
            self._is_idle = False
            self._add(self._muxer.packets(batch, now_s))

    def tick(self, now_s: float) -> None:
        """Now and then: end the segment that does not grow any more."""
        if not self._is_idle and now_s - self._muxer.segmenter.heard_s > IDLE_S:
            self._is_idle = True
            self._add(self._muxer.end())
        if self.dropped > self._reported:
            log.warning("segments dropped", stream=self._stream, dropped=self.dropped)
            self._reported = self.dropped

    def end(self) -> None:
        """The stream is over. What there is can still be pulled."""
        if not self._buffer.is_over:
            self._add(self._muxer.end())
            self._buffer.end()
            self._grown.notify()

    async def pull(self, after: int, boot: str) -> Pulled:
        """Forget what is acknowledged, and give what comes after it: waits for some, up to
        WAIT_S."""
        number = self._buffer.acknowledge(boot, after)
        give_up_s = self._clock.monotonic_s() + WAIT_S
        while not (self._buffer.has_after(number) or self._buffer.is_over):
            left_s = give_up_s - self._clock.monotonic_s()
            if left_s <= 0 or not await self._grown.listen().wait(left_s):
                break
        return self._buffer.after(number)

    def _add(self, events: list[SegmenterEvent]) -> None:
        if events:
            self._buffer.add(events, self._wall_s)
            self._grown.notify()

    def _wall_s(self, at_s: float) -> float:
        clock = self._clock
        return self._muxer.wall_s(at_s, now_s=clock.now_s(), steady_s=clock.monotonic_s())
