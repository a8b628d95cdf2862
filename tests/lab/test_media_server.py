"""Real media servers: a stream over three processes, and what they refuse."""

import asyncio
import itertools
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import websockets

from support import webrtc_peer
from support.media_server import SECRET, Ground, MediaProcess, ffmpeg, ground, key_hash
from support.media_tree import KEY, Tree, has_frames, request_keyframe, spec, value
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.kit import tokens
from umbel.kit.tokens import Claims, Signer
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import StreamRole, StreamSpec

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    with ground(tmp_path) as opened:
        yield opened


@pytest.fixture
async def plane() -> AsyncIterator[JsonRpcMedia]:
    opened = JsonRpcMedia()
    yield opened
    await opened.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
async def tree(made: Ground, plane: JsonRpcMedia) -> Tree:
    grown = Tree(
        ground=made,
        plane=plane,
        acquirer=made.start("acq-pe1-1", "acquirer", "127.0.9.11"),
        forwarder=made.start("fwd-p2-1", "forwarder", "127.0.9.12"),
        edge=made.start("edge-pe4-1", "edge", "127.0.9.13"),
    )
    await grown.grow()
    return grown


@pytest.fixture
async def edge(made: Ground, plane: JsonRpcMedia) -> MediaProcess:
    """One edge that has the stream, without packets."""
    started = made.start("edge-pe4-1", "edge", "127.0.9.13")
    await plane.ensure(started.server, spec(StreamRole.EDGE))
    return started


async def test_viewers_watch_what_an_encoder_pushes(tree: Tree, http: httpx.AsyncClient) -> None:
    tree.push_rtmp()
    await tree.flows()
    with webrtc_peer.on_loopback():
        watcher = tree.watcher(http)
        try:
            await watcher.start()
            await until(value(watcher.frames), has_frames, within_s=30)
            assert watcher.sizes == {(320, 240)}
            state = await tree.at(tree.edge)
            assert state.viewers == ("session-1",)
            assert state.mbps_out > 0
            left = await http.delete(watcher.resource, headers=watcher.headers)
            assert left.status_code == 200
            gone = await http.delete(watcher.resource, headers=watcher.headers)
            assert gone.status_code == 404
            assert (await tree.at(tree.edge)).viewers == ()
        finally:
            await watcher.close()


