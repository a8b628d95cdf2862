"""NAL units of H.264 (ITU-T H.264 7.3, 7.4.1): their types, how they are framed, slice types.

In: network abstraction layer units (NAL units), a byte stream, or units behind their lengths. Out:
units. Nothing is decoded. Neighbours: sps.py reads parameter sets; depacketize.py, hls, ingest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from umbel.media.rtp.bits import BitReader, MalformedVideo, unescape

SLICE, IDR, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9
END_OF_SEQUENCE, END_OF_STREAM, FILLER = 10, 11, 12
_STAP_A = 24
_SLICE_HEADER_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfiguration:
    """An `avcC` record (ISO/IEC 14496-15 section 5.3.3): how NAL units are framed, and the sets."""

    length_bytes: int
    sets: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> "DecoderConfiguration":
        """Read a record. Raises MalformedVideo."""
        if len(data) < 7 or data[0] != 1:
            raise MalformedVideo("not an H.264 decoder configuration")
        sets: list[bytes] = []
        at = _take_sets(data, 6, data[5] & 0x1F, sets)
        if at < len(data):
            _take_sets(data, at + 1, data[at], sets)
        return cls(length_bytes=(data[4] & 3) + 1, sets=tuple(sets))


def _take_sets(data: bytes, at: int, count: int, sets: list[bytes]) -> int:
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(data):
            raise MalformedVideo("a parameter set is cut short")
        sets.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return at


def nal_type(nal: bytes) -> int:
    """nal_unit_type, 0 for an empty unit."""
    return nal[0] & 0x1F if nal else 0


def is_key(nals: Sequence[bytes]) -> bool:
    """Whether decoding can start at this access unit."""
    return any(nal_type(nal) == IDR for nal in nals)


def set_key(nal: bytes) -> tuple[int, int]:
    """Which parameter set it is: its type and id. SPS sort before PPS. Raises MalformedVideo."""
    kind = nal_type(nal)
    reader = BitReader(unescape(nal[1:_SLICE_HEADER_BYTES]))
    if kind == SPS:
        reader.bits(24)
    return kind, reader.unsigned()


def split_start_codes(data: bytes) -> list[bytes]:
    """NAL units of a byte stream (annex B)."""
    nals = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        end = data.find(b"\x00\x00\x01", at + 3)
        # Zeros before the next start code belong to it; a NAL unit never ends in one (7.4.1).
        nal = data[at + 3 : end if end >= 0 else len(data)].rstrip(b"\x00")
        if nal:
            nals.append(nal)
        at = end
    return nals


def split_lengths(data: bytes, length_bytes: int) -> list[bytes]:
    """NAL units behind their lengths (`avc` framing). Raises MalformedVideo."""
    nals, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if at + size > len(data):
            raise MalformedVideo("a NAL unit is cut short")
        if size:
            nals.append(data[at : at + size])
        at += size
    return nals


def join_start_codes(nals: Sequence[bytes]) -> bytes:
    """The byte stream of an access unit."""
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)


def has_b_slice(nals: Sequence[bytes]) -> bool:
    """Whether a slice of the access unit is predicted from both sides (slice_type 1 or 6)."""
    for nal in nals:
        if nal_type(nal) == SLICE:
            reader = BitReader(unescape(nal[1:_SLICE_HEADER_BYTES]))
            reader.unsigned()
            if reader.unsigned() % 5 == 1:
                return True
    return False


def sps_in(payload: bytes) -> bytes | None:
    """The SPS that an RTP payload (RFC 6184) carries whole: alone, or in a STAP-A."""
    if nal_type(payload) == SPS:
        return payload
    if nal_type(payload) != _STAP_A:
        return None
    at = 1
    while at + 2 <= len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if nal_type(unit) == SPS and len(unit) == size:
            return unit
        at += 2 + size
    return None
