"""Short programs of the machine (`ip`, `tc`), run to their end.

In: words, and what the program is to read. Out: how it ended and what it said.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A program's exit code and what it said."""

    code: int
    out: str
    wrong: str


async def run(*words: str, said: str = "", within_s: float = 10.0) -> Ended:
    """Run it to its end; `said` is its input. Raises TimeoutError, and then it is gone; OSError
    when there is no such program."""
    with _file(said.encode()) as stdin:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    try:
        async with asyncio.timeout(within_s):
            out, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    code = process.returncode or 0
    return Ended(code=code, out=out.decode(errors="replace"), wrong=wrong.decode(errors="replace"))


@contextmanager
def _file(content: bytes) -> Iterator[int]:
    """A file rather than a pipe: it does not matter whether the program reads all of it, or any,
    before it ends."""
    descriptor = os.memfd_create("input", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
