"""How often key pictures come in a stream of RTP packets. Pure.

In: RTP packets of the platform (H.264, RFC 6184). Out: the interval in seconds by the stream's own
timestamps (90 kHz). A viewer of a stream with a long interval starts slowly, and its HLS segments
are long. Neighbours: rtp/h264_payload.py finds the key pictures, the ingest endpoint shows it.
"""

import struct
from collections import deque
from collections.abc import Sequence

from umbel.media.model import VIDEO_CLOCK_HZ, PayloadType
from umbel.media.rtp import h264_payload
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.packet import MalformedPacket

# The longest of these counts: an encoder also makes key pictures in between, at a change of scene.
_RECENT = 4
# Until the first interval is over, only a picture that is older than this says something.
_OPEN_S = 10.0
# A longer jump of timestamps (RFC 3550, 32 bits) is another time scale or a pause, not an interval.
_LONGEST_S = 3600.0


class KeyPictureMeter:
    """Measures one stream: a PacketSink."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._key: int | None = None
        self._latest = 0

    def packets(self, batch: Sequence[bytes], _now_s: float = 0.0) -> None:
        """Take packets in order; those that are not H.264 are ignored."""
        for packet in batch:
            if len(packet) <= rtp.HEADER_BYTES or packet[1] & 0x7F != PayloadType.H264:
                continue
            (self._latest,) = struct.unpack_from("!I", packet, 4)
            begins = h264_payload.scan(packet[_payload_at(packet) :])
            if begins.key_slice and self._latest != self._key:
                if self._key is not None:
                    self._recent.append(self._age_s)
                self._key = self._latest

    def reset(self) -> None:
        """Another encoder begins."""
        self._recent.clear()
        self._key = None

    @property
    def interval_s(self) -> float:
        """The longest of the last intervals, the present one included; 0 while it is not known."""
        longest = max(self._recent, default=0.0)
        is_open = bool(self._recent) or self._age_s > _OPEN_S
        return max(longest, self._age_s) if is_open else longest

    @property
    def _age_s(self) -> float:
        if self._key is None:
            return 0.0
        age_s = ((self._latest - self._key) & 0xFFFFFFFF) / VIDEO_CLOCK_HZ
        return age_s if age_s < _LONGEST_S else 0.0


def _payload_at(packet: bytes) -> int:
    try:
        return rtp.payload_offset(packet)
    except MalformedPacket:
        return len(packet)
