"""The RTMP server for publishers: the only module with pyrtmp, which writes what we answer.

In: encoders' connections. Out: FLV tags into the publication that the stream key opens. What comes
in is read by our own chunk and AMF readers: pyrtmp's lose time stamps and know no strict arrays.
"""

import asyncio
import secrets
from collections.abc import Callable

import structlog
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

from umbel.kit.errors import UmbelError
from umbel.media.ingest import amf, chunks, flv
from umbel.media.ingest.chunks import ChunkReader, MalformedRtmp, Message
from umbel.media.ingest.flv import Tag
from umbel.media.io.ingest_ports import HeldClaim
from umbel.media.workers.publication import Publication

log = structlog.get_logger(__name__)

_VERSION = 3
_HANDSHAKE_BYTES = 1536
_READ_BYTES = 65_536
_CHUNK_BYTES = 4096
_WINDOW_BYTES = 2_500_000
_PATIENCE_S = 10.0
_FAREWELL_S = 1.0
_MOST_CONNECTIONS = 128
_COMMAND_STREAM = 3
_MEDIA_STREAM = 1


Enter = Callable[[str, Callable[[], None]], tuple[HeldClaim, Publication]]


class RtmpServer:
    """Listens. `enter(key, on_revoked)` opens a publication or raises UmbelError."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self, address: str, port: int) -> None:
        """Bind. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, address, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await Connection(reader, writer, self._enter).run()
        finally:
            self._connections.discard(task)
            writer.close()


