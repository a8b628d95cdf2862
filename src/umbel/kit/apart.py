"""Runs a function of ours in a process of its own, started for it and gone after it.

In: the function's name, its arguments. Out: what it tells on the way, what it returns or raises.
Whatever else happens to it, a crash, a kill, a hang or a gigabyte too much, costs an answer and no
more. The asker need not be able to import it. `apart_child` is the other end.
"""

import asyncio
import os
import pickle
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from umbel.kit.errors import UmbelError, Unavailable

HEAD = struct.Struct(">Q")
"""Before each message: how many bytes it is long."""
OnProgress = Callable[[Any], Awaitable[None]]

_TAIL = 2000
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerDied(Unavailable):
    """The worker process ended without an answer, or was too slow."""

    code = "umbel.worker_died"


async def run(
    target: str,
    *arguments: object,
    most_s: float,
    on_progress: OnProgress | None = None,
    on_start: Callable[[int], None] = lambda _pid: None,
) -> Any:
    """What `module:function` returns for the arguments. With `on_progress` it gets one more at the
    end: a function to report progress with. All values must be picklable.

    Cancelling kills the process. Raises WorkerDied, and the function's own UmbelError.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel.kit.apart_child", target, str(os.getpid())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | _ONE_THREAD,
    )
    on_start(process.pid)
    errors = asyncio.create_task(_tail(process))
    try:
        async with asyncio.timeout(most_s):
            ended, made = await _talk(
                process, pickle.dumps((arguments, on_progress is not None)), on_progress
            )
            if ended == "":
                # It closed its end without a word: it is ending, and stderr says why.
                await process.wait()
    except TimeoutError:
        raise WorkerDied(f"it had not ended after {most_s:.0f} s and was stopped") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        said = await errors
    if ended == "":
        raise WorkerDied(_last_words(process.returncode or 0, said))
    if isinstance(made, UmbelError) and ended == "raised":
        raise made
    return made


async def _talk(
    process: asyncio.subprocess.Process, request: bytes, on_progress: OnProgress | None
) -> tuple[str, Any]:
    """How it ended ("returned" or "raised") and with what; ("", None) without a word."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
        while True:
            (length,) = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            kind, what = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 -- our child wrote it
            if kind != "progress":
                return kind, what
            if on_progress is not None:
                await on_progress(what)
    except (BrokenPipeError, ConnectionResetError, asyncio.IncompleteReadError):
        return "", None
    except RuntimeError:  # what uvloop says of a pipe whose other end is gone
        if process.stdin.is_closing():
            return "", None
        raise


async def _tail(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    tail = b""
    while chunk := await process.stderr.read(4096):
        tail = (tail + chunk)[-_TAIL:]
    return tail.decode(errors="replace")


def _last_words(status: int, said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"it ended {how}" + (f": {lines[-1].strip()}" if lines else "")
