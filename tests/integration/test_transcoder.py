"""Renditions: what a transcoder's spec may say, whose packets it follows, how large it makes it."""

import itertools
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.clock import SystemClock
from umbel.media import roles
from umbel.media.api import values
from umbel.media.api.values import StreamInfo
from umbel.media.ingest import rates
from umbel.media.ingest.succession import Succession
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.model import StreamRole, StreamSpec, StreamState, Target
from umbel.media.roles import SpecInvalid
from umbel.media.server import manager
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Fan
from umbel.media.server.elements.flow import Count
from umbel.media.server.elements.pipeline import MediaPipeline
from umbel.media.server.elements.rtp import RtpReceiver, RtpSender
from umbel.media.server.elements.transcoder import Transcoder
from umbel.media.server.registry import Registry
from umbel.media.workers.pool import WorkerPool

SPEC = StreamSpec(
    stream="ev1-360p",
    role=StreamRole.TRANSCODER,
    hops=(Target(address="127.0.3.1", port=5004),),
    height=360,
)
VIDEO, AUDIO = 96, 111
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize("height", [16, 360, 720, 4320])
def test_a_height_that_can_be_made(height: int) -> None:
    roles.check(replace(SPEC, height=height))


@pytest.mark.parametrize("height", [0, -360, 14, 15, 361, 4322])
def test_a_height_that_cannot(height: int) -> None:
    with pytest.raises(SpecInvalid):
        roles.check(replace(SPEC, height=height))


@pytest.mark.parametrize("role", [r for r in StreamRole if r is not StreamRole.TRANSCODER])
def test_only_a_transcoder_has_a_height(role: StreamRole) -> None:
    token = "t" * 32 if role is StreamRole.RECORDER else ""
    roles.check(replace(SPEC, role=role, height=0, record_token=token))
    with pytest.raises(SpecInvalid, match="height"):
        roles.check(replace(SPEC, role=role, record_token=token))


def test_a_transcoder_is_built_from_its_recipe() -> None:
    steps = roles.build(SPEC)
    made: dict[object, Any] = {
        s.params["type"]: s.params["constructorParams"] for s in steps if s.method == "create"
    }
    assert list(made) == ["MediaPipeline", "RtpReceiver", "Transcoder", "RtpSender"]
    assert made["MediaPipeline"] == {"stream": "ev1-360p", "role": "transcoder"}
    assert made["Transcoder"]["height"] == 360
    invoked: list[Any] = [s.params for s in steps if s.method == "invoke"]
    linked = [
        (p["object"], p["operationParams"]["sink"]) for p in invoked if p["operation"] == "connect"
    ]
    assert linked == [("newref:1", "newref:2"), ("newref:2", "newref:3")]


def test_an_adjusted_transcoder_is_told_hops_and_height() -> None:
    state = StreamState(stream="ev1-360p", role=StreamRole.TRANSCODER)
    parts = {"RtpReceiver": "p/r", "Transcoder": "p/t", "RtpSender": "p/s"}
    steps = roles.adjust(SPEC, StreamInfo(state=state, pipeline="p", parts=parts))
    told = [(s.params["object"], s.params["operation"]) for s in steps]
    assert told == [
        ("p/r", "setSources"),
        ("p/s", "setHops"),
        ("p/t", "setHeight"),
        (roles.MANAGER, "getStreams"),
    ]
    assert steps[2].params["operationParams"] == {"height": 360}


# -- the element -----------------------------------------------------------------------------


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    clock = SystemClock()
    workers = WorkerPool(clock)
    webrtc = await WebRtcPort.open("127.0.0.1", 0, clock=clock)
    host = ServerContext(
        function_id="trc-1",
        address="127.0.0.1",
        http_port=1,
        workers=workers,
        webrtc=webrtc,
        desk=None,
    )
    made = Registry(host, lambda *_: None)
    yield made
    await made.close()
    await webrtc.close()
    await workers.close()


async def made_whole(registry: Registry) -> tuple[MediaPipeline, Transcoder]:
    given_ = {"stream": "ev1-360p", "role": "transcoder"}
    pipeline = await registry.create("s", "MediaPipeline", given_)
    here = {"mediaPipeline": pipeline.id}
    receiver = await registry.create("s", "RtpReceiver", here)
    maker = await registry.create("s", "Transcoder", {**here, "height": 360})
    sender = await registry.create("s", "RtpSender", here)
    assert isinstance(pipeline, MediaPipeline)
    assert isinstance(receiver, RtpReceiver)
    assert isinstance(maker, Transcoder)
    assert isinstance(sender, RtpSender)
    receiver.connect(maker)
    maker.connect(sender)
    return pipeline, maker


