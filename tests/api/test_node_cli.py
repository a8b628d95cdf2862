"""`umbel node` against a front end that listens: what it says, and how it fails."""

import asyncio
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World, make_system, serving, world
from support.nodes import MemoryNodes
from umbel.cli import app
from umbel.compute.model import PowerDraw, Scheduling
from umbel.delivery.model import NodeAvailability, NodeStatus
from umbel.kit.db import Database
from umbel.network.documents import LinkEnd


async def node(url: str, *words: str, user: str = "operator", **env: str) -> Result:
    known = {"UMBEL_URL": url, "UMBEL_USER": user, "UMBEL_PASSWORD": PASSWORD, "COLUMNS": "160"}
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["node", *words], env={**known, **env})
    )


async def test_nodes_are_listed_added_cordoned_and_removed(there: tuple[World, str]) -> None:
    here, url = there
    words = ("pe9", "127.0.9.1", "--link", "c1,500,2.5", "--link", "pe4", "--cores", "2")
    more = ("--ports", "20000,20999", "--watts", "6,15.5")
    assert (await node(url, "add", *words, *more)).stdout == "added pe9\n"
    (given,) = here.system.nodes.added
    assert (given.ports, given.watts) == ((20000, 20999), PowerDraw(idle=6.0, busy=15.5))
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


SWITCH = """
ovsdb: tcp:192.0.2.9:6640
gateway: 10.209.0.1/24
links:
  c1:
    local: {underlay: 198.51.100.1}
    remote: {underlay: 198.51.100.2, cable: eth9}
"""


async def test_functions_run_in_advance(there: tuple[World, str]) -> None:
    _, url = there
    done = await node(url, "prepare", "pe1", "--edges", "2", "--forwarders", "1")
    assert done.stdout == "pe1 is to have 2 idle edges and 1 idle forwarders\n"
    listed = await node(url, "prepared")
    assert listed.stdout.split()[4:] == ["pe1", "2", "1", "edge-pe1-1,", "edge-pe1-2"]
    lost = await node(url, "prepare", "nowhere", "--edges", "1")
    assert (lost.exit_code, "umbel.no_such_node" in lost.stderr) == (2, True)
    many = await node(url, "prepare", "pe1", "--edges", "33")
    assert (many.exit_code, "less than or equal to 32" in many.stderr) == (2, True)


async def test_a_switch_comes_with_a_node_from_a_file(
    there: tuple[World, str], tmp_path: Path
) -> None:
    here, url = there
    file = tmp_path / "pe9.yaml"
    words = ("add", "pe9", "127.0.9.1", "--link", "c1", "--link", "pe4", "--site", str(file))
    file.write_text(SWITCH)
    assert (await node(url, *words)).stdout == "added pe9\n"
    (made,) = here.system.nodes.sites
    assert made.site is not None
    assert (made.site.node, made.site.ovsdb) == ("pe9", "tcp:192.0.2.9:6640")
    assert made.local == {"c1": LinkEnd(underlay="198.51.100.1")}
    assert made.remote == {"c1": LinkEnd(underlay="198.51.100.2", cable="eth9")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "not a switch's fields and `links` by neighbour"),
        ("links: [c1]", "not a switch's fields and `links` by neighbour"),
        ("&a {links: *a}", "not a switch's fields and `links` by neighbour"),
        ("links: {c7: {}}", "no --link leads to c7"),
        ("links: {c1: {near: {}}}", "c1: not `local` and `remote`"),
        ("{", "The network file is not YAML"),
        ("{ovsdb: 2024-01-01, gateway: 10.209.0.1/24}", "site.ovsdb"),
        ("{gateway: 10.209.0.1/24, colour: red}", "site.colour"),
    ],
)
async def test_what_is_wrong_in_the_file_is_named(
    there: tuple[World, str], tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "pe9.yaml"
    file.write_text(text)
    words = ("add", "pe9", "127.0.9.1", "--link", "c1", "--site", str(file))
    wrong = await node(there[1], *words, COLUMNS="400")
    assert (wrong.exit_code, said in wrong.output) == (2, True), wrong.output


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
    for option, said in (
        (("--link", "c1,fast"), "not NODE"),
        (("--link", "c1", "--ports", "20000"), "not FIRST,LAST"),
        (("--link", "c1", "--watts", "6"), "not IDLE,BUSY"),
        (("--link", "c1", "--watts", "6,much"), "not IDLE,BUSY"),
    ):
        wrong = await node(url, "add", "pe9", "127.0.9.1", *option)
        assert (wrong.exit_code, said in wrong.output) == (2, True)


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