class Connection:
    """One encoder's connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, enter: Enter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._enter = enter
        self._chunks = ChunkReader()
        self._claim: HeldClaim | None = None
        self._publication: Publication | None = None
        self._peer = str(writer.get_extra_info("peername"))
        self._window_bytes = _WINDOW_BYTES
        self._received_bytes = 0
        self._acknowledged_bytes = 0
        self._greeted = False
        self._over = False
        self._publish_by_s = asyncio.get_running_loop().time() + 2 * _PATIENCE_S

    async def run(self) -> None:
        """Serve until the peer leaves, breaks the protocol or is refused."""
        try:
            await self._shake_hands()
            while not self._over and (data := await self._read()):
                self._received_bytes += len(data)
                for message in self._chunks.feed(data):
                    self._take(message)
                self._acknowledge()
                await self._writer.drain()
        except UmbelError as error:
            log.warning("RTMP broken off", peer=self._peer, code=error.code, reason=error.message)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.info("RTMP lost", peer=self._peer, reason=type(error).__name__)
        finally:
            self._leave()
        if self._over:
            await self._say_farewell()

    async def _read(self) -> bytes:
        # A publisher is never silent for long; anybody else has only so long to become one.
        now_s = asyncio.get_running_loop().time()
        until_s = self._publish_by_s if self._claim is None else now_s + _PATIENCE_S
        async with asyncio.timeout_at(until_s):
            return await self._reader.read(_READ_BYTES)

    async def _shake_hands(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            hello = await self._reader.readexactly(1 + _HANDSHAKE_BYTES)
            if hello[0] != _VERSION:
                raise MalformedRtmp("not RTMP, or an encrypted kind of it")
            ours = bytes(8) + secrets.token_bytes(_HANDSHAKE_BYTES - 8)
            self._writer.write(hello[:1] + ours + hello[1:])
            await self._reader.readexactly(_HANDSHAKE_BYTES)

    def _take(self, message: Message) -> None:
        if message.kind in {chunks.AUDIO, chunks.VIDEO}:
            self._tag(message.kind, message.timestamp_ms, message.payload)
        elif message.kind == chunks.AGGREGATE:
            self._aggregate(message)
        elif message.kind == chunks.WINDOW:
            self._window_bytes = max(1, int.from_bytes(message.payload[:4], "big"))
        elif message.kind == chunks.COMMAND:
            self._command(amf.read_values(message.payload))
        elif message.kind == chunks.COMMAND_AMF3:
            self._command(amf.read_values(message.payload[1:]))

    def _tag(self, kind: int, timestamp_ms: int, payload: bytes) -> None:
        if self._publication is not None:
            self._publication.feed_tag(
                Tag(kind=kind, timestamp_ms=timestamp_ms & 0xFFFFFFFF, payload=payload)
            )

    def _aggregate(self, message: Message) -> None:
        tags = list(flv.read_tags(message.payload))
        for tag in tags:
            # The message's stamp is the first tag's, whose own may count from elsewhere.
            shift_ms = message.timestamp_ms - tags[0].timestamp_ms
            self._tag(tag.kind, tag.timestamp_ms + shift_ms, tag.payload)

    def _command(self, values: list[amf.Value]) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 else None
        if not isinstance(name, str) or not isinstance(transaction, float):
            raise MalformedRtmp("a command without name or transaction")
        if name == "connect":
            self._connected(transaction)
        elif name == "createStream":
            self._send(_command("_result", transaction, None, _MEDIA_STREAM))
        elif name == "publish":
            key = values[3] if len(values) > 3 else None
            self._publish(key if isinstance(key, str) else "")
        elif name in {"deleteStream", "closeStream", "FCUnpublish"}:
            self._leave()

    def _connected(self, transaction: float) -> None:
        self._greeted = True
        self._send(WindowAcknowledgementSize(ack_window_size=_WINDOW_BYTES))
        self._send(SetPeerBandwidth(ack_window_size=_WINDOW_BYTES, limit_type=2))
        self._send(SetChunkSize(chunk_size=_CHUNK_BYTES))
        server = {"fmsVer": "FMS/3,0,123", "capabilities": 31}
        status = _status("status", "NetConnection.Connect.Success", "Connected.")
        self._send(_command("_result", transaction, server, {**status, "objectEncoding": 0}))

    def _publish(self, name: str) -> None:
        if self._claim is not None or not self._greeted:
            raise MalformedRtmp("publishes twice, or before it connects")
        key = name.partition("?")[0]
        try:
            self._claim, self._publication = self._enter(key, self._revoked)
        except UmbelError as error:
            log.info("RTMP publisher refused", peer=self._peer, code=error.code)
            self._status("error", "NetStream.Publish.BadName", error.message)
            self._over = True
            return
        self._send(StreamBegin(stream_id=_MEDIA_STREAM))
        self._status("status", "NetStream.Publish.Start", "Publishing.")

    def _revoked(self) -> None:
        self._claim = self._publication = None
        if not self._writer.is_closing():
            self._status("error", "NetStream.Publish.Denied", "The stream was refused.")
            self._writer.close()

    def _leave(self) -> None:
        claim, self._claim = self._claim, None
        self._publication = None
        if claim is not None:
            self._publish_by_s = asyncio.get_running_loop().time() + _PATIENCE_S
            claim.release()

    async def _say_farewell(self) -> None:
        """Let the peer read why: closing with unread input would reset the connection."""
        try:
            async with asyncio.timeout(_FAREWELL_S):
                self._writer.write_eof()
                while await self._reader.read(_READ_BYTES):
                    pass
        except (OSError, TimeoutError):
            pass

    def _acknowledge(self) -> None:
        if self._received_bytes - self._acknowledged_bytes >= self._window_bytes // 2:
            self._acknowledged_bytes = self._received_bytes
            self._send(Acknowledgement(seq_number=self._received_bytes & 0xFFFFFFFF))

    def _status(self, level: str, code: str, text: str) -> None:
        status = _status(level, code, text)
        self._send(_command("onStatus", 0, None, status, stream_id=_MEDIA_STREAM))

    def _send(self, message: Chunk) -> None:
        raw = message.to_raw_chunks(_CHUNK_BYTES if message.msg_type_id == chunks.COMMAND else 128)
        self._writer.write(b"".join(chunk.to_bytes() for chunk in raw))


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
