"""RTP packets (RFC 3550 section 5.1): bytes in, fields out, and back."""

import struct
from dataclasses import dataclass

from umbel.kit.errors import Invalid

HEADER_BYTES = 12
_HEADER = struct.Struct("!BBHII")


class MalformedPacket(Invalid):
    """The bytes are not a packet of this protocol."""

    code = "umbel.malformed_packet"


def is_rtcp(data: bytes) -> bool:
    """Whether a packet on a multiplexed port is RTCP (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def payload_type(data: bytes) -> int:
    """The payload type of an RTP packet, unchecked: for the fast path."""
    return data[1] & 0x7F


def sequence_of(data: bytes) -> int:
    """The sequence number of an RTP packet, unchecked: for the fast path."""
    return data[2] << 8 | data[3]


def ssrc_of(data: bytes) -> int:
    """The source of an RTP packet, unchecked: for the fast path."""
    return int.from_bytes(data[8:12], "big")


def timestamp_of(data: bytes) -> int:
    """The timestamp of an RTP packet, unchecked: for the fast path."""
    return int.from_bytes(data[4:8], "big")


def sequence_ahead(later: int, earlier: int) -> int:
    """How far 16-bit `later` is ahead of `earlier`, between -32768 and 32767."""
    return ((later - earlier + 0x8000) & 0xFFFF) - 0x8000


def timestamp_ahead(later: int, earlier: int) -> int:
    """How far 32-bit `later` is ahead of `earlier`, between -2**31 and 2**31 - 1."""
    return ((later - earlier + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def build_header(second: int, sequence: int, timestamp: int, ssrc: int) -> bytes:
    """A plain 12-byte header; `second` is the marker bit (128) with the payload type."""
    return _HEADER.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """One packet without its extensions, contributing sources and padding.

    `sequence` 16 bit, `timestamp` 32 bit in the payload's clock, `ssrc` 32 bit.
    """

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """Read a packet. Raises MalformedPacket."""
        if len(data) < HEADER_BYTES or data[0] >> 6 != 2:
            raise MalformedPacket("not an RTP packet: short, or not version 2")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        return cls(
            payload_type=second & 0x7F,
            marker=bool(second & 0x80),
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=data[payload_offset(data) : _payload_end(data, first)],
        )

    def build(self) -> bytes:
        """The packet's bytes, with the plain 12-byte header."""
        second = (0x80 if self.marker else 0) | self.payload_type
        header = _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc)
        return header + self.payload


def payload_offset(data: bytes) -> int:
    """Where the payload starts: after contributing sources and a header extension."""
    offset = HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < offset + 4:
            raise MalformedPacket("the header extension is cut short")
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
    if offset > len(data):
        raise MalformedPacket("the header is longer than the packet")
    return offset


def _payload_end(data: bytes, first: int) -> int:
    if not first & 0x20:
        return len(data)
    end = len(data) - data[-1]
    if data[-1] == 0 or end < payload_offset(data):
        raise MalformedPacket("the padding is longer than the payload")
    return end
