"""One suite over every MediaDriver: the fake, and real media servers over JSON-RPC."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from support.media_rigs import KEY, FakeRig, RealRig, Rig
from support.media_server import ground, key_hash
from support.waiting import until
from umbel.kit.errors import Conflict, Invalid, Unavailable
from umbel.media.model import (
    CaptionTrack,
    NumberedCue,
    Server,
    StreamRole,
    StreamSpec,
    StreamState,
    Target,
)
from umbel.media.service import Media


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.lab)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    with ground(tmp_path) as made:
        rig: Rig = FakeRig() if request.param == "fake" else RealRig(made)
        try:
            yield rig
        finally:
            await rig.close()


def spec(role: StreamRole, *hops: Target, stream: str = "ev1") -> StreamSpec:
    keys = (key_hash(KEY),) if role is StreamRole.ACQUIRER else ()
    return StreamSpec(stream=stream, role=role, hops=hops, key_hashes=keys)


async def test_an_acquirer_tells_where_to_push(rig: Rig) -> None:
    server = await rig.start("acq", StreamRole.ACQUIRER)
    state = await rig.plane.ensure(server, spec(StreamRole.ACQUIRER))
    assert (state.stream, state.role, state.port) == ("ev1", StreamRole.ACQUIRER, 0)
    assert {"rtmp", "srt", "rtp", "mpegts", "whip"} == dict(state.urls).keys()
    assert dict(state.urls)["whip"].endswith("/whip/ev1")
    assert dict(state.urls)["rtmp"].startswith(f"rtmp://{server.address}:")
    assert state.ingest is not None
    assert state.ingest.protocol == ""
    assert not state.flowing


async def test_a_forwarder_listens_and_sends_on(rig: Rig) -> None:
    server = await rig.start("fwd", StreamRole.FORWARDER)
    hop = Target(address="127.0.9.99", port=5004)
    state = await rig.plane.ensure(server, spec(StreamRole.FORWARDER, hop))
    assert state.port > 0
    assert state.hops == (hop,)
    assert state.urls == ()
    assert state.ingest is None


async def test_an_edge_tells_where_to_watch(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    state = await rig.plane.ensure(server, spec(StreamRole.EDGE))
    assert state.port > 0
    assert dict(state.urls)["whep"].endswith("/whep/ev1")
    assert dict(state.urls)["hls"].endswith("/hls/ev1/index.m3u8")
    assert state.viewers == ()


async def test_what_was_said_is_for_edges_alone(rig: Rig) -> None:
    cue = NumberedCue(number=1, text="Hello", start_s=1.0, end_s=2.0)
    track = CaptionTrack(language="en-US", cues=(cue,))
    edge = await rig.start("edge", StreamRole.EDGE)
    state = await rig.plane.ensure(edge, spec(StreamRole.EDGE))
    assert dict(state.urls)["hls_subtitled"].endswith("/hls/ev1/subtitled.m3u8")
    await rig.plane.put_captions(edge, "ev1", track)
    await rig.plane.put_captions(edge, "ev2", track)
    forwarder = await rig.start("fwd", StreamRole.FORWARDER)
    await rig.plane.ensure(forwarder, spec(StreamRole.FORWARDER))
    await rig.plane.put_captions(forwarder, "ev1", track)


async def test_ensure_again_adjusts_and_keeps_the_port(rig: Rig) -> None:
    server = await rig.start("fwd", StreamRole.FORWARDER)
    first = await rig.plane.ensure(server, spec(StreamRole.FORWARDER))
    hops = (Target(address="127.0.9.98", port=5004), Target(address="127.0.9.99", port=5006))
    second = await rig.plane.ensure(server, spec(StreamRole.FORWARDER, *hops))
    third = await rig.plane.ensure(server, spec(StreamRole.FORWARDER, hops[1]))
    assert first.port == second.port == third.port
    assert second.hops == hops
    assert third.hops == hops[1:]
    assert list(await rig.plane.observe(server)) == ["ev1"]


async def test_a_stream_that_comes_in_has_a_picture(rig: Rig) -> None:
    server = await rig.start("acq", StreamRole.ACQUIRER)
    await rig.plane.ensure(server, spec(StreamRole.ACQUIRER))
    assert await rig.plane.thumbnail(server, "ev1") is None
    await rig.publish(server, "ev1", KEY)
    async with asyncio.timeout(60):
        while (found := await rig.plane.thumbnail(server, "ev1")) is None:
            await asyncio.sleep(0.1)
    assert found.jpeg.startswith(b"\xff\xd8\xff")
    assert found.age_s < 60
    assert await rig.plane.thumbnail(server, "ev2") is None


async def test_what_only_passes_a_stream_on_has_no_picture(rig: Rig) -> None:
    server = await rig.start("fwd", StreamRole.FORWARDER)
    await rig.plane.ensure(server, spec(StreamRole.FORWARDER))
    assert await rig.plane.thumbnail(server, "ev1") is None


async def test_two_at_once_make_one_stream(rig: Rig) -> None:
    server = await rig.start("fwd", StreamRole.FORWARDER)
    wanted = spec(StreamRole.FORWARDER)
    other = rig.another_client()
    states = await asyncio.gather(
        *(plane.ensure(server, wanted) for plane in (rig.plane, other, rig.plane, other))
    )
    assert len({state.port for state in states}) == 1


async def test_streams_have_ports_of_their_own(rig: Rig) -> None:
    server = await rig.start("fwd", StreamRole.FORWARDER)
    first = await rig.plane.ensure(server, spec(StreamRole.FORWARDER))
    second = await rig.plane.ensure(server, spec(StreamRole.FORWARDER, stream="ev2"))
    assert first.port != second.port
    assert set(await rig.plane.observe(server)) == {"ev1", "ev2"}


async def test_a_new_client_finds_everything(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    made = await rig.plane.ensure(server, spec(StreamRole.EDGE))
    other = rig.another_client()
    assert await other.observe(server) == {"ev1": made}
    assert (await other.ensure(server, spec(StreamRole.EDGE))).port == made.port


async def test_remove_drops_and_forgives(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    await rig.plane.ensure(server, spec(StreamRole.EDGE))
    await rig.plane.remove(server, "ev1")
    await rig.plane.remove(server, "ev1")
    assert await rig.plane.observe(server) == {}
    assert (await rig.plane.ensure(server, spec(StreamRole.EDGE))).port > 0


async def test_a_stream_keeps_its_role(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    before = await rig.plane.ensure(server, spec(StreamRole.EDGE))
    with pytest.raises(Conflict):
        await rig.plane.ensure(server, spec(StreamRole.FORWARDER))
    assert (await rig.plane.observe(server))["ev1"].port == before.port


async def test_a_revoked_session_watches_no_more_though_its_token_is_valid(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    wanted = spec(StreamRole.EDGE)
    await rig.plane.ensure(server, wanted)
    expires_s = int(time.time()) + 600

    async def watchers() -> tuple[str, ...]:
        await rig.watch_hls(server, "ev1", "se_1")
        await rig.watch_hls(server, "ev1", "se_2")
        return (await rig.plane.observe(server))["ev1"].viewers

    assert "se_1" in await watchers()
    one = replace(wanted, revoked=(("se_1", expires_s),))
    assert "se_1" not in (await rig.plane.ensure(server, one)).viewers
    assert await watchers() == ("se_2",)
    # Neither a client that knows of no revocation nor a stream made from nothing lets it in again.
    await rig.another_client().ensure(server, wanted)
    assert await watchers() == ("se_2",)
    await rig.plane.remove(server, "ev1")
    both = replace(wanted, revoked=(*one.revoked, ("se_2", expires_s)))
    await rig.plane.ensure(server, both)
    assert await watchers() == ()


WRONG = (
    StreamSpec(stream="../etc", role=StreamRole.EDGE),
    StreamSpec(stream="", role=StreamRole.EDGE),
    StreamSpec(stream="ev1", role=StreamRole.EDGE, hops=(Target(address="::1", port=0),)),
    StreamSpec(stream="ev1", role=StreamRole.EDGE, key_hashes=("secret",)),
    StreamSpec(stream="ev1", role=StreamRole.EDGE, height=360),
    StreamSpec(stream="ev1", role=StreamRole.FORWARDER, revoked=(("se_1", 9),)),
    StreamSpec(stream="ev1", role=StreamRole.TRANSCODER),
    StreamSpec(stream="ev1", role=StreamRole.TRANSCODER, height=361),
    StreamSpec(stream="ev1", role=StreamRole.RECORDER),
    StreamSpec(stream="ev1", role=StreamRole.RECORDER, record_token="short"),
    StreamSpec(stream="ev1", role=StreamRole.EDGE, record_token="t" * 32),
    StreamSpec(stream="ev1", role=StreamRole.EDGE, is_over=True),
)


async def test_what_makes_no_sense_is_invalid(rig: Rig) -> None:
    server = await rig.start("edge", StreamRole.EDGE)
    for wrong in WRONG:
        with pytest.raises(Invalid):
            await rig.plane.ensure(server, wrong)
            pytest.fail(f"taken: {wrong}")
        assert await rig.plane.observe(server) == {}, wrong


async def test_a_stream_flows_down_the_tree(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    forwarder = await rig.start("fwd", StreamRole.FORWARDER)
    edge = await rig.start("edge", StreamRole.EDGE)
    leaf = await rig.plane.ensure(edge, spec(StreamRole.EDGE))
    to_leaf = Target(address=edge.address, port=leaf.port)
    middle = await rig.plane.ensure(forwarder, spec(StreamRole.FORWARDER, to_leaf))
    to_middle = Target(address=forwarder.address, port=middle.port)
    await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER, to_middle))
    await rig.publish(acquirer, "ev1", KEY)

    async def at(server: Server) -> StreamState:
        return (await rig.plane.observe(server))["ev1"]

    def is_known(state: StreamState) -> bool:
        return state.flowing and bool(state.ingest and state.ingest.video and state.ingest.audio)

    async def is_reported() -> bool:
        return ("acq", "ev1") in rig.changes

    root = await until(lambda: at(acquirer), is_known)
    assert root.ingest is not None
    assert root.ingest.protocol == "rtmp"
    assert (root.ingest.video, root.ingest.audio) == ("H.264", "AAC")
    for server in (forwarder, edge):
        state = await until(partial(at, server), lambda s: s.flowing and s.mbps_in > 0)
        assert state.ingest is None
    await until(is_reported)
    before = {server: (await at(server)).pictures_requested for server in (acquirer, edge)}

    async def requested() -> bool:
        await rig.request_picture(edge, "ev1")
        return all([(await at(s)).pictures_requested > count for s, count in before.items()])

    await until(requested)
    rig.changes.clear()
    await rig.stop_publishing(acquirer, "ev1")
    for server in (acquirer, forwarder, edge):
        await until(partial(at, server), lambda s: not s.flowing)
    await until(lambda: at(acquirer), lambda s: s.ingest.protocol == "")
    await until(is_reported)


async def test_an_acquirer_reports_from_where_it_takes_a_publisher(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    named = replace(spec(StreamRole.ACQUIRER), sources=("192.0.2.0/24", "198.51.100.7/32"))
    assert (await rig.plane.ensure(acquirer, named)).sources == named.sources
    with pytest.raises(Invalid):
        await rig.plane.ensure(acquirer, replace(named, sources=("a host",)))
    assert (await rig.plane.observe(acquirer))["ev1"].sources == named.sources
    any_host = await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER))
    assert any_host.sources == ()


def rendition(*hops: Target, height: int = 120) -> StreamSpec:
    return StreamSpec(stream="ev1-120p", role=StreamRole.TRANSCODER, hops=hops, height=height)


async def test_a_rendition_flows_beside_its_source(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    maker = await rig.start("trc", StreamRole.TRANSCODER)
    edge = await rig.start("edge", StreamRole.EDGE)
    leaf = await rig.plane.ensure(edge, spec(StreamRole.EDGE, stream="ev1-120p"))
    assert dict(leaf.urls)["whep"].endswith("/whep/ev1-120p")
    to_leaf = Target(address=edge.address, port=leaf.port)
    made = await rig.plane.ensure(maker, rendition(to_leaf))
    assert (made.role, made.ingest, made.urls) == (StreamRole.TRANSCODER, None, ())
    assert made.hops == (to_leaf,)
    assert not made.flowing
    to_maker = Target(address=maker.address, port=made.port)
    await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER, to_maker))
    await rig.publish(acquirer, "ev1", KEY)

    async def at(server: Server) -> StreamState:
        [state] = (await rig.plane.observe(server)).values()
        return state

    giving = await until(lambda: at(maker), lambda s: s.flowing and s.mbps_out > 0, within_s=30)
    assert giving.mbps_in > 0
    await until(lambda: at(edge), lambda s: s.flowing and s.mbps_in > 0)
    await rig.stop_publishing(acquirer, "ev1")
    for server in (maker, edge):
        await until(partial(at, server), lambda s: not s.flowing)
    await rig.plane.remove(maker, "ev1-120p")
    assert await rig.plane.observe(maker) == {}


async def test_a_rendition_keeps_its_port_whatever_changes(rig: Rig) -> None:
    maker = await rig.start("trc", StreamRole.TRANSCODER)
    hop = Target(address="127.0.9.99", port=5004)
    first = await rig.plane.ensure(maker, rendition())
    second = await rig.plane.ensure(maker, rendition(hop))
    third = await rig.plane.ensure(maker, rendition(hop, height=90))
    assert first.port == second.port == third.port > 0
    assert second.hops == third.hops == (hop,)
    with pytest.raises(Conflict):
        await rig.plane.ensure(maker, spec(StreamRole.FORWARDER, stream="ev1-120p"))


RTP_OFFER = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
t=0 0
m=video 0 RTP/AVP 100
a=rtpmap:100 H264/90000
"""


