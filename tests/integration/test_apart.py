"""Work in a process of its own: the answer, the progress, and whatever befalls it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.waiting import until
from umbel.kit import apart
from umbel.kit.apart import WorkerDied
from umbel.kit.errors import Exhausted

MOST_S = 60.0


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes find `support` too."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)


async def test_the_answer_comes_back_and_so_does_what_is_told_on_the_way() -> None:
    told: list[int] = []

    async def on_progress(number: int) -> None:
        told.append(number)

    assert await apart.run("support.works:doubled", 3, most_s=MOST_S, on_progress=on_progress) == 6
    assert told == [0, 1, 2]
    assert await apart.run("support.works:doubled", 4, most_s=MOST_S) == 8


async def test_an_error_of_ours_comes_back_with_its_details() -> None:
    with pytest.raises(Exhausted, match="no more") as caught:
        await apart.run("support.works:refused", most_s=MOST_S)
    assert caught.value.details == {"left": ["a", "b"]}


async def test_it_is_nice_and_has_one_thread() -> None:
    seen = await apart.run("support.works:surrounded", most_s=MOST_S)
    assert seen == {"threads": "1", "nice": str(min(19, os.nice(0) + 10))}


async def test_a_function_that_is_not_there_is_named() -> None:
    with pytest.raises(WorkerDied, match=r"with status 1: .*has no attribute 'nothing'"):
        await apart.run("support.works:nothing", most_s=MOST_S)


async def test_more_than_pipes_hold_goes_both_ways() -> None:
    much = b"x" * 5_000_000
    assert await apart.run("builtins:len", much, most_s=MOST_S) == len(much)
    assert await apart.run("builtins:bytes", much, most_s=MOST_S) == much


async def test_it_goes_when_its_asker_is_killed() -> None:
    program = (
        "import asyncio; from umbel.kit import apart\n"
        "async def on_progress(told): print(told['pid'], flush=True)\n"
        "work = apart.run('support.works:stuck', None, None, most_s=600, on_progress=on_progress)\n"
        "asyncio.run(work)"
    )
    async with started(program) as asker:
        assert asker.stdout is not None
        async with asyncio.timeout(MOST_S):
            worker = int(await asker.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        asker.send_signal(signal.SIGKILL)
        await asker.wait()

        async def is_gone() -> bool:
            try:
                stat = Path(f"/proc/{worker}/stat").read_text()
            except OSError:
                return True
            return stat.rpartition(")")[2].split()[0] == "Z"

        await until(is_gone, within_s=MOST_S)


@asynccontextmanager
async def started(program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
