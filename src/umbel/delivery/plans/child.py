"""Runs one request in a process of its own: a request in, what it comes to out.

The process is new (no fork), so a crash or a solver without end takes nothing else with it;
cancelling the call kills it.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from pathlib import Path

from umbel.delivery.plans.model import Asked
from umbel.kit.errors import Invalid, UmbelError, Unavailable

WORKER: tuple[str, ...] = (sys.executable, "-m", "umbel.delivery.plans.worker")
Hear = Callable[[Mapping[str, object]], Awaitable[None]]

# The longest line that is read: a result with every flow of a large network.
_LONGEST = 256 * 1024 * 1024
_TAIL = 2000
_DRAWING_S = 120.0
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PlannerCrashed(Unavailable):
    """The planner's process ended without an answer."""

    code = "umbel.planner_crashed"


class PlannerRefused(Invalid):
    """The planner cannot plan this."""

    code = "umbel.planner_refused"


async def run(
    asked: Asked, hear: Hear, *, most_s: float, pictures: Path | None = None
) -> dict[str, object]:
    """What the worker makes of it. Raises PlannerCrashed, and BadPlanRequest and the planner's own
    errors as PlannerRefused."""
    return await _ask(line_of(asked, pictures), hear, most_s)


async def draw(made: Mapping[str, object], folder: Path) -> list[Path]:
    """The pictures of a result, drawn into a folder. Raises PlannerCrashed."""

    async def hear(_progress: Mapping[str, object]) -> None:
        return None

    line = json.dumps({"made": made, "pictures": str(folder)}) + "\n"
    drawn = await _ask(line, hear, _DRAWING_S)
    names = drawn["pictures"]
    return [folder / str(name) for name in names] if isinstance(names, list) else []


async def _ask(line: str, hear: Hear, most_s: float) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        *WORKER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST,
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
    )
    errors = asyncio.create_task(_tail(process))
    try:
        async with asyncio.timeout(most_s):
            ended = await _talk(process, line, hear)
            if ended is None:
                # It closed its end without a word: it is ending, and stderr says why.
                await process.wait()
    except TimeoutError:
        raise PlannerCrashed(f"it had not ended after {most_s:.0f} s and was stopped") from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        said = await errors
    if ended is None:
        raise PlannerCrashed(_last_words(process.returncode or 0, said))
    return ended


def line_of(asked: Asked, pictures: Path | None = None) -> str:
    """The request as the worker reads it; `pictures` is a folder to draw into."""
    request = {one.name: getattr(asked, one.name) for one in fields(asked)}
    request["pictures"] = str(pictures) if pictures else None
    # A YAML document may hold dates, and other things than texts as keys.
    return json.dumps(request, default=str, skipkeys=True) + "\n"


async def _talk(
    process: asyncio.subprocess.Process, line: str, hear: Hear
) -> dict[str, object] | None:
    """The result; None where the worker ended without a word."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line.encode())
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return None
    async for text in process.stdout:
        message = json.loads(text)
        if "result" in message:
            result: dict[str, object] = message["result"]
            return result
        if "error" in message:
            raise _refusal(message["error"])
        await hear(message["progress"])
    return None


def _refusal(told: Mapping[str, object]) -> UmbelError:
    details = told.get("details")
    return PlannerRefused(
        str(told.get("message", "")),
        reason=told.get("code"),
        **(details if isinstance(details, dict) else {}),
    )


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
