"""A publisher's RTMP connection without I/O (Adobe RTMP 1.0): bytes in, events and bytes out.

Its owner has the socket and the clock (docs/decisions/0051). The only module with pyrtmp, which
writes what we answer; what comes in is read by our own chunk and AMF readers: pyrtmp's lose time
stamps and know no strict arrays. What a peer can make us keep is bounded: a few kilobytes before
`publish`, one message after it.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from bitstring import BitStream
from pyrtmp.amf.serializers import AMF0Serializer
from pyrtmp.messages import Chunk
from pyrtmp.messages.protocol_control import (
    Acknowledgement,
    SetChunkSize,
    SetPeerBandwidth,
    WindowAcknowledgementSize,
)
from pyrtmp.messages.user_control import StreamBegin

from umbel.media.ingest import amf, chunks, flv
from umbel.media.ingest.chunks import ChunkReader, MalformedRtmp, Message
from umbel.media.ingest.flv import Tag

_VERSION = 3
_HELLO_BYTES = 1 + 1536
_ECHO_BYTES = 1536
_CHUNK_BYTES = 4096
_WINDOW_BYTES = 2_500_000
_EARLY_BYTES = 8_192
_MOST_BYTES = 8_000_000
_KEY_WITHIN_S = 3.0
_SILENT_S = 10.0
_COMMAND_STREAM = 3
_MEDIA_STREAM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequested:
    """The peer wants to publish with this stream key: answer with `accept` or `refuse`."""

    key: str


class PublishEnded:
    """The peer stopped publishing; the connection may go on."""


Event = PublishRequested | PublishEnded | Tag


class RtmpSession:
    """One encoder's connection. `is_over`: close it when what is to be sent is sent."""

    def __init__(self, now_s: float) -> None:
        self._hello = bytearray()
        self._skips = 0
        self._chunks = ChunkReader(most_bytes=_EARLY_BYTES)
        self._out: list[bytes] = []
        self._window_bytes = _WINDOW_BYTES
        self._received_bytes = 0
        self._acknowledged_bytes = 0
        self._connected = False
        self._deadline_s = now_s + _KEY_WITHIN_S
        self.is_publishing = False
        self.is_over = False

    def feed(self, data: bytes, now_s: float) -> Iterator[Event]:
        """What happened. Answer each event before the next one. Raises MalformedRtmp, MalformedAmf,
        MalformedFlv: the connection is of no use any more."""
        self._received_bytes += len(data)
        if self.is_publishing:
            self._deadline_s = now_s + _SILENT_S
        for message in self._chunks.feed(self._after_handshake(data)):
            if self.is_over:
                return
            yield from self._message(message, now_s)
        if self._received_bytes - self._acknowledged_bytes >= self._window_bytes // 2:
            self._acknowledged_bytes = self._received_bytes
            self._send(Acknowledgement(seq_number=self._received_bytes & 0xFFFFFFFF))

    def bytes_to_send(self) -> bytes:
        """What is to be sent now. Handed out once."""
        out, self._out = self._out, []
        return b"".join(out)

    def next_deadline_s(self) -> float:
        """When the peer has been waited for long enough: for a key, or for more of its stream."""
        return self._deadline_s

    def handle_timer(self, now_s: float) -> None:
        """End the session when its deadline passed."""
        self.is_over = self.is_over or now_s >= self._deadline_s

    def accept(self, now_s: float) -> None:
        """The key is right: media may come."""
        self.is_publishing = True
        self._chunks.most_bytes = _MOST_BYTES
        self._deadline_s = now_s + _SILENT_S
        self._send(StreamBegin(stream_id=_MEDIA_STREAM))
        self._status("status", "NetStream.Publish.Start", "Publishing.")

    def refuse(self, message: str) -> None:
        """The key is wrong, or somebody publishes already."""
        self._status("error", "NetStream.Publish.BadName", message)
        self.is_over = True

    def revoke(self) -> None:
        """The publisher must go."""
        self._status("error", "NetStream.Publish.Denied", "The stream was refused.")
        self.is_publishing = False
        self.is_over = True

    def _after_handshake(self, data: bytes) -> bytes:
        """Answer the handshake (5.2.2 to 5.2.4); what is behind it."""
        room = _HELLO_BYTES - len(self._hello)
        if room > 0:
            self._hello += data[:room]
            data = data[room:]
            if self._hello and self._hello[0] != _VERSION:
                raise MalformedRtmp("not RTMP, or an encrypted kind of it")
            if len(self._hello) == _HELLO_BYTES:
                ours = bytes(8) + secrets.token_bytes(_ECHO_BYTES - 8)
                self._out.append(bytes(self._hello[:1]) + ours + bytes(self._hello[1:]))
        skipped = min(len(data), _ECHO_BYTES - self._skips)
        self._skips += skipped
        return data[skipped:]

    def _message(self, message: Message, now_s: float) -> Iterator[Event]:
        if message.kind in {chunks.AUDIO, chunks.VIDEO}:
            yield from self._tag(message.kind, message.timestamp_ms, message.payload)
        elif message.kind == chunks.AGGREGATE:
            yield from self._aggregate(message)
        elif message.kind == chunks.WINDOW:
            self._window_bytes = max(1, int.from_bytes(message.payload[:4], "big"))
        elif message.kind == chunks.COMMAND:
            yield from self._command(amf.read_values(message.payload), now_s)
        elif message.kind == chunks.COMMAND_AMF3:
            yield from self._command(amf.read_values(message.payload[1:]), now_s)

    def _tag(self, kind: int, timestamp_ms: int, payload: bytes) -> Iterator[Tag]:
        if self.is_publishing:
            yield Tag(kind=kind, timestamp_ms=timestamp_ms & 0xFFFFFFFF, payload=payload)

    def _aggregate(self, message: Message) -> Iterator[Tag]:
        tags = list(flv.read_tags(message.payload))
        for tag in tags:
            # The message's stamp is the first tag's, whose own may count from elsewhere.
            shift_ms = message.timestamp_ms - tags[0].timestamp_ms
            yield from self._tag(tag.kind, tag.timestamp_ms + shift_ms, tag.payload)

    def _command(self, values: list[amf.Value], now_s: float) -> Iterator[Event]:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        if not isinstance(name, str) or not isinstance(transaction, float):
            raise MalformedRtmp("a command without name or transaction")
        if name == "connect":
            self._connect(transaction)
        elif name == "createStream":
            self._send(_command("_result", transaction, None, _MEDIA_STREAM))
        elif name == "publish":
            yield self._publish(values[3] if len(values) > 3 else None)
        elif name in {"deleteStream", "closeStream", "FCUnpublish"} and self.is_publishing:
            self.is_publishing = False
            self._deadline_s = now_s + _KEY_WITHIN_S
            yield PublishEnded()

    def _connect(self, transaction: float) -> None:
        self._connected = True
        self._send(WindowAcknowledgementSize(ack_window_size=_WINDOW_BYTES))
        self._send(SetPeerBandwidth(ack_window_size=_WINDOW_BYTES, limit_type=2))
        self._send(SetChunkSize(chunk_size=_CHUNK_BYTES))
        server = {"fmsVer": "FMS/3,0,123", "capabilities": 31}
        status = _status("status", "NetConnection.Connect.Success", "Connected.")
        self._send(_command("_result", transaction, server, {**status, "objectEncoding": 0}))

    def _publish(self, name: amf.Value) -> PublishRequested:
        if self.is_publishing or not self._connected:
            raise MalformedRtmp("publishes twice, or before it connects")
        return PublishRequested(key=name.partition("?")[0] if isinstance(name, str) else "")

    def _status(self, level: str, code: str, text: str) -> None:
        status = _status(level, code, text)
        self._send(_command("onStatus", 0, None, status, stream_id=_MEDIA_STREAM))

    def _send(self, message: Chunk) -> None:
        raw = message.to_raw_chunks(_CHUNK_BYTES if message.msg_type_id == chunks.COMMAND else 128)
        self._out.extend(chunk.to_bytes() for chunk in raw)


def _status(level: str, code: str, text: str) -> dict[str, object]:
    return {"level": level, "code": code, "description": text}


def _command(name: str, transaction: float, *values: object, stream_id: int = 0) -> Chunk:
    data = BitStream()
    for value in (name, transaction, *values):
        AMF0Serializer.create_object(data, value)
    payload = data.bytes
    return Chunk(
        chunk_type=0,
        chunk_id=_COMMAND_STREAM,
        timestamp=0,
        msg_length=len(payload),
        msg_type_id=chunks.COMMAND,
        msg_stream_id=stream_id,
        payload=payload,
    )
