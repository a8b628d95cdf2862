"""Key-picture cache: every packet since the last key picture began, of H.264 or VP8.

In: plain RTP packets (12-byte header) in order. Out: a copy of what a decoder needs to show the
present picture. Bounded; a group of pictures that is too long is not kept. A codec is a function
that tells what a payload begins.
"""

from collections.abc import Callable, Mapping

from umbel.media.model import PayloadType
from umbel.media.rtp import h264_payload, vp8
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.begins import NOTHING, Begins

_SCANS: Mapping[int, Callable[[bytes], Begins]] = {
    PayloadType.H264: h264_payload.scan,
    PayloadType.VP8: vp8.scan,
}


def begins(packet: bytes) -> Begins | None:
    """What of a key picture an RTP packet begins; None: it is not of a codec that is known."""
    scan = _SCANS.get(rtp.payload_type(packet))
    return None if scan is None else scan(packet[rtp.HEADER_BYTES :])


class GopCache:
    """Keeps the packets since the last key picture, at most `most_packets` and `most_bytes`."""

    def __init__(self, *, most_packets: int = 2048, most_bytes: int = 4_000_000) -> None:
        self._most_packets = most_packets
        self._most_bytes = most_bytes
        self._packets: list[bytes] = []
        self._bytes = 0
        self._key_time: bytes | None = None
        self._parameters_time: bytes | None = None
        self._parameters_at = 0
        self._checked_packets, self._checked = 0, False

    @property
    def has_key(self) -> bool:
        """Whether a key picture is kept, with or without all that followed."""
        return self._key_time is not None

    @property
    def is_filled(self) -> bool:
        """Whether a key picture is kept, and no packet since then is missing."""
        return self._key_time is not None and self._is_whole()

    @property
    def packets(self) -> tuple[bytes, ...]:
        """The packets since the last key picture began; none before the first one, and none while
        one is missing: a receiver would wait for what nobody has."""
        return tuple(self._packets) if self.is_filled else ()

    def add(self, packet: bytes) -> Begins:
        """Take the next packet, and tell what of a key picture it begins. Other codecs' packets are
        not kept."""
        begun = begins(packet)
        if begun is None or self._is_older(packet):
            return NOTHING
        time = packet[4:8]
        if begun.parameters and time != self._parameters_time:
            self._parameters_time = time
            self._parameters_at = len(self._packets)
        if begun.key_slice and time != self._key_time:
            self._begin(time)
        elif self._key_time is None and time != self._parameters_time:
            return begun
        self._packets.append(packet)
        self._bytes += len(packet)
        if len(self._packets) > self._most_packets or self._bytes > self._most_bytes:
            self.clear()
        return begun

    def clear(self) -> None:
        """Forget everything; the cache fills again from the next key picture."""
        self._packets.clear()
        self._bytes = 0
        self._key_time = self._parameters_time = None
        self._parameters_at = self._checked_packets = 0

    def _is_whole(self) -> bool:
        if self._checked_packets != len(self._packets):
            first = rtp.sequence_of(self._packets[0])
            span = max(rtp.sequence_ahead(rtp.sequence_of(p), first) for p in self._packets)
            self._checked_packets, self._checked = len(self._packets), span < len(self._packets)
        return self._checked

    def _is_older(self, packet: bytes) -> bool:
        """Whether the network brought the packet after the key picture that follows it."""
        if not self._packets:
            return False
        first = rtp.sequence_of(self._packets[0])
        return rtp.sequence_ahead(rtp.sequence_of(packet), first) < 0

    def _begin(self, time: bytes) -> None:
        # The parameter sets came earlier in the same access unit; without any the slice begins it.
        start = self._parameters_at if self._parameters_time == time else len(self._packets)
        del self._packets[:start]
        self._bytes = sum(map(len, self._packets))
        self._parameters_at = self._checked_packets = 0
        self._key_time = time
