"""One session with a machine: calls out, answers and changes in, over one SSH connection.

In: calls of remote/messages.py. Out: their answers, `on_change` for changes, `on_end` once when the
session is over. Who waits for an answer then gets MachineUnreachable.
"""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import structlog

from umbel.compute.drivers.ssh.connection import Channel, Connection
from umbel.compute.machines.model import Machine, MachineUnreachable
from umbel.compute.remote.messages import (
    LONGEST_LINE,
    Answer,
    Call,
    Changed,
    Failed,
    error_of,
    parse_answer,
    serialize,
)
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_LONGEST_LOG_LINE = 2000
MakeCall = Callable[[int], Call]
"""A call, given its id."""


class Session:
    """An open session. `reason` is why it ended; empty while it goes on."""

    def __init__(
        self,
        machine: Machine,
        connection: Connection,
        channel: Channel,
        on_change: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:
        self.reason = ""
        self._machine = machine
        self._connection = connection
        self._channel = channel
        self._on_change = on_change
        self._on_end = on_end
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._last_words = ""
        self._tasks = [
            asyncio.create_task(self._read_answers(), name=f"session:{machine.name}"),
            asyncio.create_task(self._read_log(), name=f"session log:{machine.name}"),
        ]

    async def call(self, make: MakeCall, *, within_s: float) -> Answer:
        """The answer. Raises what the call raised there, or MachineUnreachable."""
        if self.reason:
            raise MachineUnreachable(self.reason, machine=self._machine.name)
        id_ = next(self._ids)
        self._waiting[id_] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._channel.write(serialize(make(id_)))
                answer = await self._waiting[id_]
        except TimeoutError as error:
            message = f"{self._machine.name} did not answer within {within_s:g} s"
            raise MachineUnreachable(message, machine=self._machine.name) from error
        finally:
            del self._waiting[id_]
        if isinstance(answer, Failed):
            raise error_of(answer)
        return answer

    async def close(self) -> None:
        """End the session; functions go on."""
        self._end("the session was closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _read_answers(self) -> None:
        reason = f"the session with {self._machine.name} has ended"
        try:
            while line := await self._channel.read_line(LONGEST_LINE):
                self._take(parse_answer(line))
        except UmbelError as error:
            reason = error.message
        except Exception:
            # Whatever ends it: nobody may wait for an answer that cannot come any more.
            log.exception("session failed", machine=self._machine.name)
        if self._last_words:
            reason += f": {self._last_words}"
        log.warning("session ended", machine=self._machine.name, reason=reason)
        self._end(reason)
        await self._connection.close()

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Changed):
            self._on_change(answer.function_id)
            return
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _read_log(self) -> None:
        """What the other end logs, a bounded line each, becomes ours."""
        with suppress(MachineUnreachable):
            while said := await self._channel.read_errors(_LONGEST_LOG_LINE):
                self._last_words = said.decode("utf-8", "replace").strip()[-_LONGEST_LOG_LINE:]
                log.info("machine says", machine=self._machine.name, text=self._last_words)

    def _end(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = reason
        for waiting in self._waiting.values():
            if not waiting.done():
                lost = MachineUnreachable(reason, machine=self._machine.name)
                waiting.set_exception(lost)
        self._on_end()