async def test_hls_players_watch_too(tree: Tree, http: httpx.AsyncClient) -> None:
    tree.push_rtmp()
    await tree.flows()
    token = tree.ground.token("session-2", "ev1")
    url = f"{tree.edge.http}/hls/ev1/index.m3u8?token={token}"

    async def playlist() -> httpx.Response:
        return await http.get(url)

    found = await until(playlist, lambda response: response.status_code == 200, within_s=40)
    assert found.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert found.headers["access-control-allow-origin"] == "*"
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", url, "-t", "2"]
    decode = await asyncio.create_subprocess_exec(
        *command, "-f", "null", "-", stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(60):
            _, errors = await decode.communicate()
    finally:
        if decode.returncode is None:
            decode.kill()
            await decode.wait()
    assert decode.returncode == 0, errors.decode()
    assert (await tree.at(tree.edge)).viewers == ("session-2",)


async def test_whip_publishers_pass_and_exclude_each_other(
    tree: Tree, http: httpx.AsyncClient
) -> None:
    url = f"{tree.acquirer.http}/whip/ev1"
    with webrtc_peer.on_loopback():
        peer, response = await webrtc_peer.publish(http, url, KEY, "H264")
        try:
            assert response.status_code == 201, response.text
            await tree.flows()
            state = await tree.at(tree.acquirer)
            assert state.ingest is not None
            assert (state.ingest.protocol, state.ingest.video) == ("whip", "H.264")
            assert state.ingest.transcoding == ""
            second, refused = await webrtc_peer.publish(http, url, KEY, "H264")
            await second.close()
            assert refused.status_code == 409
            assert refused.json()["code"] == "umbel.already_publishing"
            resource = str(httpx.URL(url).join(response.headers["location"]))
            for key, status in (("ev1.wrong", 401), (KEY, 200), (KEY, 404)):
                headers = {"Authorization": f"Bearer {key}"}
                assert (await http.delete(resource, headers=headers)).status_code == status
            ended = await until(
                lambda: tree.at(tree.acquirer), lambda s: not s.ingest.protocol and not s.flowing
            )
            assert not ended.flowing
        finally:
            await peer.close()


async def test_a_picture_that_a_viewer_needs_is_asked_of_a_whip_publisher(
    tree: Tree, http: httpx.AsyncClient
) -> None:
    with webrtc_peer.on_loopback():
        url = f"{tree.acquirer.http}/whip/ev1"
        peer, response = await webrtc_peer.publish(http, url, KEY, "H264")
        try:
            assert response.status_code == 201, response.text
            asked_s = webrtc_peer.picture_requests(peer)
            await tree.flows()
            processes = (tree.acquirer, tree.forwarder, tree.edge)
            # While the stream begins it is asked at once, also by nobody's wish.
            begun, before = len(asked_s), [await tree.at(one) for one in processes]

            async def beside_the_usual() -> bool:
                # Unasked it gets one every two seconds, whatever receivers need.
                await request_keyframe(tree.edge.server, "ev1", "WhepEndpoint")
                gaps_s = [b - a for a, b in itertools.pairwise(asked_s[begun:])]
                return any(gap_s < 1.5 for gap_s in gaps_s)

            await until(beside_the_usual, within_s=60)
            for process, then in zip(processes, before, strict=True):
                now = await tree.at(process)
                assert now.pictures_requested > then.pictures_requested
        finally:
            await peer.close()


async def test_a_vp8_publisher_is_transcoded_and_seen(tree: Tree, http: httpx.AsyncClient) -> None:
    with webrtc_peer.on_loopback():
        url = f"{tree.acquirer.http}/whip/ev1"
        peer, response = await webrtc_peer.publish(http, url, KEY, "VP8")
        watcher = tree.watcher(http)
        try:
            assert response.status_code == 201, response.text
            await tree.flows()
            state = await until(
                lambda: tree.at(tree.acquirer), lambda s: bool(s.ingest.transcoding)
            )
            assert "video" in state.ingest.transcoding
            await watcher.start()
            await until(
                value(watcher.frames), lambda frames: frames.get("video", 0) >= 10, within_s=40
            )
        finally:
            await watcher.close()
            await peer.close()


async def test_a_wrong_key_never_gets_in(tree: Tree, http: httpx.AsyncClient) -> None:
    tree.push_rtmp("ev1.wrong")

    async def encoder() -> int | None:
        return tree.ground.encoders[-1].poll()

    assert await until(encoder, lambda code: code is not None) != 0
    url = f"{tree.acquirer.http}/whip/ev1"
    headers = {"Content-Type": SDP}
    for key in ("", "Bearer ev1.wrong", "Basic ev1.correct-horse"):
        refused = await http.post(url, content="v=0", headers={**headers, "Authorization": key})
        assert refused.status_code == 401
        assert refused.json()["code"].startswith("umbel.")
    state = await tree.at(tree.acquirer)
    assert state.ingest is not None
    assert state.ingest.error
    assert not state.flowing


async def test_a_changed_key_ends_the_publisher(tree: Tree) -> None:
    tree.push_rtmp()
    await tree.flows()
    before = await tree.at(tree.acquirer)
    other = StreamSpec(
        stream="ev1",
        role=StreamRole.ACQUIRER,
        hops=before.hops,
        key_hashes=(key_hash("ev1.other"),),
    )
    await tree.plane.ensure(tree.acquirer.server, other)
    state = await until(lambda: tree.at(tree.acquirer), lambda s: not s.ingest.protocol)
    assert dict(state.urls) == dict(before.urls)


async def test_viewers_need_a_token_for_this_event(
    made: Ground, edge: MediaProcess, http: httpx.AsyncClient
) -> None:
    stranger = Signer(tokens.new_private_key())
    forged = stranger.sign(Claims(subject="s", scope="ev1", expires_s=2**31), tokens.VIEWER)
    cases = {
        "": (401, "umbel.token_missing"),
        "nonsense": (401, "umbel.token_invalid"),
        forged: (401, "umbel.token_invalid"),
        made.token("s", "ev1", ttl_s=-1): (401, "umbel.token_expired"),
        made.token("s", "ev2"): (403, "umbel.token_foreign"),
    }
    for token, expected in cases.items():
        headers = {"Authorization": f"Bearer {token}".strip(), "Content-Type": SDP}
        by_header = await http.post(f"{edge.http}/whep/ev1", content="v=0", headers=headers)
        by_query = await http.get(f"{edge.http}/hls/ev1/index.m3u8", params={"token": token})
        by_folder = await http.get(f"{edge.http}/hls/ev1/{token}/media.m3u8")
        for refused in (by_header, by_query, by_folder):
            body = refused.json()
            assert (refused.status_code, body["code"]) == expected
            assert set(body) == {"code", "message", "details"}
            assert refused.headers["access-control-allow-origin"] == "*"


async def test_a_resource_is_its_viewers_own(
    made: Ground, edge: MediaProcess, http: httpx.AsyncClient
) -> None:
    with webrtc_peer.on_loopback():
        watcher = Watcher(http, f"{edge.http}/whep/ev1", made.token("mine", "ev1"))
        try:
            await watcher.start()
        finally:
            await watcher.close()
    assert watcher.response is not None
    etag = watcher.response.headers["etag"]
    exposed = watcher.response.headers["access-control-expose-headers"]
    assert {"Location", "ETag", "Link"} <= set(exposed.split(", "))
    stranger = {"Authorization": f"Bearer {made.token('other', 'ev1')}"}
    assert (await http.delete(watcher.resource)).status_code == 401
    assert (await http.delete(watcher.resource, headers=stranger)).status_code == 403
    fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\n"
    fragment += "a=mid:0\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 9 typ host\r\n"
    headers = {**watcher.headers, "Content-Type": FRAGMENT}

    async def patch(**more: str) -> httpx.Response:
        return await http.patch(watcher.resource, content=fragment, headers=headers | more)

    assert (await patch(**{"Content-Type": SDP})).status_code == 415
    assert (await patch(**{"If-Match": '"elsewhere"'})).status_code == 412
    restarted = await patch(**{"If-Match": "*"})
    assert restarted.status_code == 200
    assert restarted.headers["etag"] != etag
    assert "a=ice-ufrag:" in restarted.text
    assert (await patch(**{"If-Match": etag})).status_code == 412
    trickled = await patch(**{"If-Match": restarted.headers["etag"]})
    assert trickled.status_code == 204
    assert (await http.delete(watcher.resource, headers=watcher.headers)).status_code == 200


async def test_http_is_answered_as_agreed(
    made: Ground, edge: MediaProcess, http: httpx.AsyncClient
) -> None:
    url, token = f"{edge.http}/whep/ev1", made.token("s", "ev1")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": SDP}
    options = await http.options(url)
    assert options.status_code == 204
    assert options.headers["accept-post"] == SDP
    assert "PATCH" in options.headers["access-control-allow-methods"]
    cases = [
        (await http.post(url, content="v=0", headers=headers), 400),
        (await http.post(url, content="x" * 70_000, headers=headers), 413),
        (await http.post(url, content=b"\xff\xfe", headers=headers), 400),
        (await http.post(url, content="{}", headers={**headers, "Content-Type": "a/b"}), 415),
        (await http.get(url, headers=headers), 405),
        (await http.get(f"{edge.http}/nothing"), 404),
        (await http.post(f"{edge.http}/whip/ev1", headers=headers), 404),
        (await http.delete(f"{url}/0123", headers=headers), 404),
    ]
    for response, status in cases:
        assert response.status_code == status, response.text
        assert set(response.json()) == {"code", "message", "details"}
    elsewhere = {**headers, "Authorization": f"Bearer {made.token('s', 'ev9')}"}
    unknown = await http.post(f"{edge.http}/whep/ev9", content="v=0", headers=elsewhere)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "umbel.stream_unknown")


