"""One switch's connection: requests and their answers, many changes at once, ports.

In: os-ken's messages, and changes as bytes. Out: replies, and refusals as errors. controller.py
makes one for each switch that connects, and keeps it alive.
"""

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from umbel.network.drivers.openflow import frames, writing
from umbel.network.drivers.openflow.codec import Codec
from umbel.network.drivers.openflow.frames import Frame, Framer, NotOpenFlow
from umbel.network.switching.signals import Port, SwitchGone, SwitchRefused

_HELLO = struct.pack("!BBHIHHI", frames.V14, frames.HELLO, 16, 0, 1, 8, 0x30)
"""Ours: versions 1.4 and 1.3."""
_AT_ONCE = 256
_MOST_XID = 0x7FFFFFFF


@dataclass
class _Waiter:
    request: Any
    future: asyncio.Future[list[Any]]
    parts: list[Any] = field(default_factory=list)

    def expects(self, frame: Frame) -> bool:
        """Whether the frame may answer the request: replies have the next type, or the same."""
        asked = self.request.msg_type
        if frame.kind == frames.MULTIPART_REPLY and frame.part != self.request.type:
            return False
        return frame.kind in (frames.ERROR, asked, asked + 1)


@dataclass
class _Batch:
    """The numbers of changes sent together, and the first error among them."""

    xids: list[range] = field(default_factory=list)
    error: SwitchRefused | None = None

    def has(self, xid: int) -> bool:
        """Whether it is one of them."""
        return any(xid in some for some in self.xids)