async def test_an_rtp_publisher_is_told_where_to_send(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    plain = await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER))
    assert plain.rtp_answer == ""
    described = replace(spec(StreamRole.ACQUIRER), rtp_offer=RTP_OFFER)
    state = await rig.plane.ensure(acquirer, described)
    address, _, port = dict(state.urls)["rtp"].rpartition(":")
    assert f"m=video {port} " in state.rtp_answer
    assert address in state.rtp_answer
    assert (await rig.plane.observe(acquirer))["ev1"].rtp_answer == state.rtp_answer
    with pytest.raises(Invalid) as refused:
        await rig.plane.ensure(acquirer, replace(described, rtp_offer="v=0\r\nm=nonsense\r\n"))
    assert refused.value.code == "umbel.malformed_sdp"


async def test_a_wrong_key_is_refused_and_told(rig: Rig) -> None:
    acquirer = await rig.start("acq", StreamRole.ACQUIRER)
    await rig.plane.ensure(acquirer, spec(StreamRole.ACQUIRER))
    await rig.publish(acquirer, "ev1", "ev1.wrong")

    async def state() -> StreamState:
        return (await rig.plane.observe(acquirer))["ev1"]

    async def is_reported() -> bool:
        return ("acq", "ev1") in rig.changes

    await until(is_reported)
    refused = await state()
    assert refused.ingest is not None
    assert refused.ingest.protocol == ""
    assert refused.ingest.error
    assert not refused.flowing


