"""A connection to one switch's database that comes back when it is lost.

In: operations (edits.py). Out: their results, and a replica of what the database holds, kept by
monitoring it. Garbage or silence ends the connection; the next one begins after a while, which
grows with every failure.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from umbel.kit.errors import Invalid, Unavailable
from umbel.kit.signal import Signal
from umbel.network.drivers.ovsdb import wire
from umbel.network.drivers.ovsdb.replica import MONITORED, Replica
from umbel.network.drivers.ovsdb.wire import Echo, JsonFramer, Message, Reply, Update

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")
_DATABASE = "Open_vSwitch"
_READ_BYTES = 1 << 16


class OvsdbGone(Unavailable):
    """The switch's database does not answer."""

    code = "umbel.ovsdb_gone"


class OvsdbRefused(Invalid):
    """The switch's database refuses the change."""

    code = "umbel.ovsdb_refused"


class BadTarget(Invalid):
    """The address of a switch's database must be `tcp:ADDRESS:PORT` or `unix:PATH`."""

    code = "umbel.bad_ovsdb_target"


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long to wait: for an answer, between signs of life, before the first new attempt and at
    most before one. In seconds."""

    answer_s: float = 5.0
    echo_s: float = 2.0
    first_s: float = 0.1
    most_s: float = 5.0


class _Session:
    """One connection as long as it lasts."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        updated: Callable[[Update], None],
    ) -> None:
        self._reader, self._writer, self._updated = reader, writer, updated
        self._framer = JsonFramer()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._last = 0

    async def read(self) -> None:
        """Takes what comes until the connection ends. Raises Garbage."""
        while data := await self._reader.read(_READ_BYTES):
            for message in self._framer.feed(data):
                self._receive(wire.parse(message))

    async def call(self, method: str, params: Sequence[Any], within_s: float) -> Any:
        """A request's result. Raises OvsdbRefused, or OvsdbGone when none comes; then it ends."""
        self._last += 1
        number = self._last
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._writer.write(wire.request(number, method, params))
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            self._writer.transport.abort()
            raise OvsdbGone from None
        finally:
            del self._asked[number]

    def close(self) -> None:
        """End it at once. Who waits for an answer gets OvsdbGone."""
        self._writer.transport.abort()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(OvsdbGone())

    def _receive(self, message: Message | None) -> None:
        if isinstance(message, Echo):
            self._writer.write(wire.echo_reply(message))
        elif isinstance(message, Update):
            self._updated(message)
        elif isinstance(message, Reply):
            answer = self._asked.get(message.id)
            if answer is None or answer.done():
                return
            if message.error is None:
                answer.set_result(message.result)
            else:
                answer.set_exception(OvsdbRefused(str(message.error)))


class Connection:
    """A database's replica, kept as long as `run` runs."""

    def __init__(self, target: str, patience: Timeouts) -> None:
        self._target, self._patience = target, patience
        self._open = _opener(target)
        self._session: _Session | None = None
        self._replica: Replica | None = None
        self._early: list[Update] = []
        self._changed = Signal()

    @property
    def replica(self) -> Replica | None:
        """What the database holds now; None while it is not connected."""
        return self._replica

    async def run(self) -> None:
        """Connects, and again whenever the connection is lost, until cancelled."""
        delay_s = self._patience.first_s
        while True:
            try:
                await self._connect()
            except (OSError, TimeoutError, Unavailable, Invalid) as error:
                log.info("ovsdb lost", target=self._target, why=repr(error))
            if self._replica is not None:
                delay_s = self._patience.first_s
            self._lost()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, self._patience.most_s)

    async def transact(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """All of them or none. The replica shows them when this is done.

        Raises OvsdbGone, or OvsdbRefused with the database's words.
        """
        if self._session is None or self._replica is None:
            raise OvsdbGone(target=self._target)
        results = await self._session.call(
            "transact", [_DATABASE, *operations], self._patience.answer_s
        )
        if not isinstance(results, list):
            self._session.close()
            raise OvsdbGone(target=self._target)
        for result in results:
            if isinstance(result, dict) and result.get("error"):
                raise OvsdbRefused(f"{result['error']}: {result.get('details', '')}")

    async def until(self, ask: Callable[[Replica], Answer | None]) -> Answer:
        """The first answer that is not None to what is asked of the replica after each change."""
        while True:
            if self._replica is not None and (answer := ask(self._replica)) is not None:
                return answer
            await self._changed.listen().wait()

    async def _connect(self) -> None:
        async with asyncio.timeout(self._patience.answer_s):
            reader, writer = await self._open()
        self._session = session = _Session(reader, writer, self._update)
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._maintain(session))
                await session.read()
                keeping.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            session.close()

    async def _maintain(self, session: _Session) -> None:
        """Asks for all there is, then for signs of life."""
        wait_s = self._patience.answer_s
        tables = {name: {"columns": list(columns)} for name, columns in MONITORED.items()}
        rows = await session.call("monitor", [_DATABASE, None, tables], wait_s)
        replica = Replica()
        replica.apply(wire.changes(rows))
        for update in self._early:
            replica.apply(update.changes)
        self._replica = replica
        self._changed.notify()
        while True:
            await asyncio.sleep(self._patience.echo_s)
            await session.call("echo", [], wait_s)

    def _update(self, update: Update) -> None:
        if self._replica is None:
            self._early.append(update)
            return
        self._replica.apply(update.changes)
        self._changed.notify()

    def _lost(self) -> None:
        self._session = self._replica = None
        self._early.clear()


_Opener = Callable[[], Any]


def _opener(target: str) -> _Opener:
    kind, _, rest = target.partition(":")
    if kind == "unix" and rest:
        return lambda: asyncio.open_unix_connection(rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) < 1 << 16:
        return lambda: asyncio.open_connection(host.strip("[]"), int(port))
    raise BadTarget(target=target)


async def ended(task: asyncio.Task[None]) -> None:
    """Ends a task, and waits until it has."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
