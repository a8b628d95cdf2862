"""The controller's end of OpenFlow: switches connect, and are asked and changed over asyncio.

In: programs for switches by their datapath ids. Out: events (a switch up or down, a port changed),
at once. A switch that sends garbage or falls silent loses its own connection and no other.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umbel.kit.errors import Invalid, Unavailable
from umbel.network import changes as changing
from umbel.network.counters import SwitchCounts
from umbel.network.drivers.openflow import frames, statistics
from umbel.network.drivers.openflow.codec import Codec
from umbel.network.drivers.openflow.frames import Frame, Framer, Garbage
from umbel.network.model import Change, Meter, Program, Put
from umbel.network.signals import (
    Admit,
    Port,
    PortChanged,
    SwitchDown,
    SwitchGone,
    SwitchRefused,
    SwitchUp,
    Tell,
    UnknownSwitch,
)

_HELLO = struct.pack("!BBHIHHI", frames.V14, frames.HELLO, 16, 0, 1, 8, 0x30)
"""Ours: versions 1.4 and 1.3."""


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


class Channel:
    """One connection. Requests are told apart by their xid."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tell: Callable[["Channel", Port, bool], None],
        timeout_s: float,
    ) -> None:
        self._reader, self._writer, self._tell = reader, writer, tell
        self._timeout_s = timeout_s
        self._waiters: dict[int, _Waiter] = {}
        self._xid = 0
        self._framer = Framer()
        self._hello: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self.codec: Codec = Codec(frames.V14)
        self.dpid = 0
        self.ports: dict[int, Port] = {}

    async def greet(self) -> None:
        """The handshake: versions, features, ports. Raises SwitchGone or Garbage."""
        self._writer.write(_HELLO)
        async with asyncio.timeout(self._timeout_s):
            both = frames.versions(await self._hello)
        if not both:
            raise Garbage("The switch speaks neither OpenFlow 1.3 nor 1.4")
        self.codec = Codec(max(both))
        p = self.codec.ofproto_parser
        (features,) = await self.request(p.OFPFeaturesRequest(self.codec))
        self.dpid = features.datapath_id
        for desc in await self.request(p.OFPPortDescStatsRequest(self.codec, 0)):
            self.ports[desc.port_no] = self.codec.port(desc)

    async def read(self) -> None:
        """Takes what comes until the connection ends. Raises Garbage."""
        while data := await self._reader.read(65536):
            for frame in self._framer.feed(data):
                self._take(frame)

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

    async def commit(self, messages: Sequence[Any]) -> None:
        """Send changes, then a barrier. Raises SwitchRefused for the first that was refused, after
        the others were made, or SwitchGone."""
        sent = [(message.xid, future) for message, future in self._sent(messages)]
        try:
            await self.request(self.codec.ofproto_parser.OFPBarrierRequest(self.codec))
        finally:
            self._forget(sent)

    async def bundle(self, messages: Sequence[Any]) -> None:
        """Make changes all at once or not at all (OpenFlow 1.4, section 6.8). Raises as commit."""
        o, p = self.codec.ofproto, self.codec.ofproto_parser
        flags = o.OFPBF_ATOMIC | o.OFPBF_ORDERED
        self._xid += 1
        number = self._xid

        def control(kind: int) -> Any:
            return p.OFPBundleCtrlMsg(self.codec, number, kind, flags, [])

        await self.request(control(o.OFPBCT_OPEN_REQUEST))
        sent = []
        for message in messages:
            add = p.OFPBundleAddMsg(self.codec, number, flags, message, [])
            self._number(add)
            message.xid = add.xid
            sent.append((add.xid, self._send(add)))
        try:
            await self.request(control(o.OFPBCT_COMMIT_REQUEST))
        finally:
            self._forget(sent)

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
            self._xid = (self._xid + 1) & 0x7FFFFFFF
            message.set_xid(self._xid)

    def _send(self, message: Any) -> asyncio.Future[list[Any]]:
        if self._writer.is_closing():
            raise SwitchGone(dpid=self.dpid)
        self._number(message)
        message.serialize()
        waiter = _Waiter(message, asyncio.get_running_loop().create_future())
        self._waiters[message.xid] = waiter
        self._writer.write(bytes(message.buf))
        return waiter.future

    def _sent(self, messages: Iterable[Any]) -> list[tuple[Any, asyncio.Future[list[Any]]]]:
        return [(message, self._send(message)) for message in messages]

    def _forget(self, sent: Iterable[tuple[int, asyncio.Future[list[Any]]]]) -> None:
        """Raises the first error among the answers to what was sent."""
        errors = []
        for xid, future in sent:
            self._waiters.pop(xid, None)
            if future.done() and (error := future.exception()):
                errors.append(error)
        if errors:
            raise errors[0]

    def _take(self, frame: Frame) -> None:
        if frame.kind == frames.HELLO:
            if not self._hello.done():
                self._hello.set_result(frame)
        elif frame.kind == frames.ECHO_REQUEST:
            reply = bytearray(frame.raw)
            reply[1] = frames.ECHO_REPLY
            self._writer.write(bytes(reply))
        elif frame.xid in self._waiters:
            self._answer(frame, self._waiters[frame.xid])
        elif frame.kind == frames.PORT_STATUS and frame.version == self.codec.ofproto.OFP_VERSION:
            self._port(self.codec.decode(frame))

    def _answer(self, frame: Frame, waiter: _Waiter) -> None:
        if frame.version != self.codec.ofproto.OFP_VERSION or not waiter.expects(frame):
            raise Garbage
        if waiter.future.done():
            return
        message = self.codec.decode(frame)
        if frame.kind == frames.ERROR:
            refused = SwitchRefused(dpid=self.dpid, type=message.type, number=message.code)
            waiter.future.set_exception(refused)
        elif frame.kind == frames.MULTIPART_REPLY:
            waiter.parts += message.body if isinstance(message.body, list) else [message.body]
            if not frame.more:
                waiter.future.set_result(waiter.parts)
        else:
            waiter.future.set_result([message])

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


