"""What processes of a real platform keep in memory."""

import asyncio
from pathlib import Path

import pytest

from support.platform import platform

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
AT_ONCE = 4
# Each thread that kept what a check needs would have 19.
MOST_MIB = 25


def resident_mib(pid: int) -> float:
    """Memory of a process that no file is behind."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


async def test_the_memory_that_a_password_needs_is_given_back(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        # What the first sign-in loads is no password's.
        await made.api.post("/oauth/token", data=_wrong(0))
        before = resident_mib(made.serve.process.pid)
        asked = (made.api.post("/oauth/token", data=_wrong(n + 1)) for n in range(AT_ONCE))
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {401}
        assert resident_mib(made.serve.process.pid) - before < MOST_MIB


def _wrong(number: int) -> dict[str, str]:
    return {"grant_type": "password", "username": f"nobody-{number}", "password": "wrong"}