def test_a_media_server_takes_all_the_descriptors_that_it_may_have(made: Ground) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(os.listdir("/proc/self/fd")) + 64  # what earlier tests of this process hold counts
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    try:
        started = made.start("edge-pe4-2", "edge", "127.0.9.14")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(started.process.pid, resource.RLIMIT_NOFILE)[0] > few


async def test_health_and_metrics(edge: MediaProcess, http: httpx.AsyncClient) -> None:
    health = await http.get(f"{edge.control}/healthz")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    metrics = (await http.get(f"{edge.control}/metrics")).text
    assert 'umbel_media_streams{role="edge"} 1.0' in metrics
    assert 'umbel_media_viewers{stream="ev1"} 0.0' in metrics
    assert 'umbel_media_viewers_lossy{over="0.05"} 0.0' in metrics
    assert "process_cpu_seconds_total" in metrics


async def test_the_control_channel_opens_to_the_secret_only(edge: MediaProcess) -> None:
    base = edge.control.replace("http", "ws")
    for wrong in ({}, {"Authorization": "Bearer nearly"}, {"Authorization": SECRET}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(f"{base}/kurento", additional_headers=wrong, proxy=None)
        assert refused.value.response.status_code == 401
    async with websockets.connect(f"{base}/kurento?secret={SECRET}", proxy=None) as socket:
        await socket.send('{"jsonrpc":"2.0","method":"ping","id":0}')
        assert '"pong"' in await socket.recv()
        await socket.send("[]")
        assert "-32600" in await socket.recv()
    async with websockets.connect(f"{base}/elsewhere", proxy=None) as socket:
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002


async def test_media_outlives_the_control_plane(tree: Tree) -> None:
    tree.push_rtmp()
    await tree.flows()
    ports = {p.server.function_id: (await tree.at(p)).port for p in (tree.forwarder, tree.edge)}
    await tree.plane.close()
    tree.plane = JsonRpcMedia()
    try:
        for process in (tree.acquirer, tree.forwarder, tree.edge):
            state = await tree.at(process)
            assert state.flowing
            assert state.port == ports.get(process.server.function_id, 0)
        await tree.grow()
        assert (await tree.at(tree.edge)).flowing
    finally:
        await tree.plane.close()


async def test_sigterm_ends_cleanly_whoever_is_connected(
    tree: Tree, http: httpx.AsyncClient
) -> None:
    tree.push_rtmp()
    await tree.flows()
    token = tree.ground.token("s", "ev1")
    far = f"{tree.edge.http}/hls/ev1/{token}/media.m3u8?_HLS_msn=0"
    waiting = asyncio.create_task(http.get(far))
    with webrtc_peer.on_loopback():
        watcher = tree.watcher(http)
        try:
            await watcher.start()
            for process in (tree.edge, tree.forwarder, tree.acquirer):
                assert await asyncio.to_thread(process.end) == 0
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await watcher.close()
