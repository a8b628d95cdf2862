"""Guests of the demo: an edge that runs in advance, and a relay that the event's stream passes.

In: the platform's REST. Out: what runs where, once it does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from rich.console import Console

from umbel.demo.stage import DemoFailed, done

EDGE_AT, RELAY_AT = "pe2", "c1"
"""Of SLS's network: the viewer's node, and one on the way there."""
RELAY = "relay"

_BOOTED_S = 300.0
_LOOK_S = 0.5

Json = dict[str, Any]


async def relayed(
    api: httpx.AsyncClient,
    event: str,
    console: Console,
    edge_at: str = EDGE_AT,
    relay_at: str = RELAY_AT,
) -> None:
    """An edge runs at its node, and a relay is wanted on the way to it: it starts with the first
    viewer, when the stream goes there. Raises DemoFailed."""
    console.print(f"edge guest at {edge_at} boots ... (emulated: up to a minute)")
    await done(api.put(f"/api/v1/nodes/{edge_at}/prepared", json={"edges": 1}))
    await until(lambda: function_at(api, edge_at, "edge"), f"an edge at {edge_at}")
    asked = {"stream": event, "port": 5004, "node": relay_at, "image": RELAY}
    await done(api.put(f"/api/v1/network/functions/{RELAY}", json=asked))
    console.print(
        f"edge guest at {edge_at} runs; the relay guest at {relay_at} comes with a viewer"
    )


async def no_more(api: httpx.AsyncClient, edge_at: str) -> None:
    """The edge has its viewer: no other one runs in advance, which would boot next to it."""
    await done(api.put(f"/api/v1/nodes/{edge_at}/prepared", json={"edges": 0}))


async def serving_at(api: httpx.AsyncClient, node: str) -> Json | None:
    """An edge that runs on the node and has a stream."""
    found = await function_at(api, node, "edge")
    return found if found and found["streams"] else None


async def function_at(api: httpx.AsyncClient, node: str, role: str) -> Json | None:
    """A function of that role that runs on the node."""
    found = (await done(api.get("/api/v1/functions"))).json()
    return next(
        (f for f in found if (f["node"], f["role"], f["state"]) == (node, role, "active")), None
    )


async def relay_on_path(api: httpx.AsyncClient) -> Json | None:
    """The relay, once the stream passes it."""
    found = (await done(api.get("/api/v1/network/functions"))).json()
    return next((one for one in found if one["name"] == RELAY and one["on_path"]), None)


async def until(
    ask: Callable[[], Awaitable[Json | None]], what: str, within_s: float = _BOOTED_S
) -> Json:
    """The first answer that is not None. Raises DemoFailed."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                if (found := await ask()) is not None:
                    return found
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise DemoFailed(f"{what} is not there after {within_s:g} s") from None