@pytest.mark.parametrize("height", [0, 15, 17, 4322])
async def test_a_bad_height_leaves_nothing_behind(registry: Registry, height: int) -> None:
    pipeline = await registry.create("s", "MediaPipeline", {})
    with pytest.raises(SpecInvalid):
        await registry.create("s", "Transcoder", {"mediaPipeline": pipeline.id, "height": height})
    assert pipeline.children == {}


async def test_a_height_is_told_and_changed(registry: Registry) -> None:
    _, maker = await made_whole(registry)
    maker.set_height(180)
    assert maker.get_height() == 180
    with pytest.raises(SpecInvalid):
        maker.set_height(181)
    assert maker.get_height() == 180
    assert maker.is_media_transcoding("VIDEO")
    assert not maker.is_media_transcoding("AUDIO")


async def test_a_rendition_flows_when_its_pictures_come_out(registry: Registry) -> None:
    pipeline, maker = await made_whole(registry)
    counts = {"in": Count()}
    receiver = next(e for e in pipeline.children.values() if isinstance(e, RtpReceiver))
    receiver.count_in = lambda: counts["in"]  # type: ignore[method-assign]
    idle = manager.info(pipeline, 10.0).state
    assert (idle.role, idle.ingest, idle.flowing) == (StreamRole.TRANSCODER, None, False)
    assert idle.port == receiver.port > 0
    counts["in"] = Count(packets=9, bytes=125_000)
    taking = manager.info(pipeline, 11.0).state
    assert not taking.flowing
    assert taking.mbps_in == pytest.approx(1.0)
    assert isinstance(maker.source, Fan)
    maker.source.packets([packet(AUDIO, 1, 0), report(1)], 12.0)
    assert not manager.info(pipeline, 12.0).state.flowing
    maker.source.packets([packet(VIDEO, 2, 0)], 12.5)
    giving = manager.info(pipeline, 12.5)
    assert giving.state.flowing
    # What leaves the process is what the hops got, not what one element gave another.
    assert giving.state.mbps_out == 0
    assert values.infos_from_json([values.info_to_json(giving)])[0].parts.keys() == {
        "RtpReceiver", "Transcoder", "RtpSender"
    }  # fmt: skip


# -- whose packets count ---------------------------------------------------------------------


def packet(kind: int, ssrc: int, sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, 7, ssrc) + b"payload"


def report(ssrc: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, 1, 2, 3, 4)


def run(sent: list[bytes], now_s: float = 0.0, into: Succession | None = None) -> list[bytes | str]:
    """What goes on, with a word where it begins anew."""
    found: list[bytes | str] = []
    succession = into or Succession()
    for data in sent:
        turn = succession.follow(data, now_s)
        found += ["anew"] if turn.restarted else []
        found += turn.packets
    return found


def test_two_in_sequence_begin_and_the_report_comes_behind() -> None:
    first, second, third = (packet(VIDEO, 1, number) for number in (0xFFFF, 0, 1))
    assert run([report(1), first, second, third]) == ["anew", first, second, report(1), third]


def test_the_second_medium_begins_nothing() -> None:
    sent = [packet(kind, kind, number) for number in range(3) for kind in (VIDEO, AUDIO)]
    found = run(sent)
    assert found.count("anew") == 1
    assert sorted(x for x in found if x != "anew") == sorted(sent)


def test_a_stray_packet_changes_nothing() -> None:
    good = [packet(VIDEO, 1, number) for number in range(10)]
    stray = [packet(VIDEO, 99, 50), packet(VIDEO, 98, 51), packet(VIDEO, 99, 70)]
    assert run([*good[:4], *stray, *good[4:]]) == ["anew", *good]


def test_a_source_that_begins_anew_is_followed_and_the_one_before_is_not() -> None:
    followed = Succession()
    old = [packet(kind, 1 + kind, number) for number in range(4) for kind in (VIDEO, AUDIO)]
    new = [packet(kind, 500 + kind, number) for number in range(4) for kind in (VIDEO, AUDIO)]
    run(old, 0.0, followed)
    mixed = list(itertools.chain.from_iterable(zip(new, old, strict=True)))
    found = run(mixed, 0.5, followed)
    assert found.count("anew") == 1
    assert sorted(found[found.index("anew") + 1 :]) == sorted(new)
    assert run([packet(AUDIO, 1 + AUDIO, 9), packet(AUDIO, 1 + AUDIO, 10)], 1.0, followed) == []


