"""RTMP chunk streams (Adobe RTMP 1.0 section 5.3): bytes in, whole messages out.

Bounded in memory whatever a peer sends, and exact about time: extended stamps, deltas and what a
header-less chunk inherits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from umbel.kit.errors import Invalid

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW = 1, 2, 3, 4, 5
AUDIO, VIDEO, DATA_AMF3, COMMAND_AMF3, DATA, COMMAND, AGGREGATE = 8, 9, 15, 17, 18, 20, 22
_FIRST_CHUNK_BYTES = 128
_MOST_STREAMS = 64
_MOST_CHUNK_BYTES = 0xFFFFFF
_EXTENDED = 0xFFFFFF
_HEADER_BYTES = (11, 7, 3, 0)


class MalformedRtmp(Invalid):
    """The bytes are not RTMP."""

    code = "umbel.malformed_rtmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A whole message. `timestamp_ms` 32 bit, absolute."""

    kind: int
    stream_id: int
    timestamp_ms: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    """What a chunk stream's next chunk inherits."""

    timestamp_ms: int = 0
    delta_ms: int = 0
    extended_ms: int | None = None
    length: int = 0
    kind: int = 0
    stream_id: int = 0
    body: bytearray = field(default_factory=bytearray)


class _Incomplete(Exception):
    """The rest of the chunk has not come yet."""


class ChunkReader:
    """One per connection, fed after the handshake.

    `most_bytes` bounds what it keeps: the unfinished messages of all chunk streams together.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._data = bytearray()
        self._at = 0
        self._streams: dict[int, _ChunkStream] = {}
        self._chunk_bytes = _FIRST_CHUNK_BYTES

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. Raises MalformedRtmp."""
        self._data += data
        begin = 0
        try:
            while True:
                begin = self._at
                message = self._chunk()
                if message is not None and not self._controls(message):
                    yield message
        except _Incomplete:
            del self._data[:begin]
            self._at = 0

    def _chunk(self) -> Message | None:
        """Read a chunk; answers the message that it completes. Changes streams only when whole."""
        first = self._take(1)[0]
        shape, number = first >> 6, first & 0x3F
        if number < 2:
            number = 64 + int.from_bytes(self._take(number + 1), "little")
        stream = self._stream(number, shape)
        header = self._take(_HEADER_BYTES[shape])
        length = int.from_bytes(header[3:6], "big") if shape < 2 else stream.length
        if length + self._held_bytes(but=stream) > self.most_bytes:
            raise MalformedRtmp(f"unfinished messages of more than {self.most_bytes} bytes")
        step_ms, extended_ms = self._time(stream, shape, header)
        # A header in the middle of a message starts it again.
        begun = shape == 3 and bool(stream.body)
        rest = length - len(stream.body) if begun else length
        piece = self._take(min(self._chunk_bytes, rest))
        if not begun:
            stream.body.clear()
            stream.extended_ms, stream.length = extended_ms, length
            _begin(stream, shape, header, step_ms)
        stream.body += piece
        return self._finish(stream) if len(stream.body) == length else None

    def _held_bytes(self, *, but: _ChunkStream) -> int:
        return sum(one.length for one in self._streams.values() if one.body and one is not but)

    def _stream(self, number: int, shape: int) -> _ChunkStream:
        stream = self._streams.get(number)
        if stream is None:
            if shape != 0:
                raise MalformedRtmp("a chunk inherits from a header that was never sent")
            if len(self._streams) >= _MOST_STREAMS:
                raise MalformedRtmp("too many chunk streams")
            stream = self._streams[number] = _ChunkStream()
        return stream

    def _time(self, stream: _ChunkStream, shape: int, header: bytes) -> tuple[int, int | None]:
        """The stamp or step, and the extended one when there is."""
        if shape == 3:
            if stream.extended_ms is None:
                return stream.delta_ms, None
            # Some encoders leave the extended stamp out of header-less chunks: then it is body.
            if int.from_bytes(self._take(4), "big") != stream.extended_ms:
                self._at -= 4
            return stream.delta_ms, stream.extended_ms
        step_ms = int.from_bytes(header[:3], "big")
        if step_ms != _EXTENDED:
            return step_ms, None
        step_ms = int.from_bytes(self._take(4), "big")
        return step_ms, step_ms

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _Incomplete
        piece = bytes(self._data[self._at : end])
        self._at = end
        return piece

    def _finish(self, stream: _ChunkStream) -> Message:
        payload = bytes(stream.body)
        stream.body.clear()
        return Message(
            kind=stream.kind,
            stream_id=stream.stream_id,
            timestamp_ms=stream.timestamp_ms,
            payload=payload,
        )

    def _controls(self, message: Message) -> bool:
        """Obey a message about chunks themselves."""
        if message.kind not in {SET_CHUNK_SIZE, ABORT}:
            return False
        value = int.from_bytes(message.payload[:4], "big")
        if message.kind == ABORT:
            if value in self._streams:
                self._streams[value].body.clear()
        elif not 1 <= value <= _MOST_CHUNK_BYTES:
            raise MalformedRtmp("an impossible chunk size")
        else:
            self._chunk_bytes = value
        return True


def _begin(stream: _ChunkStream, shape: int, header: bytes, step_ms: int) -> None:
    if shape == 0:
        stream.timestamp_ms, stream.delta_ms = step_ms, 0
        stream.stream_id = int.from_bytes(header[7:11], "little")
    else:
        stream.delta_ms = step_ms
        stream.timestamp_ms = (stream.timestamp_ms + step_ms) & 0xFFFFFFFF
    if shape < 2:
        stream.kind = header[6]
