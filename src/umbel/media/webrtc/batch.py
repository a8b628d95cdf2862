"""A stream's packets on their way to many viewers: headers are rewritten once, not per viewer.

In: a batch of the stream's packets. Out: the same with a viewer's payload types and sequence
numbers; viewers that want the same share it, which is nearly all of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from umbel.media.model import PayloadType
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.stream import LiveStream, Track
from umbel.media.webrtc.srtp import LONGEST_PACKET

# The kernel takes at most 64 equal segments and 64 KiB in one call.
_LONGEST_RUN = 40

Run = tuple[int, int]


class Rewrite(NamedTuple):
    """What differs between viewers: payload types (-1: not sent) and offsets below 65536."""

    video_type: int
    audio_type: int
    video_offset: int
    audio_offset: int


class Wire(NamedTuple):
    """Plain packets for a viewer, and the runs (start, stop) that one system call can send:
    all of one size, only the last of a run may be shorter."""

    packets: list[bytes]
    runs: tuple[Run, ...]


class Batch:
    """RTP packets of one stream in arrival order; reports are left out.

    `oldest_video` and `oldest_audio` are the lowest indices, None without any packet.
    """

    def __init__(self, packets: Sequence[bytes], stream: LiveStream) -> None:
        self.packets = [
            packet
            for packet in packets
            if not rtp.is_rtcp(packet) and len(packet) <= LONGEST_PACKET
        ]
        self.oldest_video: int | None = None
        self.oldest_audio: int | None = None
        for packet in self.packets:
            if is_audio(packet):
                self.oldest_audio = _older(self.oldest_audio, packet, stream.audio)
            else:
                self.oldest_video = _older(self.oldest_video, packet, stream.video)
        self._wires: dict[Rewrite, Wire] = {}

    def wire(self, rewrite: Rewrite) -> Wire:
        """The packets as viewers of this kind get them."""
        known = self._wires.get(rewrite)
        if known is None:
            packets = [out for p in self.packets if (out := _rewritten(p, rewrite)) is not None]
            known = self._wires[rewrite] = Wire(packets, runs_of(packets))
        return known


def is_audio(packet: bytes) -> bool:
    """Whether a packet of the platform is audio."""
    return rtp.payload_type(packet) == PayloadType.OPUS


def rewritten(packet: bytes, payload_type: int, offset: int, timestamp: bytes = b"") -> bytes:
    """The packet with another payload type, sequence number and perhaps timestamp."""
    second = packet[1] & 0x80 | payload_type
    sequence = (rtp.sequence_of(packet) + offset) & 0xFFFF
    head = bytes((0x80, second, sequence >> 8, sequence & 0xFF))
    return head + (timestamp or packet[4:8]) + packet[8:]


def runs_of(packets: Sequence[bytes]) -> tuple[Run, ...]:
    """Cut the packets into runs that one system call can send."""
    runs: list[Run] = []
    start = 0
    for at in range(1, len(packets) + 1):
        if at == len(packets) or not _continues(packets, start, at):
            runs.append((start, at))
            start = at
    return tuple(runs)


def _continues(packets: Sequence[bytes], start: int, at: int) -> bool:
    size = len(packets[start])
    is_full = len(packets[at - 1]) == size
    return is_full and len(packets[at]) <= size and at - start < _LONGEST_RUN


def _rewritten(packet: bytes, rewrite: Rewrite) -> bytes | None:
    if is_audio(packet):
        payload_type, offset = rewrite.audio_type, rewrite.audio_offset
    else:
        payload_type, offset = rewrite.video_type, rewrite.video_offset
    return rewritten(packet, payload_type, offset) if payload_type >= 0 else None


def _older(known: int | None, packet: bytes, track: Track) -> int:
    index = track.index_of(rtp.sequence_of(packet))
    return index if known is None else min(known, index)
