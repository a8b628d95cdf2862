"""The media server's side of a worker process: has it forked, feeds it, reads from it, ends it.

In: media bytes for it. Out: packets and control messages by callbacks on the event loop. The
server never imports `gi`; whatever happens in there, only this worker is lost. A worker is forked,
prepared (GStreamer initialised), begun with what it shall do, and ready. Neighbours: pool.py,
forks.py.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from umbel.kit.clock import Clock
from umbel.kit.starting import StartLimits, StartWatch, activities
from umbel.media.workers.forks import Child, WorkerForkServer, WorkerLost
from umbel.media.workers.frames import STREAM_KINDS

log = structlog.get_logger(__name__)

_READ_BYTES = 65_536
_MOST_BATCH = 64
_BUFFER_BYTES = 1_048_576
_START_LIMITS = StartLimits()
_START_LOOK_S = 0.5
_PING_S = 2.0
_HUNG_S = 8.0
_BARREN_S = 30.0
_BARREN_BYTES = 1_000_000
Message = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WorkerCallbacks:
    """What the worker's owner is called with. `on_message` gets every message that is not for the
    worker's own supervision."""

    on_packets: Callable[[Sequence[bytes]], None]
    on_message: Callable[[Message], None]


_Control = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_NOBODY = WorkerCallbacks(on_packets=lambda _: None, on_message=lambda _: None)


class WorkerProcess:
    """One process. `prepared` is set when it can begin, `ready` when it works; `exited` is done
    when it is gone, for whatever reason."""

    def __init__(self, child: Child, control: _Control, sockets: "_Sockets", clock: Clock) -> None:
        self._child = child
        self._reader, self._writer = control
        self._sockets = sockets
        self._entry = WorkerInput(None, None)
        self._exit = sockets.exit
        self._callbacks = _NOBODY
        self._pong = False
        self._gave = False
        self._closing = False
        self._taken_bytes = 0
        self._idle_since_bytes = 0
        self._gave_s = clock.monotonic_s()
        self._opening = asyncio.Lock()
        self._begun = asyncio.Event()
        self.prepared = asyncio.Event()
        self.ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._exit, self._read)
        self.exited = loop.create_task(self._attend(), name=f"worker {child.pid}")
        self._watching = loop.create_task(self._watch(clock), name=f"watch {child.pid}")

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._child.pid

    @property
    def waiting_bytes(self) -> int:
        """What the worker has not taken yet, beyond the kernel's buffer."""
        return self._entry.waiting_bytes

    @classmethod
    async def fork(cls, server: WorkerForkServer, clock: Clock) -> "WorkerProcess":
        """Have one forked that prepares itself. Raises WorkerLost."""
        with ExitStack() as failed, ExitStack() as done:
            try:
                ours, theirs = _Sockets.pairs(failed, done)
            except OSError as error:
                raise WorkerLost(f"the worker does not start: {error}") from error
            ends = (theirs.stream, theirs.datagrams, theirs.exit)
            child = await server.fork([end.fileno() for end in ends])
            failed.callback(child.kill)
            control = await asyncio.open_unix_connection(sock=child.control)
            failed.pop_all()
        return cls(child, control, ours, clock)

    async def begin(self, options: Mapping[str, Any], callbacks: WorkerCallbacks) -> None:
        """Let it do what these `start` options say, once. It needs not be prepared yet; one that
        is gone does nothing."""
        self._callbacks = callbacks
        stream = options["kind"] in STREAM_KINDS
        async with self._opening:
            if not self._sockets.are_closed:
                self._entry = await self._sockets.open_entry(stream=stream)
        self.send({"op": "start", **options})
        self._begun.set()

    async def until_ready(self) -> None:
        """Wait until it works, or is given up. Raises WorkerLost."""
        await self.ready_or_gone()
        if not self.ready.is_set():
            await self.close()
            raise WorkerLost

    def feed(self, data: bytes) -> None:
        """Give it input. A datagram that finds no room is lost, as on any wire."""
        self._entry.write(data)

    async def feed_all(self, datagrams: Sequence[bytes]) -> None:
        """Give it datagrams as fast as it takes them; returns early when it is gone."""
        try:
            for data in datagrams:
                await self._entry.put(data)
        except OSError:
            log.info("worker gone while it was fed", pid=self.pid)

    def send(self, message: Message) -> None:
        """Send a control message."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    def finish(self) -> None:
        """No more input: it gives out what is inside and ends by itself."""
        self._entry.close()

    def drain(self) -> None:
        """Hand over the packets that are here already."""
        while self._read():
            pass

    async def close(self) -> None:
        """End it now."""
        self._closing = True
        self._child.kill()
        await asyncio.wait({self.exited, self._watching})

    async def ready_or_gone(self) -> None:
        """Wait until it is ready or gone."""
        await self.until(self.ready, None)

    async def until(self, event: asyncio.Event, timeout_s: float | None) -> None:
        """Wait for the event, its end, or so many seconds."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait(
                {waiting, self.exited}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()

    async def _watch(self, clock: Clock) -> None:
        """Kill it when it hangs: while it starts, and afterwards."""
        await self._expect(self.prepared, clock)
        await self._ping(clock, self._begun)
        await self._expect(self.ready, clock)
        await self._ping(clock, asyncio.Event())

    async def _expect(self, event: asyncio.Event, clock: Clock) -> None:
        """Look at it until the event or its end; one that sleeps instead is killed."""
        start = StartWatch(clock.monotonic_s(), activities(self.pid), _START_LIMITS)
        while not (event.is_set() or self.exited.done()):
            await self.until(event, _START_LOOK_S)
            reason = start.look(clock.monotonic_s(), activities(self.pid))
            if reason and not (event.is_set() or self.exited.done()):
                log.warning("worker does not start", pid=self.pid, reason=reason)
                self._child.kill()
                await asyncio.wait({self.exited})

    async def _ping(self, clock: Clock, end: asyncio.Event) -> None:
        """Ping until the event or its end; one that answers or produces nothing is killed."""
        heard_s = self._gave_s = clock.monotonic_s()
        while not (end.is_set() or self.exited.done()):
            self._pong = self._gave = False
            self.send({"op": "ping"})
            await self.until(end, _PING_S)
            now_s = clock.monotonic_s()
            heard_s = now_s if self._pong else heard_s
            if self._gave:
                self._gave_s, self._idle_since_bytes = now_s, self._taken_bytes
            idle_bytes = self._taken_bytes - self._idle_since_bytes
            stuck = now_s - self._gave_s > _BARREN_S and idle_bytes > _BARREN_BYTES
            if (stuck or now_s - heard_s > _HUNG_S) and not self.exited.done():
                log.warning("worker hangs", pid=self.pid, stuck=stuck)
                self._child.kill()
                await asyncio.wait({self.exited})

    async def _attend(self) -> None:
        """Hear the control channel to its end, then collect what is left."""
        try:
            # One that is killed before it has read all resets the connection.
            with suppress(ConnectionError):
                async for line in self._reader:
                    self._hear(line)
        except ValueError:
            log.warning("worker talks nonsense", pid=self.pid)
            self._child.kill()
        code = await self._child.ended
        asyncio.get_running_loop().remove_reader(self._exit)
        self.drain()
        async with self._opening:
            self._entry.close()
            self._sockets.close()
        self._writer.close()
        if code and not self._closing and self._begun.is_set():
            log.warning("worker ended", pid=self.pid, code=code)

    def _hear(self, line: bytes) -> None:
        message = json.loads(line)
        if message["event"] == "pong":
            self._pong = True
            self._taken_bytes = message["taken"]
        elif message["event"] == "prepared":
            self.prepared.set()
        elif message["event"] == "ready":
            self.ready.set()
        else:
            self._callbacks.on_message(message)

    def _read(self) -> bool:
        """Take a batch of packets; whether there were any."""
        batch: list[bytes] = []
        ended = False
        try:
            while len(batch) < _MOST_BATCH and not ended:
                packet = self._exit.recv(_READ_BYTES)
                ended = not packet
                if packet:
                    batch.append(packet)
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        if ended:
            # End of file stays readable: stop looking, the control channel says the rest.
            asyncio.get_running_loop().remove_reader(self._exit)
        if batch:
            self._gave = True
            self._callbacks.on_packets(batch)
        return bool(batch)


