"""A signal: who listened before a notification hears it, who listens after it does not."""

import asyncio

import pytest

from umbel.kit.signal import Signal

pytestmark = pytest.mark.looptime


async def test_every_listener_so_far_hears_and_later_ones_wait() -> None:
    signal = Signal()
    early = [signal.listen(), signal.listen()]
    signal.notify()
    late = signal.listen()
    assert [await one.wait(1.0) for one in early] == [True, True]
    assert not await late.wait(1.0)
    assert (early[0].notified, late.notified) == (True, False)


async def test_a_change_between_listening_and_waiting_is_not_missed() -> None:
    signal = Signal()
    listener = signal.listen()
    signal.notify()
    began_s = asyncio.get_running_loop().time()
    assert await listener.wait()
    assert asyncio.get_running_loop().time() == began_s
