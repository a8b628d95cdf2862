"""A new edge of a running stream serves at once: it begins with pictures that its feeder has."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support import webrtc_peer
from support.media_server import Ground, MediaProcess, ground
from support.media_tree import KEY, spec
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import StreamRole, Target

pytestmark = [pytest.mark.lab, pytest.mark.alone, pytest.mark.timeout(120)]

GROUP_S = 6


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


async def test_hls_and_whep_viewers_of_a_new_edge_wait_for_no_key_picture(made: Ground) -> None:
    plane = JsonRpcMedia()
    acquirer = made.start("acq", "acquirer", "127.0.9.11")
    edges = [made.start(f"edge-{n}", "edge", f"127.0.9.{n}") for n in (12, 13)]
    targets = []
    for edge in edges:
        state = await plane.ensure(edge.server, spec(StreamRole.EDGE))
        targets.append(Target(address=edge.server.address, port=state.port, burst=True))
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            await plane.ensure(acquirer.server, spec(StreamRole.ACQUIRER, targets[0]))
            url = f"rtmp://127.0.9.11:{acquirer.ports['rtmp']}/live/{KEY}"
            made.push("-g", str(25 * GROUP_S), "-f", "flv", url)

            async def segments(edge: MediaProcess) -> int:
                token = made.token("session-1", "ev1")
                answer = await http.get(f"{edge.http}/hls/ev1/{token}/media.m3u8")
                return answer.text.count("#EXTINF") if answer.is_success else 0

            # So that the next key picture is seconds away.
            await until(lambda: segments(edges[0]), lambda count: count >= 2, within_s=60)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            await plane.ensure(acquirer.server, spec(StreamRole.ACQUIRER, *targets))
            await until(lambda: segments(edges[1]), within_s=30)
            assert loop.time() - began_s < GROUP_S / 2
            frames: list[object] = []
            token = made.token("session-2", "ev1")
            watcher = Watcher(http, f"{edges[1].http}/whep/ev1", token, on_frame=frames.append)
            with webrtc_peer.on_loopback():
                await watcher.start()
            try:

                async def decoded() -> int:
                    return len(frames)

                await until(decoded, within_s=30)
                assert loop.time() - began_s < GROUP_S
            finally:
                await watcher.close()
    finally:
        await plane.close()
