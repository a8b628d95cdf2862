"""kill -9 of the planner's process under a real `umbel serve`: its last plan stays in force."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from support.platform import Platform, platform
from support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

HURRIED = {
    "UMBEL_PLAN_SAMPLE_S": "1",
    "UMBEL_PLAN_RCA_S": "1",
    "UMBEL_PLAN_VIRCA_S": "2",
    "UMBEL_NODE_WAKE_S": "1",
}
RESTING = {"pe2", "pe3", "pe4", "pe5", "c2"}
WITHIN_S = 90.0


async def standby(made: Platform) -> set[str]:
    return {n["name"] for n in await made.get("nodes") if n["state"] == "standby"}


def planners(made: Platform) -> list[int]:
    """The platform's children that solve."""
    pid = made.serve.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = []
    for child in map(int, children):
        with suppress(OSError):
            if b"umbel.planner.jobs:run" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


async def kill_planner(made: Platform) -> None:
    async def solving() -> list[int]:
        return planners(made)

    for pid in await until(solving, within_s=WITHIN_S):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def until_said(made: Platform, words: str, *, more_than: int) -> None:
    async def said() -> int:
        return made.serve.log.read_text().count(words)

    await until(said, lambda count: count > more_than, within_s=WITHIN_S)


async def test_the_last_plan_stays_when_the_planner_is_killed_and_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HURRIED.items():
        monkeypatch.setenv(name, value)
    async with platform(tmp_path, ("--policy", "virca")) as made:
        await made.sign_in(made.accounts[0].role)

        async def resting() -> set[str]:
            return await standby(made)

        await until(resting, lambda names: names == RESTING, within_s=WITHIN_S)
        for killed in range(2):
            await kill_planner(made)
            await until_said(made, "the last plan stays", more_than=killed)
            assert "by signal 9" in made.serve.log.read_text()
            assert await standby(made) == RESTING
        plans = made.serve.log.read_text().count("plan in force")
        await until_said(made, "plan in force", more_than=plans)
        assert await standby(made) == RESTING