class Channel:
    """One connection. Requests are reported apart by their xid."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tell: Callable[["Channel", Port, bool], None],
        packet: Callable[["Channel", bytes], None],
        timeout_s: float,
    ) -> None:
        self._reader, self._writer, self._tell, self._packet = reader, writer, tell, packet
        self._timeout_s = timeout_s
        self._waiters: dict[int, _Waiter] = {}
        self._batches: list[_Batch] = []
        self._xid = 0
        self._framer = Framer()
        self._hello: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self.codec: Codec = Codec(frames.V14)
        self.dpid = 0
        # Of a Unix socket the peer's name is a text, or empty.
        peer = writer.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        self.ports: dict[int, Port] = {}

    async def greet(self) -> None:
        """The handshake: versions, features, ports. Raises SwitchGone or NotOpenFlow."""
        self._writer.write(_HELLO)
        async with asyncio.timeout(self._timeout_s):
            both = frames.versions(await self._hello)
        if not both:
            raise NotOpenFlow("The switch speaks neither OpenFlow 1.3 nor 1.4")
        self.codec = Codec(max(both))
        p = self.codec.ofproto_parser
        (features,) = await self.request(p.OFPFeaturesRequest(self.codec))
        self.dpid = features.datapath_id
        for desc in await self.request(p.OFPPortDescStatsRequest(self.codec, 0)):
            self.ports[desc.port_no] = self.codec.port(desc)

    async def read(self) -> None:
        """Takes what comes until the connection ends. Raises NotOpenFlow."""
        while data := await self._reader.read(65536):
            for frame in self._framer.feed(data):
                self._dispatch(frame)

    async def request(self, message: Any) -> list[Any]:
        """Send, and what comes back: one reply, or all entries of a multipart one.

        Raises SwitchRefused with the error's `type` and `number`, or SwitchGone.
        """
        future = self._send(message)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await future
        except TimeoutError:
            raise SwitchGone(dpid=self.dpid) from None
        finally:
            self._waiters.pop(message.xid, None)

    async def commit(self, messages: Iterable[bytes]) -> None:
        """Send changes, then a barrier. Raises SwitchRefused for the first that was refused, after
        the others were made, or SwitchGone."""
        with self._together() as batch:
            await self._pour(batch, messages, writing.numbered)
            await self.request(self.codec.ofproto_parser.OFPBarrierRequest(self.codec))

    async def bundle(self, messages: Iterable[bytes]) -> None:
        """Make changes all at once or not at all (OpenFlow 1.4, section 6.8). Raises as commit."""
        o, p = self.codec.ofproto, self.codec.ofproto_parser
        flags = o.OFPBF_ATOMIC | o.OFPBF_ORDERED
        number = self._reserve(1)

        def control(kind: int) -> Any:
            return p.OFPBundleCtrlMsg(self.codec, number, kind, flags, [])

        def part(message: bytes, xid: int) -> bytes:
            return writing.bundled(message, xid, number, flags)

        await self.request(control(o.OFPBCT_OPEN_REQUEST))
        with self._together() as batch:
            await self._pour(batch, messages, part)
            await self.request(control(o.OFPBCT_COMMIT_REQUEST))

    async def send(self, port: int, frame: bytes) -> None:
        """Have the switch send a frame by a port. Raises SwitchGone."""
        if self._writer.is_closing():
            raise SwitchGone(dpid=self.dpid)
        message = writing.packet(self.codec.ofproto.OFP_VERSION, port, frame)
        self._writer.write(writing.numbered(message, self._reserve(1)))
        await self._drained()

    @property
    def is_idle(self) -> bool:
        """Whether it may make room for another: only those are counted that are no switch yet."""
        return True

    def end(self) -> None:
        """As `close`."""
        self.close()

    def close(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()
        for waiter in self._waiters.values():
            if not waiter.future.done():
                waiter.future.set_exception(SwitchGone(dpid=self.dpid))
                waiter.future.exception()  # nobody may be waiting any more
        if not self._hello.done():
            self._hello.cancel()

    def _number(self, message: Any) -> None:
        if message.xid is None:
            message.set_xid(self._reserve(1))

    def _send(self, message: Any) -> asyncio.Future[list[Any]]:
        if self._writer.is_closing():
            raise SwitchGone(dpid=self.dpid)
        self._number(message)
        message.serialize()
        waiter = _Waiter(message, asyncio.get_running_loop().create_future())
        self._waiters[message.xid] = waiter
        self._writer.write(bytes(message.buf))
        return waiter.future

    @contextlib.contextmanager
    def _together(self) -> Iterator[_Batch]:
        """What is sent in here is answered together: its first error is raised at the end."""
        batch = _Batch()
        self._batches.append(batch)
        try:
            yield batch
        finally:
            self._batches.remove(batch)
            if batch.error is not None:
                raise batch.error

    async def _pour(
        self, batch: _Batch, messages: Iterable[bytes], form: Callable[[bytes, int], bytes]
    ) -> None:
        """Send many messages, in pieces, so that the switch begins while others are written."""
        source = iter(messages)
        while some := list(itertools.islice(source, _AT_ONCE)):
            if self._writer.is_closing():
                raise SwitchGone(dpid=self.dpid)
            first = self._reserve(len(some))
            batch.xids.append(range(first, first + len(some)))
            self._writer.write(b"".join(map(form, some, itertools.count(first))))
            await self._drained()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()
        except (TimeoutError, ConnectionError):
            raise SwitchGone(dpid=self.dpid) from None

    def _reserve(self, count: int) -> int:
        """The first of so many numbers in a row."""
        first = self._xid + 1 if self._xid + count < _MOST_XID else 1
        self._xid = first + count - 1
        return first

    def _dispatch(self, frame: Frame) -> None:
        if frame.kind == frames.HELLO:
            if not self._hello.done():
                self._hello.set_result(frame)
        elif frame.kind == frames.ECHO_REQUEST:
            reply = bytearray(frame.raw)
            reply[1] = frames.ECHO_REPLY
            self._writer.write(bytes(reply))
        elif frame.xid in self._waiters:
            self._answer(frame, self._waiters[frame.xid])
        elif frame.kind == frames.ERROR and (batch := self._batch(frame.xid)) is not None:
            if batch.error is None:
                batch.error = self._refusal(frame)
        elif frame.version == self.codec.ofproto.OFP_VERSION:
            self._announced(frame)

    def _announced(self, frame: Frame) -> None:
        """What a switch says unasked."""
        if frame.kind == frames.PACKET_IN:
            self._packet(self, frames.packet(frame))
        elif frame.kind == frames.PORT_STATUS:
            self._port(self.codec.decode(frame))

    def _answer(self, frame: Frame, waiter: _Waiter) -> None:
        if frame.version != self.codec.ofproto.OFP_VERSION or not waiter.expects(frame):
            raise NotOpenFlow
        if waiter.future.done():
            return
        if frame.kind == frames.ERROR:
            waiter.future.set_exception(self._refusal(frame))
            return
        message = self.codec.decode(frame)
        if frame.kind == frames.MULTIPART_REPLY:
            waiter.parts += message.body if isinstance(message.body, list) else [message.body]
            if not frame.more:
                waiter.future.set_result(waiter.parts)
        else:
            waiter.future.set_result([message])

    def _batch(self, xid: int) -> _Batch | None:
        return next((one for one in self._batches if one.has(xid)), None)

    def _refusal(self, frame: Frame) -> SwitchRefused:
        if frame.version != self.codec.ofproto.OFP_VERSION:
            raise NotOpenFlow
        message = self.codec.decode(frame)
        return SwitchRefused(dpid=self.dpid, type=message.type, number=message.code)

    def _port(self, status: Any) -> None:
        port = self.codec.port(status.desc)
        gone = bool(status.reason == self.codec.ofproto.OFPPR_DELETE)
        if gone:
            self.ports.pop(port.number, None)
            port = Port(number=port.number, name=port.name, live=False)
        else:
            self.ports[port.number] = port
        if self.dpid:
            self._tell(self, port, gone)
