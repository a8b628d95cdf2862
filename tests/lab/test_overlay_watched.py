"""The live path over real switches: functions at the nodes, media by the tunnels only, and a
viewer in a browser who keeps the picture when a link is cut."""

import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.overlay_lab import cut
from support.platform import Platform, platform
from support.testbed import ABSENT, Testbed, running
from support.waiting import until
from umbel.demo.browser import chromium, report, until_decoded
from umbel.demo.stage import LiveEvent
from umbel.network.topology import files

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]

DECODED_S = 90.0
_HEIGHT = "document.querySelector('video').videoHeight"
_ALL_FRAMES, _IPV4, _UDP = 0x0003, 0x0800, 17


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Testbed]:
    with running(files.builtin("sls"), tmp_path / "testbed") as made:
        yield made


@pytest.fixture
async def made(bed: Testbed, tmp_path: Path) -> AsyncIterator[Platform]:
    (tmp_path / "data").mkdir()
    options = ("--network", str(bed.sites_file))
    async with platform(tmp_path / "data", options) as platform_:
        yield platform_


@contextmanager
def tapped(bed: Testbed, *nodes: str) -> Iterator[dict[str, socket.socket]]:
    """Everything that crosses these nodes' cables to the management network."""
    taps: dict[str, socket.socket] = {}
    try:
        for name in nodes:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
            taps[name] = tap
            tap.bind((bed.nodes[name].plan.outer, 0))
            tap.setblocking(False)
        yield taps
    finally:
        for tap in taps.values():
            tap.close()


def datagrams(tap: socket.socket, between: set[str]) -> int:
    """How many UDP packets from one of these addresses to another it saw."""
    found = 0
    while True:
        try:
            frame = tap.recv(4096)
        except BlockingIOError:
            return found
        if int.from_bytes(frame[12:14], "big") == _IPV4 and frame[23] == _UDP:
            ends = {socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])}
            found += ends <= between


def packets(bed: Testbed, node: str, neighbour: str) -> int:
    """What the node's tunnel took from a neighbour."""
    switch = bed.nodes[node]
    remote = bed.nodes[neighbour].site.underlay[node]
    tunnel = ["--bare", "--columns=ofport", "find", "interface", f"options:remote_ip={remote}"]
    port = switch.run("ovs-vsctl", *tunnel).strip()
    said = switch.run("ovs-ofctl", "-O", "OpenFlow14", "dump-ports", "br1", port)
    found = re.search(r"rx pkts=(\d+)", said)
    assert found, said
    return int(found[1])


async def links(made: Platform, event: LiveEvent) -> list[list[str]]:
    tree: dict[str, Any] = await made.get(f"trees/{event.id}")
    found: list[list[str]] = tree["links"]
    return found


async def test_media_goes_by_the_tunnels_only_and_around_a_cut_link(
    bed: Testbed, made: Platform
) -> None:
    event, _ = await made.live()
    async with chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{made.url}/watch/{event.id}?node=pe3&protocol=whep")
        seen = await until_decoded(page, 30, timeout_s=DECODED_S)
        assert seen["edge"] == "pe3"
        tree = await made.get(f"trees/{event.id}")
        assert tree["links"] == [["pe1", "c1"], ["c1", "pe3"]]
        assert [branch["role"] for branch in tree["branches"]] == ["acquirer", "edge"]
        # Each function is a process inside its node's namespace.
        inside = {Path(f"/proc/{r['pid']}/ns/net").stat().st_ino for r in made.records().values()}
        nodes = [bed.nodes[name].namespace for name in ("pe1", "pe3")]
        assert inside == {Path(f"/run/netns/{name}").stat().st_ino for name in nodes}

        with tapped(bed, "pe1", "pe3") as taps:
            before = packets(bed, "pe3", "c1")
            await until_decoded(page, seen["framesDecoded"] + 60, timeout_s=DECODED_S)
            between = {node.management for node in bed.nodes.values()}
            assert {name: datagrams(tap, between) for name, tap in taps.items()} == {
                "pe1": 0,
                "pe3": 0,
            }
            assert packets(bed, "pe3", "c1") - before > 60

        async def around() -> list[list[str]]:
            return await links(made, event)

        with cut(bed, ("c1", "pe3")):
            wanted = [["pe1", "c1"], ["c1", "c2"], ["c2", "pe3"]]
            await until(around, lambda now: now == wanted, within_s=30)
            seen = await report(page)
            await until_decoded(page, seen["framesDecoded"] + 60, timeout_s=DECODED_S)
            assert await page.evaluate("window.umbelPlayer.sessionsOpened") == 1
            alive = [one for one in await made.get("functions") if one["state"] == "active"]
            assert len(alive) == 2


async def test_a_smaller_picture_crosses_the_switches_on_a_way_of_its_own(
    bed: Testbed, made: Platform
) -> None:
    event, _ = await made.live()
    async with chromium() as browser:
        for node in ("pe4", "pe2"):
            page = await browser.new_page()
            await page.goto(f"{made.url}/watch/{event.id}?node={node}&protocol=whep&quality=360p")
            seen = await until_decoded(page, 30, timeout_s=DECODED_S)
            assert seen["edge"] == node
            # Decoded frames are counted before the first one is shown.
            await page.wait_for_function(f"{_HEIGHT} > 0", timeout=DECODED_S * 1000)
            assert await page.evaluate(_HEIGHT) == 360
        source = await made.get(f"trees/{event.id}")
        assert source["links"] == [["pe1", "c1"], ["c1", "c2"], ["c2", "pe4"]]
        assert [branch["role"] for branch in source["branches"]] == ["acquirer", "transcoder"]
        small = await made.get(f"trees/{event.id}?quality=360p")
        assert small["links"] == [["pe4", "c2"], ["c2", "c1"], ["c1", "pe2"]]
        assert [branch["role"] for branch in small["branches"]] == ["transcoder", "edge", "edge"]
