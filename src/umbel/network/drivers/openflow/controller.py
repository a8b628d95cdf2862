"""The controller's end of OpenFlow: switches connect, and are asked and changed over asyncio.

In: programs for switches by their datapath ids. Out: events (a switch up or down, a port changed),
at once. A switch that sends garbage or falls silent loses its own connection and no other.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import structlog

from umbel.kit.connections import Connections
from umbel.kit.errors import Invalid, Unavailable
from umbel.network.drivers.openflow import statistics
from umbel.network.drivers.openflow.channel import Channel
from umbel.network.drivers.openflow.frames import NotOpenFlow
from umbel.network.switching import diff as changing
from umbel.network.switching.counters import SwitchCounts
from umbel.network.switching.program import Change, Meter, Program, Put
from umbel.network.switching.signals import (
    Admit,
    Home,
    OnSwitchEvent,
    PacketArrived,
    Port,
    PortStatus,
    SwitchConnected,
    SwitchDisconnected,
    UnknownSwitch,
)

log = structlog.get_logger(__name__)

_MOST_STRANGERS, _MOST_STRANGERS_PER_ADDRESS = 1_024, 64
_TURNS = 3
"""Of the loop, until a connection that was taken in just before is reported to us."""


class Controller:
    """Where switches connect. A switch that is not admitted is let go at once. A second connection
    with the datapath id of a connected switch takes its place only when the first no longer
    answers, or when it alone comes from the switch's `home` address."""

    def __init__(
        self,
        on_switch_event: OnSwitchEvent,
        *,
        admit: Admit = lambda _dpid: True,
        home: Home = lambda _dpid: "",
        echo_s: float = 1.0,
        timeout_s: float = 3.0,
    ) -> None:
        self._on_switch_event, self._admit, self._home = on_switch_event, admit, home
        self._strangers: Connections[Channel] = Connections(
            most=_MOST_STRANGERS, most_per_address=_MOST_STRANGERS_PER_ADDRESS
        )
        self._echo_s, self._timeout_s = echo_s, timeout_s
        self._channels: dict[int, Channel] = {}
        self._open: dict[Channel, asyncio.Task[None]] = {}
        self._servers: list[asyncio.Server] = []
        self._is_closed = False

    @property
    def switches(self) -> frozenset[int]:
        """The datapath ids of the switches connected now."""
        return frozenset(self._channels)

    async def listen(self, host: str, port: int) -> int:
        """Take switches over TCP. Returns the port, which the kernel picks for 0."""
        server = await asyncio.start_server(self._accept, host, port)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_unix(self, path: Path) -> None:
        """Take switches of this machine."""
        self._servers.append(await asyncio.start_unix_server(self._accept, path))

    async def close(self) -> None:
        """Disconnect all switches; they keep what they hold."""
        self._is_closed = True
        await self._stop_listening()
        for server in self._servers:
            server.close()
        for channel in self._open:
            channel.close()
        await asyncio.gather(*self._open.values(), return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        await asyncio.sleep(0)

    async def _stop_listening(self) -> None:
        """Take no longer connections. A server that is closed while the loop takes one in would
        lose sight of it (CPython 3.11): those come through first."""
        for listening in (one for server in self._servers for one in server.sockets):
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS):
            await asyncio.sleep(0)

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
            await channel.commit([channel.codec.packed(change) for change in changes])
            return
        # Meters cannot be in a bundle: they come before what uses them and go after it.
        meters = [change for change in changes if isinstance(change.entry, Meter)]
        packed = channel.codec.packed
        first = [packed(change) for change in meters if isinstance(change, Put)]
        last = [packed(change) for change in meters if not isinstance(change, Put)]
        rest = [change for change in changes if not isinstance(change.entry, Meter)]
        if first:
            await channel.commit(first)
        if rest:
            await channel.bundle(packed(change) for change in rest)
        if last:
            await channel.commit(last)

    async def send(self, dpid: int, port: int, frame: bytes) -> None:
        """Have the switch send a frame by a port. Raises UnknownSwitch, SwitchGone."""
        await self._channel(dpid).send(port, frame)

    async def clear(self, dpid: int) -> None:
        """Empty the switch. Raises UnknownSwitch, SwitchGone."""
        channel = self._channel(dpid)
        await channel.commit(channel.codec.emptying())

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

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """No coroutine, so that a switch which comes while we close is not overlooked."""
        channel = Channel(reader, writer, self._port, self._packet, self._timeout_s)
        is_local = not channel.address
        if self._is_closed or not (is_local or self._strangers.admit(channel, channel.address)):
            channel.close()
        else:
            self._open[channel] = asyncio.create_task(self._serve(channel))

    async def _serve(self, channel: Channel) -> None:
        keeping = asyncio.create_task(self._maintain(channel))
        try:
            with contextlib.suppress(NotOpenFlow, ConnectionError):
                await channel.read()
        finally:
            keeping.cancel()
            channel.close()
            del self._open[channel]
            self._strangers.remove(channel)
            if self._channels.get(channel.dpid) is channel:
                del self._channels[channel.dpid]
                self._on_switch_event(SwitchDisconnected(dpid=channel.dpid))

    async def _maintain(self, channel: Channel) -> None:
        """Greets the switch, then asks for a sign of life; closes the connection without one."""
        try:
            await channel.greet()
            if not self._admit(channel.dpid) or not await self._may_serve(channel):
                channel.close()
                return
            self._strangers.remove(channel)
            before = self._channels.pop(channel.dpid, None)
            if before is not None:
                before.close()
                self._on_switch_event(SwitchDisconnected(dpid=channel.dpid))
            self._channels[channel.dpid] = channel
            self._on_switch_event(SwitchConnected(dpid=channel.dpid))
            while True:
                await asyncio.sleep(self._echo_s)
                await channel.request(channel.codec.ofproto_parser.OFPEchoRequest(channel.codec))
        except (Unavailable, Invalid, TimeoutError):
            channel.close()

    def _packet(self, channel: Channel, frame: bytes) -> None:
        if self._channels.get(channel.dpid) is channel:
            self._on_switch_event(PacketArrived(dpid=channel.dpid, frame=frame))

    async def _may_serve(self, channel: Channel) -> bool:
        """Whether the connection may be the switch's: none is there that has more right to it."""
        dpid, home = channel.dpid, self._home(channel.dpid)
        while (before := self._channels.get(dpid)) is not None:
            is_home, was_home = channel.address == home, before.address == home
            if home and is_home != was_home:
                return is_home
            try:
                await before.request(before.codec.ofproto_parser.OFPEchoRequest(before.codec))
            except (Unavailable, Invalid):
                if self._channels.get(dpid) is before:
                    return True
                continue  # another one took its place in the meantime: it may answer
            log.warning(
                "second switch refused", datapath_id=f"{dpid:016x}", address=channel.address
            )
            return False
        return True

    def _port(self, channel: Channel, port: Port, gone: bool) -> None:
        if self._channels.get(channel.dpid) is channel:
            self._on_switch_event(PortStatus(dpid=channel.dpid, port=port, gone=gone))