def test_a_medium_whose_source_stays_goes_on_after_a_while() -> None:
    followed = Succession()
    run([packet(k, 1, n) for n in range(2) for k in (VIDEO, AUDIO)], 0.0, followed)
    assert run([packet(VIDEO, 2, 0), packet(VIDEO, 2, 1)], 1.0, followed)[0] == "anew"
    same = [packet(AUDIO, 1, n) for n in range(2, 6)]
    assert run(same[:2], 1.5, followed) == []
    assert run(same[2:], 2.5, followed) == same[2:]


def test_a_source_comes_back_when_its_successor_is_silent() -> None:
    followed = Succession()
    run([packet(VIDEO, 1, 0), packet(VIDEO, 1, 1)], 0.0, followed)
    run([packet(VIDEO, 2, 0), packet(VIDEO, 2, 1)], 1.0, followed)
    back = [packet(VIDEO, 1, 2), packet(VIDEO, 1, 3)]
    assert run(back, 1.9, followed) == []
    assert run(back, 2.1, followed) == ["anew", *back]


_PACKETS = st.builds(
    packet, st.sampled_from([VIDEO, AUDIO, 97, 0]), st.integers(1, 3), st.integers(0, 6)
)
_DATAGRAMS = st.one_of(st.binary(max_size=40), _PACKETS, st.builds(report, st.integers(1, 3)))


@given(st.lists(st.tuples(_DATAGRAMS, st.floats(0, 2)), max_size=40))
def test_whatever_comes_only_whole_packets_go_on(sent: list[tuple[bytes, float]]) -> None:
    succession, now_s, allowed = Succession(), 0.0, {data for data, _ in sent}
    started = False
    for data, pause_s in sent:
        now_s += pause_s
        turn = succession.follow(data, now_s)
        started |= turn.restarted
        assert set(turn.packets) <= allowed
        assert not turn.packets or started
        for one in turn.packets:
            assert one[0] >> 6 == 2
            assert one[1] & 0x7F in (VIDEO, AUDIO) or 192 <= one[1] <= 223


# -- how large, and how much -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "height", "fitted"),
    [
        ((1280, 720), 360, (640, 360)),
        ((1920, 1080), 360, (640, 360)),
        ((854, 480), 360, (640, 360)),
        ((1024, 768), 360, (480, 360)),
        ((720, 1280), 360, (202, 360)),
        ((640, 360), 360, (640, 360)),
        ((320, 240), 360, (320, 240)),
        ((0, 0), 360, (0, 0)),
        ((1280, 720), 0, (1280, 720)),
    ],
)
def test_sizes_that_fit(source: rates.Size, height: int, fitted: rates.Size) -> None:
    assert rates.fitted(source, height) == fitted


@given(st.integers(16, 8000), st.integers(16, 8000), st.integers(8, 2160).map(lambda n: 2 * n))
def test_a_fitted_size_is_even_not_larger_and_of_the_same_shape(
    width: int, height: int, most: int
) -> None:
    made_width, made_height = rates.fitted((width, height), most)
    assert made_width % 2 == made_height % 2 == 0
    assert made_height <= min(most, height)
    assert made_width <= width
    if made_width > 16:
        assert abs(made_width - width * made_height / height) <= max(2, width / height + 1)


def test_a_smaller_picture_takes_less_but_more_for_each_pixel() -> None:
    quarter = rates.part((1280, 720), (640, 360))
    assert 0.25 < quarter < 0.5
    assert rates.part((640, 360), (640, 360)) == rates.part((0, 0), (0, 0)) == 1
    whole, smaller = rates.BitrateMeter("H.264"), rates.BitrateMeter("H.264", quarter)
    for number in range(61):
        for meter in (whole, smaller):
            meter.count(12_500, number * SECOND_NS // 30)  # 3 Mbit/s
    assert whole.kbps == pytest.approx(3000, rel=0.2)
    assert smaller.kbps == pytest.approx(quarter * whole.kbps, rel=0.2)
    for number in range(61, 400):
        smaller.count(10, number * SECOND_NS // 30)
    assert smaller.kbps == pytest.approx(1000 * quarter, rel=0.15)
