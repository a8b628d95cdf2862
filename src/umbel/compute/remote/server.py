"""Answers a VIM's calls that come as JSON lines.

In: lines of calls. Out: lines of answers and of changes. It ends with its input, or when nobody
has called for a while: a connection that was lost may never close.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

import structlog

from umbel.compute.ports import MeasuresHosts, Vim
from umbel.compute.remote.messages import (
    Answer,
    BadMessage,
    Call,
    Changed,
    Done,
    Measure,
    Measured,
    Running,
    Seen,
    Start,
    Stop,
    failure,
    parse_call,
    serialize,
)
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

IDLE_S = 60.0
_MOST_CALLS = 64


class Writer(Protocol):
    """Where answers go; an asyncio.StreamWriter is one."""

    def write(self, data: bytes, /) -> None:
        """Send these bytes later."""

    async def drain(self) -> None:
        """Wait until there is room for more."""


async def serve(
    vim: Vim, reader: asyncio.StreamReader, writer: Writer, *, idle_s: float = IDLE_S
) -> None:
    """Answer until the input ends. Closing the VIM is the caller's."""
    room = asyncio.Semaphore(_MOST_CALLS)
    vim.watch(lambda id_: writer.write(serialize(Changed(function_id=id_))))

    async def reply(call: Call) -> None:
        try:
            answer = await _answer(vim, call)
        except UmbelError as error:
            answer = failure(call.id, error)
        finally:
            room.release()
        with suppress(ConnectionError):  # the input ends too, then
            writer.write(serialize(answer))
            await writer.drain()

    async with asyncio.TaskGroup() as calls:
        while line := await _next(reader, idle_s):
            try:
                call = parse_call(line)
            except BadMessage as error:
                log.warning("call not understood", reason=error.message)
                return
            await room.acquire()
            calls.create_task(reply(call))


async def _next(reader: asyncio.StreamReader, idle_s: float) -> bytes:
    """The next line; empty at the end, after silence, and for one that is too long."""
    try:
        async with asyncio.timeout(idle_s):
            return await reader.readline()
    except (TimeoutError, ValueError, ConnectionError):
        return b""


async def _answer(vim: Vim, call: Call) -> Answer:
    match call:
        case Start():
            await vim.start(call.owner, call.function, call.node)
        case Stop():
            await vim.stop(call.function_id)
        case Running():
            return Seen(id=call.id, instances=await vim.running())
        case Measure():
            usage = await vim.hosts(call.nodes) if isinstance(vim, MeasuresHosts) else {}
            return Measured(id=call.id, usage=usage)
    return Done(id=call.id)
