"""A stream's packets on their way to many viewers: headers are rewritten once, not per viewer.

In: a batch of the stream's packets. Out: the same with a viewer's payload types and sequence
numbers; viewers that want the same share it, which is nearly all of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

from umbel.media.model import PayloadType
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.stream import LiveStream
from umbel.media.webrtc.srtp import LONGEST_PACKET, NumberedPacket

# The kernel takes at most 64 equal segments and 64 KiB in one call.
_LONGEST_RUN = 40

VIDEO, AUDIO = 0, 1
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

    parts: list[NumberedPacket]
    runs: tuple[Run, ...]


class Batch:
    """RTP packets of one stream in arrival order; reports are left out.

    `oldest_video` and `oldest_audio` are the lowest indices, None without any packet;
    `video_end` is one more than the highest index of video.
    """

    def __init__(self, packets: Sequence[bytes], stream: LiveStream) -> None:
        self.video: list[bytes] = []
        self.audio: list[bytes] = []
        self._parts: list[NumberedPacket] = []
        for packet in packets:
            if not rtp.is_rtcp(packet) and len(packet) <= LONGEST_PACKET:
                self._add(packet, stream)
        self.oldest_video = self._oldest(VIDEO)
        self.oldest_audio = self._oldest(AUDIO)
        ends = [part.counter for part in self._parts if part.medium == VIDEO]
        self.video_end = max(ends) + 1 if ends else 0
        self._wires: dict[Rewrite, Wire] = {}

    def wire(self, rewrite: Rewrite) -> Wire:
        """The packets as viewers of this kind get them. Counters are those of the stream's
        indices raised by the offsets."""
        known = self._wires.get(rewrite)
        if known is None:
            parts = [out for one in self._parts if (out := _rewritten(one, rewrite)) is not None]
            sizes = [len(part.body) for part in parts]
            known = self._wires[rewrite] = Wire(parts, runs_of(sizes))
        return known

    def _add(self, packet: bytes, stream: LiveStream) -> None:
        is_audio = rtp.payload_type(packet) == PayloadType.OPUS
        track = stream.audio if is_audio else stream.video
        (self.audio if is_audio else self.video).append(packet)
        index = track.index_of(rtp.sequence_of(packet))
        header, body = packet[: rtp.HEADER_BYTES], packet[rtp.HEADER_BYTES :]
        self._parts.append(NumberedPacket(header, body, index, AUDIO if is_audio else VIDEO))

    def _oldest(self, medium: int) -> int | None:
        return min((part.counter for part in self._parts if part.medium == medium), default=None)


def rewritten(packet: bytes, payload_type: int, offset: int, timestamp: bytes = b"") -> bytes:
    """The packet with another payload type, sequence number and perhaps timestamp."""
    second = packet[1] & 0x80 | payload_type
    sequence = (rtp.sequence_of(packet) + offset) & 0xFFFF
    head = bytes((0x80, second, sequence >> 8, sequence & 0xFF))
    return head + (timestamp or packet[4:8]) + packet[8:]


def runs_of(sizes: Sequence[int]) -> tuple[Run, ...]:
    """Cut packets of these sizes into runs that one system call can send."""
    runs: list[Run] = []
    start = 0
    for at in range(1, len(sizes) + 1):
        if at == len(sizes) or not _continues(sizes, start, at):
            runs.append((start, at))
            start = at
    return tuple(runs)


def _continues(sizes: Sequence[int], start: int, at: int) -> bool:
    is_full = sizes[at - 1] == sizes[start]
    return is_full and sizes[at] <= sizes[start] and at - start < _LONGEST_RUN


def _rewritten(part: NumberedPacket, rewrite: Rewrite) -> NumberedPacket | None:
    """A part of the stream, whose counter is only its index, for a viewer."""
    header, body, index, medium = part
    payload_type = rewrite.audio_type if medium else rewrite.video_type
    if payload_type < 0:
        return None
    offset = rewrite.audio_offset if medium else rewrite.video_offset
    header = rewritten(header, payload_type, offset)
    counter = int.from_bytes(header[8:12], "big") << 48 | index + offset
    return NumberedPacket(header, body, counter, medium)
