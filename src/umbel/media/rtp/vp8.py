"""VP8 in RTP (RFC 7741): the payload descriptor, and what a payload begins.

In: the payload of one packet; a frame. Out: values; payloads. Neighbours: gop.py, ingest/packer.py.
"""

from collections.abc import Iterator
from typing import NamedTuple

from umbel.media.rtp.begins import NOTHING, Begins
from umbel.media.rtp.packet import MalformedPacket

# The descriptor's first byte, its extension, and the length bit of the picture's id (section 4.2).
_EXTENDED, _START, _PARTITION = 0x80, 0x10, 0x07
_HAS_ID, _HAS_TL0, _HAS_LAYER, _HAS_KEY_INDEX, _LONG_ID = 0x80, 0x40, 0x20, 0x10, 0x80
# The first bit of a frame is 0 for a key picture (RFC 6386 section 9.1).
_INTER_FRAME = 0x01

_KEY = Begins(key_slice=True)


class Descriptor(NamedTuple):
    """`size` in bytes; `starts` a partition, whose number is `partition`: 0 begins the picture."""

    size: int
    starts: bool
    partition: int


def parse_descriptor(payload: bytes) -> Descriptor:
    """The descriptor in front of a payload. Raises MalformedPacket when it is cut short."""
    try:
        first, size = payload[0], 1
        if first & _EXTENDED:
            extension, size = payload[1], 2
            if extension & _HAS_ID:
                size += 2 if payload[size] & _LONG_ID else 1
            size += bool(extension & _HAS_TL0)
            size += bool(extension & (_HAS_LAYER | _HAS_KEY_INDEX))
    except IndexError:
        raise MalformedPacket("a VP8 payload descriptor is cut short") from None
    if size > len(payload):
        raise MalformedPacket("a VP8 payload descriptor is cut short")
    return Descriptor(size, bool(first & _START), first & _PARTITION)


def scan(payload: bytes) -> Begins:
    """What a VP8 payload begins; nothing in one that cannot be read. A key picture has all that
    its decoder needs: there are no parameter sets."""
    try:
        found = parse_descriptor(payload)
    except MalformedPacket:
        return NOTHING
    is_first = found.starts and found.partition == 0 and len(payload) > found.size
    return _KEY if is_first and not payload[found.size] & _INTER_FRAME else NOTHING


def payloads(frame: bytes, most_bytes: int) -> Iterator[bytes]:
    """A frame in payloads of at most `most_bytes`, each with the shortest descriptor. Partitions
    are not told apart, which section 4.2 leaves to the sender."""
    step = most_bytes - 1
    for at in range(0, len(frame), step):
        yield bytes((0 if at else _START,)) + frame[at : at + step]
