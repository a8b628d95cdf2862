"""`umbel node` against a front end that listens: what it says, and how it fails."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World, make_system, serving, world
from support.nodes import MemoryNodes
from umbel.cli import app
from umbel.compute.model import Scheduling
from umbel.delivery.model import NodeAvailability, NodeStatus
from umbel.kit.db import Database


@pytest.fixture
async def there(sqlite: Database, tmp_path: Path) -> AsyncIterator[tuple[World, str]]:
    system = make_system(sqlite, tmp_path)
    async with (
        world(system, served=True, static=tmp_path / "no-build") as here,
        serving(here.app) as (_, url),
    ):
        yield here, url


async def node(url: str, *words: str, user: str = "operator", **env: str) -> Result:
    known = {"UMBEL_URL": url, "UMBEL_USER": user, "UMBEL_PASSWORD": PASSWORD, "COLUMNS": "160"}
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["node", *words], env={**known, **env})
    )


async def test_nodes_are_listed_added_cordoned_and_removed(there: tuple[World, str]) -> None:
    here, url = there
    words = ("pe9", "127.0.9.1", "--link", "c1,500,2.5", "--link", "pe4", "--cores", "2")
    assert (await node(url, "add", *words)).stdout == "added pe9\n"
    made = await here.system.nodes.get("pe9")
    assert (made.address, made.cores) == ("127.0.9.1", 2.0)
    links = [(link.b, link.mbps, link.delay_ms) for link in here.system.nodes.links]
    assert links == [("c1", 500.0, 2.5), ("pe4", 1000.0, 1.0)]
    assert (await node(url, "cordon", "pe9")).stdout == "pe9 is cordoned\n"
    listed = await node(url, "list")
    (row,) = [line for line in listed.stdout.splitlines() if "pe9" in line]
    assert "cordoned" in row
    assert "0.00/2" in row
    assert (await node(url, "uncordon", "pe9")).stdout == "pe9 is ready\n"
    assert (await node(url, "remove", "pe9")).stdout == "removed pe9\n"
    assert "pe9" not in [one.name for one in await here.system.nodes.list()]


class Draining(MemoryNodes):
    """Each look at a draining node finds less on it."""

    def __init__(self) -> None:
        super().__init__()
        self.left = [("edge-pe4-1", "acquirer-pe4-1"), ("acquirer-pe4-1",), ("acquirer-pe4-1",), ()]
        self.within_s: list[float | None] = []

    async def get(self, name: str) -> NodeStatus:
        functions = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        state = NodeAvailability.DRAINING if functions else NodeAvailability.DRAINED
        return replace(await super().get(name), functions=functions, state=state)

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        self.within_s.append(within_s)
        return await self.get(name)


async def test_a_drain_shows_what_is_left_until_nothing_is(
    sqlite: Database, tmp_path: Path
) -> None:
    nodes = Draining()
    system = replace(make_system(sqlite, tmp_path), nodes=nodes)
    async with world(system, served=True) as here, serving(here.app) as (_, url):
        done = await node(url, "drain", "pe4", "--within", "30")
        assert done.stdout.splitlines() == [
            "pe4 is draining: 0 viewers, edge-pe4-1, acquirer-pe4-1",
            "pe4 is draining: 0 viewers, acquirer-pe4-1",
            "pe4 is drained",
        ]
        assert (await node(url, "drain", "pe4", "--force")).stdout == "pe4 is drained\n"
        await node(url, "drain", "pe4", "--no-wait")
        assert nodes.within_s == [30.0, 0.0, None]


class Uncordoned(MemoryNodes):
    """Somebody undoes each drain, while functions are on the node."""

    async def get(self, name: str) -> NodeStatus:
        return replace(await super().get(name), functions=("edge-pe4-1",))

    async def schedule(
        self, name: str, scheduling: Scheduling, *, by: str, within_s: float | None = None
    ) -> NodeStatus:
        return replace(await self.get(name), state=NodeAvailability.DRAINING)


async def test_a_drain_that_somebody_undoes_is_reported(sqlite: Database, tmp_path: Path) -> None:
    system = replace(make_system(sqlite, tmp_path), nodes=Uncordoned())
    async with world(system, served=True) as here, serving(here.app) as (_, url):
        done = await node(url, "drain", "pe4")
    assert done.stdout == "pe4 is draining: 0 viewers, edge-pe4-1\n"
    assert (done.exit_code, done.stderr) == (1, "the drain of pe4 was cancelled\n")


async def test_what_is_wrong_with_a_field_is_named(there: tuple[World, str]) -> None:
    _, url = there
    refused = await node(url, "add", "pe9", "127.0.9.1", "--link", "c1", "--cores", "0")
    assert (refused.exit_code, "(umbel.unprocessable)" in refused.stderr) == (2, True)
    assert "  - cores: " in refused.stderr


async def test_a_refusal_has_the_platforms_code_and_exit_code_2(there: tuple[World, str]) -> None:
    _, url = there
    refused = [
        (await node(url, "cordon", "nowhere"), "umbel.no_such_node"),
        (await node(url, "list", user="viewer"), "umbel.forbidden"),
        (await node(url, "list", UMBEL_PASSWORD="wrong"), "umbel.bad_credentials"),
        (await node(url, "list", UMBEL_TOKEN="worth.no.thing"), "umbel.token_invalid"),
        (await node("http://127.0.0.1:9", "list"), "umbel.platform_unreachable"),
    ]
    for result, code in refused:
        assert (result.exit_code, f"({code})" in result.stderr) == (2, True), result.output
    wrong = await node(url, "add", "pe9", "127.0.9.1", "--link", "c1,fast")
    assert (wrong.exit_code, "not NODE" in wrong.output) == (2, True)


async def test_what_is_no_platform_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            result = await node(f"http://127.0.0.1:{other.server_port}", "list")
            no_url = await node("http://[", "list")
        finally:
            other.shutdown()
            thread.join()
    assert (result.exit_code, "not a platform" in result.stderr) == (2, True)
    assert (no_url.exit_code, "(umbel.platform_unreachable)" in no_url.stderr) == (2, True)