class WorkerInput:
    """The worker's input: a stream with a buffer here, or datagrams that are sent or lost."""

    def __init__(self, sock: socket.socket | None, writer: asyncio.StreamWriter | None) -> None:
        self._sock = sock
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket, *, stream: bool) -> "WorkerInput":
        """Take the socket over."""
        if not stream:
            sock.setblocking(False)
            return cls(sock, None)
        _, writer = await asyncio.open_unix_connection(sock=sock)
        return cls(None, writer)

    @property
    def waiting_bytes(self) -> int:
        """What is buffered here."""
        return self._writer.transport.get_write_buffer_size() if self._writer else 0

    def write(self, data: bytes) -> None:
        """Send it."""
        if self._writer is not None:
            if not self._writer.is_closing():
                self._writer.write(data)
        elif self._sock is not None:
            try:
                self._sock.send(data)
            except OSError:
                pass

    async def put(self, data: bytes) -> None:
        """Send a datagram when there is room for it. Raises OSError when the worker is gone."""
        if self._sock is not None:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def close(self) -> None:
        """End of input, after what is buffered."""
        if self._writer is not None:
            self._writer.close()
        elif self._sock is not None:
            self._sock.close()


@dataclass(frozen=True, kw_only=True)
class _Sockets:
    """One side's ends: input as a stream of bytes or as datagrams, one of which is used; output."""

    stream: socket.socket
    datagrams: socket.socket
    exit: socket.socket

    @classmethod
    def pairs(cls, ours_in: ExitStack, theirs_in: ExitStack) -> tuple["_Sockets", "_Sockets"]:
        """Our ends and the worker's, each closed with its stack. Raises OSError."""
        pairs = []
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_SEQPACKET):
            here, there = socket.socketpair(socket.AF_UNIX, kind)
            pairs.append((ours_in.enter_context(here), theirs_in.enter_context(there)))
        ours, theirs = (cls(stream=a, datagrams=b, exit=c) for a, b, c in zip(*pairs, strict=True))
        for end in (ours.stream, ours.datagrams, theirs.exit):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        ours.exit.setblocking(False)
        return ours, theirs

    @property
    def are_closed(self) -> bool:
        """Whether nothing can be opened any more."""
        return self.exit.fileno() < 0

    async def open_entry(self, *, stream: bool) -> "WorkerInput":
        """The input that is used; the other is closed."""
        (self.datagrams if stream else self.stream).close()
        return await WorkerInput.open(self.stream if stream else self.datagrams, stream=stream)

    def close(self) -> None:
        """Close what is not closed yet."""
        for end in (self.stream, self.datagrams, self.exit):
            end.close()