async def test_a_viewer_is_counted(rig: Rig) -> None:
    edge = await rig.start("edge", StreamRole.EDGE)
    await rig.plane.ensure(edge, spec(StreamRole.EDGE))
    await rig.watch_hls(edge, "ev1", "session-1")
    assert (await rig.plane.observe(edge))["ev1"].viewers == ("session-1",)


async def test_a_lost_server_is_told_and_unavailable(rig: Rig) -> None:
    edge = await rig.start("edge", StreamRole.EDGE)
    await rig.plane.ensure(edge, spec(StreamRole.EDGE))
    await rig.lose(edge)

    async def told() -> bool:
        return ("edge", "") in rig.changes

    await until(told)
    for attempt in (rig.plane.observe(edge), rig.plane.ensure(edge, spec(StreamRole.EDGE))):
        with pytest.raises(Unavailable):
            await attempt
    with pytest.raises(Unavailable):
        await rig.plane.remove(edge, "ev1")


async def test_the_service_leaves_out_who_is_silent(rig: Rig) -> None:
    edge = await rig.start("edge", StreamRole.EDGE)
    gone = await rig.start("gone", StreamRole.EDGE)
    media = Media(rig.plane)
    for server in (edge, gone):
        await media.ensure(server, spec(StreamRole.EDGE))
    await rig.lose(gone)
    assert list(await media.observe([edge, gone])) == ["edge"]


async def test_forgetting_closes_quietly_and_forgets_no_media(rig: Rig) -> None:
    edge = await rig.start("edge", StreamRole.EDGE)
    before = await rig.plane.ensure(edge, spec(StreamRole.EDGE))
    await rig.plane.forget("edge")
    await rig.plane.forget("never heard of")
    assert rig.changes == []
    assert (await rig.plane.observe(edge))["ev1"].port == before.port
