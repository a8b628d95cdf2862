"""The RTMP server for publishers: sockets around ingest/rtmp.py.

In: encoders' connections. Out: FLV tags into the publication that the stream key opens. Strangers
cannot keep encoders out: connections are bounded, also by address, and the oldest that does not
publish makes room for a new one.
"""

import asyncio
from collections.abc import Callable

import structlog

from umbel.kit.connections import Connections
from umbel.kit.errors import UmbelError
from umbel.media.ingest.flv import Tag
from umbel.media.ingest.rtmp import Event, PublishRequested, RtmpSession
from umbel.media.io.ingest_ports import HeldClaim
from umbel.media.workers.publication import Publication

log = structlog.get_logger(__name__)

_READ_BYTES = 65_536
_FAREWELL_S = 1.0
_MOST_CONNECTIONS = 128
_MOST_PER_ADDRESS = 32

Enter = Callable[[str, Callable[[], None]], tuple[HeldClaim, Publication]]


class RtmpServer:
    """Listens. `enter(key, on_revoked)` opens a publication or raises UmbelError."""

    def __init__(self, enter: Enter) -> None:
        self._enter = enter
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], Connection] = {}
        self._open: Connections[Connection] = Connections(
            most=_MOST_CONNECTIONS, most_per_address=_MOST_PER_ADDRESS
        )
        self.port = 0

    async def open(self, address: str, port: int) -> None:
        """Bind. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, address, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self._serving.values():
            connection.end()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        connection = Connection(reader, writer, self._enter)
        if task is None or not self._open.admit(connection, connection.address):
            log.warning("RTMP refused: too many connections", address=connection.address)
            writer.close()
            return
        self._serving[task] = connection
        try:
            await connection.run()
        finally:
            del self._serving[task]
            self._open.remove(connection)
            writer.close()


class Connection:
    """One encoder's connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, enter: Enter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._enter = enter
        self._loop = asyncio.get_running_loop()
        self._session = RtmpSession(self._loop.time())
        self._claim: HeldClaim | None = None
        self._publication: Publication | None = None
        self.address = str(writer.get_extra_info("peername", ("",))[0])

    @property
    def is_idle(self) -> bool:
        """Whether it showed no right stream key."""
        return self._claim is None

    def end(self) -> None:
        """Break it off. `run` returns then."""
        self._writer.transport.abort()

    async def run(self) -> None:
        """Serve until the peer leaves, breaks the protocol or is refused."""
        session = self._session
        try:
            while not session.is_over and (data := await self._read()):
                for event in session.feed(data, self._loop.time()):
                    self._handle(event)
                self._write()
                await self._writer.drain()
        except UmbelError as error:
            address = self.address
            log.warning("RTMP broken off", peer=address, code=error.code, reason=error.message)
        except (OSError, TimeoutError) as error:
            log.info("RTMP lost", peer=self.address, reason=type(error).__name__)
        finally:
            self._leave()
        if session.is_over:
            await self._say_farewell()

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._session.next_deadline_s()):
                return await self._reader.read(_READ_BYTES)
        except TimeoutError:
            log.info("RTMP silent", peer=self.address)
            self._session.handle_timer(self._loop.time())
            return b""

    def _handle(self, event: Event) -> None:
        if isinstance(event, Tag):
            if self._publication is not None:
                self._publication.feed_tag(event)
        elif isinstance(event, PublishRequested):
            self._publish(event.key)
        else:
            self._leave()

    def _publish(self, key: str) -> None:
        try:
            self._claim, self._publication = self._enter(key, self._revoked)
        except UmbelError as error:
            log.info("RTMP publisher refused", peer=self.address, code=error.code)
            self._session.refuse(error.message)
        else:
            self._session.accept(self._loop.time())

    def _revoked(self) -> None:
        self._claim = self._publication = None
        if not self._writer.is_closing():
            self._session.revoke()
            self._write()
            self._writer.close()

    def _leave(self) -> None:
        claim, self._claim = self._claim, None
        self._publication = None
        if claim is not None:
            claim.release()

    def _write(self) -> None:
        self._writer.write(self._session.bytes_to_send())

    async def _say_farewell(self) -> None:
        """Let the peer read why: closing with unread input would reset the connection."""
        try:
            async with asyncio.timeout(_FAREWELL_S):
                self._writer.write_eof()
                while await self._reader.read(_READ_BYTES):
                    pass
        except (OSError, TimeoutError):
            pass
