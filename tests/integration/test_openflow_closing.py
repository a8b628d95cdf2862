"""The controller closes while switches come: none of their connections is left behind."""

import asyncio
import gc
import socket

import pytest

from umbel.network.drivers.openflow.controller import Controller


@pytest.mark.parametrize("turns", range(8))
def test_whoever_comes_at_the_last_moment_is_let_go(turns: int) -> None:
    """After so many turns of the loop since it came. What is left open would be a warning, and
    so an error, when it is collected; a task that is cancelled late would be logged."""
    complaints = []

    async def come_and_close() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        controller = Controller(lambda _: None)
        port = await controller.listen("127.0.0.1", 0)
        with socket.create_connection(("127.0.0.1", port)):
            for _ in range(turns):
                await asyncio.sleep(0)
            await controller.close()

    asyncio.run(come_and_close())
    gc.collect()
    assert complaints == []
