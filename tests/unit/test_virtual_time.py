"""Virtual time waits for what is real."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.virtual import scenario


def long_work() -> None:
    """Takes some dozens of milliseconds."""
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 100_000)


@pytest.mark.parametrize("is_default", [True, False])
@scenario
async def test_no_time_passes_while_a_thread_works(is_default: bool) -> None:
    loop = asyncio.get_running_loop()
    timer = asyncio.create_task(asyncio.sleep(60))
    began_s = loop.time()
    with ThreadPoolExecutor(1) as pool:
        await loop.run_in_executor(None if is_default else pool, long_work)
    assert loop.time() == began_s
    await timer
    assert loop.time() == pytest.approx(began_s + 60)


@scenario
async def test_time_goes_on_after_a_call_that_failed_or_whose_caller_left() -> None:
    def fail() -> None:
        raise LookupError

    loop = asyncio.get_running_loop()
    with pytest.raises(LookupError):
        await asyncio.to_thread(fail)
    left = asyncio.create_task(asyncio.to_thread(long_work))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    began_s = loop.time()
    await asyncio.sleep(60)
    assert loop.time() == pytest.approx(began_s + 60)
