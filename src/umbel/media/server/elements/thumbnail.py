"""A stream's newest small picture, made while somebody wants it.

In: the stream's packets, only until a key picture is whole. Out: JPEG of the last minute. A reader
has the next picture made, at most one each RENEW_S seconds: nobody reads, nothing is decoded.
"""

import asyncio
from dataclasses import dataclass

from umbel.media.model import PayloadType, Thumbnail
from umbel.media.ports import Packets
from umbel.media.rtp.depacketize import AccessUnit, H264Depacketizer
from umbel.media.rtp.feedback import PictureRequest
from umbel.media.rtp.packet import MalformedPacket, RtpPacket, payload_type
from umbel.media.server.elements.fan import Fan
from umbel.media.workers.thumbnailer import Thumbnailer

RENEW_S = 10.0
"""A newer picture is made after so many seconds."""

_STALE_S = 60.0
_AFTER_FAILURE_S = 60.0
# Encoders are asked for a key picture only where none comes by itself.
_PATIENCE_S = 3.0


@dataclass(frozen=True, kw_only=True)
class _Made:
    jpeg: bytes
    at_s: float


class LiveThumbnail:
    """One for each stream that comes in."""

    def __init__(self, fan: Fan, thumbnailer: Thumbnailer) -> None:
        self._fan = fan
        self._thumbnailer = thumbnailer
        self._made: _Made | None = None
        self._next_s = float("-inf")
        self._waiting_since_s = 0.0
        self._depacketizer: H264Depacketizer | None = None
        self._publication = 0
        self._task: asyncio.Task[None] | None = None

    def read(self, now_s: float) -> Thumbnail | None:
        """The newest picture, None while there is none of the last minute. Has one made if it is
        time."""
        if now_s >= self._next_s and self._depacketizer is None and self._task is None:
            self._depacketizer, self._waiting_since_s = H264Depacketizer(), now_s
            self._fan.attach(self)
        if self._made is None or now_s - self._made.at_s > _STALE_S:
            return None
        return Thumbnail(jpeg=self._made.jpeg, age_s=now_s - self._made.at_s)

    def tick(self, now_s: float) -> None:
        """Twice a second: ask the encoder when its next key picture is far away."""
        if self._depacketizer is not None and now_s - self._waiting_since_s > _PATIENCE_S:
            self._fan.feedback(PictureRequest(), now_s)

    def packets(self, batch: Packets, now_s: float) -> None:
        for packet in batch:
            if self._depacketizer is not None and payload_type(packet) == PayloadType.H264:
                self._push(packet, self._depacketizer, now_s)

    def reset(self) -> None:
        """Another publication began: what was made is not its picture."""
        self._publication += 1
        self._made, self._next_s = None, float("-inf")
        self._stop_waiting()

    async def close(self) -> None:
        """Nothing more is made."""
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _push(self, packet: bytes, depacketizer: H264Depacketizer, now_s: float) -> None:
        try:
            units = depacketizer.push(RtpPacket.parse(packet))
        except MalformedPacket:
            return
        key = next((unit for unit in units if unit.keyframe), None)
        if key is not None:
            self._stop_waiting()
            self._task = asyncio.create_task(self._make(key, now_s), name="thumbnail")

    async def _make(self, key: AccessUnit, now_s: float) -> None:
        publication = self._publication
        try:
            jpeg = await self._thumbnailer.make(key.units)
        finally:
            self._task = None
        if publication != self._publication:
            return
        self._next_s = now_s + (RENEW_S if jpeg else _AFTER_FAILURE_S)
        if jpeg:
            self._made = _Made(jpeg=jpeg, at_s=now_s)

    def _stop_waiting(self) -> None:
        self._depacketizer = None
        self._fan.detach(self)