class Controller:
    """Where switches connect. A switch that is not admitted is let go at once."""

    def __init__(
        self,
        tell: Tell,
        *,
        admit: Admit = lambda _dpid: True,
        echo_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        self._tell, self._admit = tell, admit
        self._echo_s, self._timeout_s = echo_s, timeout_s
        self._channels: dict[int, Channel] = {}
        self._open: dict[Channel, asyncio.Task[None] | None] = {}
        self._servers: list[asyncio.Server] = []

    @property
    def switches(self) -> frozenset[int]:
        """The datapath ids of the switches connected now."""
        return frozenset(self._channels)

    async def listen(self, host: str, port: int) -> int:
        """Take switches over TCP. Answers the port, which the kernel picks for 0."""
        server = await asyncio.start_server(self._serve, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_unix(self, path: Path) -> None:
        """Take switches of this machine."""
        self._servers.append(await asyncio.start_unix_server(self._serve, path))

    async def close(self) -> None:
        """Let go of all switches; what they hold goes on."""
        for server in self._servers:
            server.close()
        for channel in self._open:
            channel.close()
        serving = [task for task in self._open.values() if task is not None]
        await asyncio.gather(*serving, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def ports(self, dpid: int) -> tuple[Port, ...]:
        """A switch's ports. Raises UnknownSwitch."""
        return tuple(self._channel(dpid).ports.values())

    async def held(self, dpid: int) -> Program | None:
        """What the switch holds; None when that is not all ours. Raises UnknownSwitch,
        SwitchGone."""
        channel = self._channel(dpid)
        c, o, p = channel.codec, channel.codec.ofproto, channel.codec.ofproto_parser
        everything = {"out_port": o.OFPP_ANY, "out_group": o.OFPG_ANY}
        flows = await channel.request(p.OFPFlowStatsRequest(c, 0, o.OFPTT_ALL, **everything))
        groups = await channel.request(p.OFPGroupDescStatsRequest(c, 0))
        meters = await channel.request(p.OFPMeterConfigStatsRequest(c, 0, o.OFPM_ALL))
        return c.program(flows, groups, meters)

    async def counts(self, dpid: int) -> SwitchCounts:
        """What the switch has counted. Raises UnknownSwitch, SwitchGone, SwitchRefused."""
        return await statistics.counts(self._channel(dpid))

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        """Make the changes: rules and groups in one atomic bundle where the switch has bundles.

        Raises UnknownSwitch, SwitchGone or SwitchRefused.
        """
        channel = self._channel(dpid)
        if not channel.codec.bundles:
            await channel.commit([channel.codec.change(change) for change in changes])
            return
        # Meters cannot be in a bundle: they come before what uses them and go after it.
        meters = [change for change in changes if isinstance(change.entry, Meter)]
        first = [channel.codec.change(change) for change in meters if isinstance(change, Put)]
        last = [channel.codec.change(change) for change in meters if not isinstance(change, Put)]
        rest = [channel.codec.change(c) for c in changes if not isinstance(c.entry, Meter)]
        if first:
            await channel.commit(first)
        if rest:
            await channel.bundle(rest)
        if last:
            await channel.commit(last)

    async def clear(self, dpid: int) -> None:
        """Empty the switch. Raises UnknownSwitch, SwitchGone."""
        channel = self._channel(dpid)
        await channel.commit(channel.codec.clear())

    async def ensure(self, dpid: int, want: Program, *, make_first: bool = False) -> int:
        """Make the switch hold exactly this; answers how many changes that took. What is not ours
        is removed, with all else. Raises as apply."""
        have = await self.held(dpid)
        if have is None:
            await self.clear(dpid)
            have = Program()
        changes = changing.diff(have, want, make_first=make_first)
        if changes:
            await self.apply(dpid, changes)
        return len(changes)

    def _channel(self, dpid: int) -> Channel:
        if dpid not in self._channels:
            raise UnknownSwitch(f"No switch {dpid:#x} is connected", dpid=dpid)
        return self._channels[dpid]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer, self._port, self._timeout_s)
        self._open[channel] = asyncio.current_task()
        keeping = asyncio.create_task(self._keep(channel))
        try:
            with contextlib.suppress(Garbage, ConnectionError):
                await channel.read()
        finally:
            keeping.cancel()
            channel.close()
            del self._open[channel]
            if self._channels.get(channel.dpid) is channel:
                del self._channels[channel.dpid]
                self._tell(SwitchDown(dpid=channel.dpid))

    async def _keep(self, channel: Channel) -> None:
        """Greets the switch, then asks for a sign of life; closes the connection without one."""
        try:
            await channel.greet()
            if not self._admit(channel.dpid):
                channel.close()
                return
            before = self._channels.pop(channel.dpid, None)
            if before is not None:
                before.close()
                self._tell(SwitchDown(dpid=channel.dpid))
            self._channels[channel.dpid] = channel
            self._tell(SwitchUp(dpid=channel.dpid))
            while True:
                await asyncio.sleep(self._echo_s)
                await channel.request(channel.codec.ofproto_parser.OFPEchoRequest(channel.codec))
        except (Unavailable, Invalid, TimeoutError):
            channel.close()

    def _port(self, channel: Channel, port: Port, gone: bool) -> None:
        if self._channels.get(channel.dpid) is channel:
            self._tell(PortChanged(dpid=channel.dpid, port=port, gone=gone))
