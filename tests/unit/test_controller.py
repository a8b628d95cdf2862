"""The controller: one task per key, wake-ups coalesced, retries, leases, a clean end."""

import asyncio
import itertools

import pytest

from umbel.kit.controller import Controller, Pace
from umbel.kit.errors import Unavailable

pytestmark = pytest.mark.looptime


def serving() -> list[str]:
    """The names of the tasks that serve a key."""
    return sorted(
        task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("reconcile:")
    )


async def test_wakes_before_a_run_are_one_and_a_wake_during_it_is_another() -> None:
    runs: list[str] = []

    async def reconcile(key: str) -> None:
        runs.append(key)
        if len(runs) == 1:
            controller.wake(key)
        await asyncio.sleep(1)

    controller = Controller(reconcile)
    controller.wake("a")
    controller.wake("a")
    await asyncio.sleep(10)
    assert runs == ["a", "a"]
    await controller.close()


async def test_a_run_that_fails_is_tried_again_less_and_less_often() -> None:
    at_s: list[float] = []

    async def reconcile(_: str) -> None:
        at_s.append(asyncio.get_running_loop().time())
        raise Unavailable("not now")

    controller = Controller(reconcile)
    controller.wake("a")
    await asyncio.sleep(30)
    await controller.close()
    waits = [round(b - a, 1) for a, b in itertools.pairwise(at_s)]
    assert waits[:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert set(waits[7:]) == {5.0}


async def test_a_key_that_its_own_run_forgets_leaves_no_task_behind() -> None:
    async def reconcile(key: str) -> None:
        await controller.forget(key)

    controller = Controller(reconcile)
    controller.wake("a")
    await asyncio.sleep(1)
    assert controller.keys() == set()
    assert serving() == []
    await controller.close()


async def test_nothing_runs_after_the_end() -> None:
    runs: list[str] = []

    async def reconcile(key: str) -> None:
        runs.append(key)

    controller = Controller(reconcile)
    controller.wake("a")
    await asyncio.sleep(1)
    await controller.close()
    controller.wake("a")
    await asyncio.sleep(1)
    assert runs == ["a"]
    assert serving() == []


async def test_only_the_holder_of_the_lease_reconciles_and_others_stand_by() -> None:
    runs: list[str] = []
    is_mine = False

    async def lease(_: str) -> bool:
        return is_mine

    async def reconcile(_: str) -> float:
        runs.append("reconcile")
        return 1.0

    async def standby(_: str) -> float:
        runs.append("standby")
        return 1.0

    controller = Controller(reconcile, lease=lease, standby=standby)
    controller.wake("a")
    await asyncio.sleep(1.5)
    assert runs == ["standby"] * 2
    is_mine = True
    await asyncio.sleep(1.0)
    assert runs == ["standby"] * 2 + ["reconcile"]
    await controller.close()


async def test_a_key_is_served_until_the_run_is_cancelled() -> None:
    runs: list[str] = []

    async def reconcile(key: str) -> None:
        runs.append(key)

    controller = Controller(reconcile)
    task = asyncio.create_task(controller.run("a"))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (runs, serving()) == (["a"], [])


async def test_a_task_that_something_ended_is_made_again() -> None:
    runs: list[str] = []

    async def reconcile(key: str) -> None:
        runs.append(key)
        if len(runs) == 1:
            raise asyncio.CancelledError  # as a library does that cancels what it runs in

    controller = Controller(reconcile)
    controller.wake("a")
    await asyncio.sleep(10)
    assert (runs, serving()) == (["a", "a"], ["reconcile:a"])
    await controller.close()


async def test_its_pace_says_when_a_run_ended_and_how_long_one_is_due() -> None:
    stuck = asyncio.Event()

    async def reconcile(_: str) -> float:
        await stuck.wait()
        return 10.0

    controller = Controller(reconcile)
    assert controller.pace() == Pace(None, 0.0)
    controller.wake("a")
    await asyncio.sleep(50)
    ran_s_ago, late_s = controller.pace()
    assert ran_s_ago is None
    assert late_s == pytest.approx(50)
    stuck.set()
    await asyncio.sleep(4)
    ran_s_ago, late_s = controller.pace()
    assert ran_s_ago == pytest.approx(4)
    assert late_s == 0.0
    await controller.close()
    assert controller.pace().late_s == 0.0
