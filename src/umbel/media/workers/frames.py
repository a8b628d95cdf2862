"""What the server read of an FLV payload, on its way to the worker: values to bytes, and back.

A frame is a header of 16 bytes (network order: bytes behind the header, FLV tag kind, part, key
picture or not, bytes of the codec's name, timestamp in ms, offset from decoding to showing in ms),
the codec's name and the coded data. So no payload is parsed twice. A block is bytes behind their
length (32 bit).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from umbel.media.ingest.flv import FlvMedia, PayloadKind

_HEADER = struct.Struct("!IBBBBIi")
_PARTS = tuple(PayloadKind)
_LENGTH = struct.Struct("!I")
STREAM_KINDS = frozenset({"flv", "thumbnails", "aac", "speech"})
"""Kinds of input that are a stream of bytes; the others are datagrams."""

PROGRESS = b"-"
"""What a worker that recognises speech sends for every second of sound that it has worked on."""


class TimedMedia(NamedTuple):
    """A payload taken apart, `kind` as in flv.Tag, and its `timestamp_ms` (32 bit)."""

    kind: int
    timestamp_ms: int
    media: FlvMedia

    def build(self) -> bytes:
        """The frame's bytes."""
        media, codec = self.media, self.media.codec.encode()
        size = len(codec) + len(media.data)
        part = _PARTS.index(media.part)
        head = (size, self.kind, part, media.key, len(codec), self.timestamp_ms, media.offset_ms)
        return b"".join((_HEADER.pack(*head), codec, media.data))


class FrameReader:
    """Finds the frames in a stream of bytes, however it is cut. Trusts the server that wrote it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[TimedMedia]:
        """The frames that are complete now."""
        self._data += data
        while len(self._data) >= _HEADER.size:
            size, kind, part, key, named, timestamp_ms, offset_ms = _HEADER.unpack_from(self._data)
            start, end = _HEADER.size + named, _HEADER.size + size
            if len(self._data) < end:
                return
            media = FlvMedia(
                codec=self._data[_HEADER.size : start].decode(),
                part=_PARTS[part],
                data=bytes(self._data[start:end]),
                key=bool(key),
                offset_ms=offset_ms,
            )
            del self._data[:end]
            yield TimedMedia(kind, timestamp_ms, media)


def build_block(data: bytes) -> bytes:
    """The data behind their length."""
    return _LENGTH.pack(len(data)) + data


class BlockReader:
    """Finds the blocks in a stream of bytes, however it is cut. Trusts the server that wrote it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The blocks that are complete now."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                return
            block = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            yield block
