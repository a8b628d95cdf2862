"""How the control plane ends."""

import asyncio

import pytest

from umbel import serve


async def test_all_loops_have_ended_when_the_failure_of_one_is_raised() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def goes_on() -> None:
        await asyncio.Event().wait()

    loops = [asyncio.create_task(fails()), asyncio.create_task(goes_on())]
    await asyncio.wait(loops[:1])
    with pytest.raises(ZeroDivisionError):
        await serve.end(loops)
    assert loops[1].cancelled()
