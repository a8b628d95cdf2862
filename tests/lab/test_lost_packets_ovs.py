"""Over switches that copy, receivers get again what they alone missed, and can ask for a picture.

A testbed of four nodes: r sends to c and e, a's switch makes the copies. The link to c loses.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import pytest
from av import VideoFrame

from support import lossy_link, overlay_lab, testbed, webrtc_peer
from support.lossy_link import LossyLink
from support.media_server import Ground, MediaProcess, ground
from support.media_tree import KEY, request_keyframe, spec
from support.overlay_lab import Lab
from support.testbed import Testbed
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.kit import netns
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import StreamRole, StreamState, Target
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay.spanning import Drawing, Role

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]

FRAME = 90_000 // 25
KEY_INTERVAL_S = 20
"""So long that a viewer who had to wait for a key picture would not get on in this test."""
NODES = ("r", "a", "c", "e")
DRAWING = Drawing(
    roles={"r": Role.ROOT, "a": Role.RELAY, "c": Role.LEAF, "e": Role.LEAF},
    links=(("r", "a"), ("a", "c"), ("a", "e")),
)


@dataclass
class Event:
    """An acquirer at r and edges at c and e, between which the switches carry the stream ev1."""

    ground: Ground
    lab: Lab
    plane: JsonRpcMedia
    acquirer: MediaProcess
    edges: dict[str, MediaProcess]

    async def carry(self) -> None:
        root = self.acquirer.server.address
        hops = [
            Hop(
                source_node="r",
                target=Endpoint(
                    node=node,
                    address=edge.server.address,
                    port=(await self.plane.ensure(edge.server, spec(StreamRole.EDGE))).port,
                ),
                source_address=root,
            )
            for node, edge in self.edges.items()
        ]
        (to,) = {(e.address, e.port) for e in (await self.lab.fabric.ensure("ev1", hops)).values()}
        for edge in self.edges.values():
            sources = replace(spec(StreamRole.EDGE), sources=(root, to[0]))
            await self.plane.ensure(edge.server, sources)
        await self.lab.alive()
        target = Target(address=to[0], port=to[1])
        await self.plane.ensure(self.acquirer.server, spec(StreamRole.ACQUIRER, target))

    async def at(self, process: MediaProcess) -> StreamState:
        return (await self.plane.observe(process.server))["ev1"]

    async def flows(self) -> None:
        for edge in self.edges.values():
            await until(partial(self.at, edge), lambda state: state.flowing, within_s=30)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    document = testbed.drawn(NODES, list(DRAWING.links))
    with testbed.running(document, tmp_path_factory.mktemp("overlay")) as up:
        yield up


@pytest.fixture
async def event(bed: Testbed, tmp_path: Path) -> AsyncIterator[Event]:
    settings = overlay_lab.terms(bed.controller, bfd_ms=overlay_lab.PATIENT_BFD_MS)
    plane = JsonRpcMedia()
    with ground(tmp_path) as made:

        def start(role: str, node: str) -> MediaProcess:
            place = bed.nodes[node]
            work = partial(made.start, f"{role}-{node}", role, place.management)
            return netns.inside(place.namespace, work)

        edges = {node: start("edge", node) for node in "ce"}
        acquirer = start("acquirer", "r")
        async with overlay_lab.controlled(bed, DRAWING, settings) as lab:
            event = Event(made, lab, plane, acquirer, edges)
            await event.carry()
            yield event
        await plane.close()


@asynccontextmanager
async def watched(event: Event, node: str) -> AsyncIterator[list[int]]:
    """The timestamps of the frames that a viewer at a node's edge decodes."""
    times: list[int] = []

    def note(frame: VideoFrame) -> None:
        assert frame.pts is not None
        times.append(frame.pts)

    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        token = event.ground.token(f"session-{node}", "ev1")
        url = f"{event.edges[node].http}/whep/ev1"
        watcher = Watcher(http, url, token, on_frame=note)
        with webrtc_peer.on_loopback(event.lab.bed.controller):
            await watcher.start()
        try:
            yield times
        finally:
            await watcher.close()


def burst(number: int) -> bool:
    """Every seventh packet is lost, and sometimes several in a row."""
    return number % 7 == 3 or number % 90 < 5


def missing(times: Sequence[int]) -> list[tuple[int, int]]:
    """Where frames are missing, as the timestamps around each hole."""
    return [(a, b) for a, b in itertools.pairwise(times) if b - a > FRAME]


async def at_least(times: list[int], count: int) -> None:
    async def enough() -> bool:
        return len(times) >= count

    await until(enough, within_s=40)


async def test_what_one_leaf_loses_is_sent_again_to_it_alone(bed: Testbed, event: Event) -> None:
    port = event.acquirer.ports["rtmp"]
    url = f"rtmp://{event.acquirer.server.address}:{port}/live/{KEY}"
    event.ground.push("-g", str(25 * KEY_INTERVAL_S), "-f", "flv", url)
    await event.flows()
    with (
        lossy_link.losing(bed, "a", "c", burst) as to_c,
        lossy_link.losing(bed, "a", "e", lambda _number: False) as to_e,
    ):
        async with watched(event, "c") as at_c, watched(event, "e") as at_e:
            for times in (at_c, at_e):
                await at_least(times, 10)
                times.clear()  # they began with the cache's pictures, which lie closer together
            await asyncio.gather(at_least(at_c, 200), at_least(at_e, 200))
            assert missing(at_c) == []
            assert missing(at_e) == []
            await until_sent_again(to_c)
        check_traffic(to_c, to_e)


async def until_sent_again(link: LossyLink) -> None:
    """What is lost until now comes: further packets are lost meanwhile."""
    lost = set(link.lost)

    async def left() -> int:
        return len(lost & link.lost)

    await until(left, lambda count: count < 20)


def check_traffic(to_c: LossyLink, to_e: LossyLink) -> None:
    """What was lost came again to c, and e got each packet once."""
    assert len(to_c.ever_lost) > 50
    assert set(to_e.seen.values()) == {1}
    assert not any(count > 1 for number, count in to_c.seen.items() if number not in to_c.ever_lost)


async def test_a_picture_that_an_edge_needs_is_asked_of_the_publisher(event: Event) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        with webrtc_peer.on_loopback(event.lab.bed.controller):
            url = f"{event.acquirer.http}/whip/ev1"
            peer, response = await webrtc_peer.publish(http, url, KEY, "H264")
        try:
            assert response.status_code == 201, response.text
            asked_s = webrtc_peer.picture_requests(peer)
            await event.flows()
            # While the stream begins it is asked at once, also by nobody's wish.
            begun, before = len(asked_s), await event.at(event.acquirer)

            async def asked_out_of_turn() -> bool:
                # Unasked it gets one every two seconds, whatever receivers need.
                await request_keyframe(event.edges["c"].server, "ev1", "WhepEndpoint")
                gaps_s = [b - a for a, b in itertools.pairwise(asked_s[begun:])]
                return any(gap_s < 1.5 for gap_s in gaps_s)

            await until(asked_out_of_turn, within_s=30)
            now = await event.at(event.acquirer)
            assert now.pictures_requested > before.pictures_requested
        finally:
            await peer.close()
