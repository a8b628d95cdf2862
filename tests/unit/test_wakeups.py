"""Wake-ups: one task per key, coalesced, retried, and gone when it is to be gone."""

import asyncio
import itertools

import pytest

from umbel.kit.errors import Unavailable
from umbel.kit.wakeups import Wakeups

pytestmark = pytest.mark.looptime


def looking() -> list[str]:
    """The names of the tasks that attend a key."""
    return sorted(
        task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("look:")
    )


async def test_wakes_before_a_look_are_one_and_a_wake_during_it_is_another() -> None:
    looks: list[str] = []

    async def look(key: str) -> None:
        looks.append(key)
        if len(looks) == 1:
            wakeups.wake(key)
        await asyncio.sleep(1)

    wakeups = Wakeups(look)
    wakeups.wake("a")
    wakeups.wake("a")
    await asyncio.sleep(10)
    assert looks == ["a", "a"]
    await wakeups.close()


async def test_a_look_that_fails_is_tried_again_less_and_less_often() -> None:
    at_s: list[float] = []

    async def look(_: str) -> None:
        at_s.append(asyncio.get_running_loop().time())
        raise Unavailable("not now")

    wakeups = Wakeups(look)
    wakeups.wake("a")
    await asyncio.sleep(30)
    await wakeups.close()
    waits = [round(b - a, 1) for a, b in itertools.pairwise(at_s)]
    assert waits[:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert set(waits[7:]) == {5.0}


async def test_a_key_that_its_own_look_forgets_leaves_no_task_behind() -> None:
    async def look(key: str) -> None:
        await wakeups.forget(key)

    wakeups = Wakeups(look)
    wakeups.wake("a")
    await asyncio.sleep(1)
    assert wakeups.keys() == set()
    assert looking() == []
    await wakeups.close()


async def test_nothing_is_looked_at_after_the_end() -> None:
    looks: list[str] = []

    async def look(key: str) -> None:
        looks.append(key)

    wakeups = Wakeups(look)
    wakeups.wake("a")
    await asyncio.sleep(1)
    await wakeups.close()
    wakeups.wake("a")
    await asyncio.sleep(1)
    assert looks == ["a"]
    assert looking() == []
