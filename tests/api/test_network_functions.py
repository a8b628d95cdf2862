"""Functions that streams meet on their way, over REST."""

import asyncio
import operator
from functools import partial
from typing import Any

import pytest

from support.steered import Net
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.network.operator.functions import Location
from umbel.network.operator.service import OperatorService
from umbel.network.operator.store import OperatorStore

GUEST = {"stream": "feed", "port": 7000, "node": "c1", "address": "10.97.6.1"}


async def met_at(net: Net) -> set[str]:
    """The nodes where the stream is led out of its way, to a function."""
    rules = await net.ask("GET", "/flows")
    return {r["node"] for r in rules if r["step"] == "redirect" and r["stream"] == "feed"}


async def test_rules_follow_a_function_that_appears_moves_and_dies(net: Net) -> None:
    await net.drawn()
    await net.path()
    assert await met_at(net) == set()
    told = await net.ask("PUT", "/functions/mixer", json=GUEST)
    assert told == {**GUEST, "name": "mixer", "function": None, "on_path": True}
    assert await met_at(net) == {"c1"}
    await net.ask("PUT", "/functions/mixer", json={**GUEST, "node": "c2"})
    assert await met_at(net) == {"c2"}
    assert [(one["name"], one["node"]) for one in await net.ask("GET", "/functions")] == [
        ("mixer", "c2")
    ]
    await net.ask("DELETE", "/functions/mixer", 204)
    assert await met_at(net) == set()
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    told = await net.refused("DELETE", "/functions/mixer", 404)
    assert told["code"] == "umbel.no_such_inline_function"


async def test_rules_follow_the_platforms_own_function_wherever_it_runs(net: Net) -> None:
    await net.drawn()
    functions = net.here.system.network.operator.functions
    running = asyncio.create_task(functions.run())

    async def at() -> set[str]:
        return await met_at(net)

    try:
        asked = {"stream": "feed", "port": 7000, "function": "forwarder-c1-1"}
        told = await net.ask("PUT", "/functions/relay", json=asked)
        assert (told["node"], told["on_path"]) == (None, False)
        await net.path()
        for node in ("c1", "c2"):  # it appears and moves
            functions.observe({"forwarder-c1-1": Location(node=node, address="10.97.6.1")})
            await until(at, partial(operator.eq, {node}))
        functions.observe({})
        await until(at, lambda found: not found)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_functions_outlive_the_control_plane(net: Net) -> None:
    await net.drawn()
    await net.path()
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    overlay = net.fabric.overlay
    await net.fabric.change(overlay.set_processes("feed", {}))
    assert await met_at(net) == set()
    store = OperatorStore(net.here.system.database)
    again = OperatorService(
        net.here.system.network.operator.inspection.topology, store, SystemClock(), net.fabric
    )
    running = asyncio.create_task(again.run())

    async def at() -> set[str]:
        return await met_at(net)

    try:
        await until(at, lambda found: found == {"c1"})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"node": "moon"}, 404, "umbel.not_in_topology"),
        ({"node": None}, 422, "umbel.unprocessable"),
        ({"function": "forwarder-c1-1"}, 422, "umbel.unprocessable"),
        ({"port": 0}, 422, "umbel.unprocessable"),
        ({"stream": "ev_x"}, 422, "umbel.unprocessable"),
    ],
)
async def test_a_function_that_cannot_be_met_is_refused(
    net: Net, changes: dict[str, Any], status: int, code: str
) -> None:
    told = await net.refused("PUT", "/functions/mixer", status, json={**GUEST, **changes})
    assert told["code"] == code
    assert await net.ask("GET", "/functions") == []


async def test_a_stream_meets_one_function_at_a_node(net: Net) -> None:
    await net.ask("PUT", "/functions/mixer", json=GUEST)
    told = await net.refused("PUT", "/functions/other", 409, json={**GUEST, "port": 7001})
    assert told["code"] == "umbel.inline_function_exists"
    await net.ask("PUT", "/functions/other", json={**GUEST, "stream": "feed2"})
