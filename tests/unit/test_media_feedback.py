"""Feedback of receivers: on the wire, throttled, and to the right source of a sink."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.model import MediaType, PayloadType
from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.feedback import (
    Aggregate,
    Feedback,
    PictureRequest,
    ReceptionReport,
    Throttle,
    from_rtcp,
    to_rtcp,
)
from umbel.media.rtp.pads import Sink, SinkPad

SSRC = st.integers(0, 2**32 - 1)
FEEDBACK = st.builds(PictureRequest, SSRC) | st.builds(
    ReceptionReport, SSRC, st.integers(0, 255).map(lambda share: share / 256)
)


class Kept:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.got += batch


class Source:
    """A source that remembers what it was told."""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []
        self.heard: list[Feedback] = []

    def attach(self, sink: Sink) -> None:
        self.sinks.append(sink)

    def detach(self, sink: Sink) -> None:
        self.sinks.remove(sink)

    def feedback(self, feedback: Feedback, now_s: float) -> None:
        self.heard.append(feedback)

    def give(self, *packets: bytes) -> None:
        for sink in self.sinks:
            sink.packets(packets, 1.0)


def media(payload_type: int, ssrc: int) -> bytes:
    return rtp.build_header(payload_type, 1, 1, ssrc) + b"payload"


VIDEO, AUDIO = media(PayloadType.H264, 1), media(PayloadType.OPUS, 2)
OF_VIDEO = rtcp.build([rtcp.SenderReport(ssrc=1, ntp=1 << 32, timestamp=0)])
OF_AUDIO = rtcp.build([rtcp.SenderReport(ssrc=2, ntp=1 << 32, timestamp=0)])


@given(FEEDBACK, SSRC)
def test_feedback_is_the_same_behind_a_hop(sent: Feedback, sender: int) -> None:
    assert from_rtcp(to_rtcp(sent, sender)) == [sent]


def test_a_full_intra_request_is_a_picture_request_too() -> None:
    request = rtcp.FullIntraRequest(sender_ssrc=1, requests=((7, 1), (8, 1)))
    assert from_rtcp(rtcp.build([request])) == [PictureRequest(7), PictureRequest(8)]


@given(st.binary(max_size=80))
def test_any_datagram_gives_few_values_or_none(data: bytes) -> None:
    found = from_rtcp(data)
    assert len(found) <= len(data) // 8
    assert all(0 <= one.ssrc < 2**32 for one in found)


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_a_throttle_lets_one_through_an_interval(steps: list[float]) -> None:
    throttle, now_s, admitted = Throttle(1.0), 0.0, []
    for step_s in steps:
        now_s += step_s
        if throttle.admits(now_s):
            admitted.append(now_s)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(admitted))
    assert not steps or admitted[0] == steps[0]


def test_many_receivers_report_as_one() -> None:
    aggregate = Aggregate()
    assert aggregate.throttled(PictureRequest(), 0.0) == PictureRequest()
    assert aggregate.throttled(PictureRequest(), 0.9) is None
    assert aggregate.throttled(PictureRequest(), 1.0) == PictureRequest()
    assert aggregate.throttled(ReceptionReport(1, 0.1), 0.0) == ReceptionReport(1, 0.1)
    assert aggregate.throttled(ReceptionReport(1, 0.5), 0.2) is None
    assert aggregate.throttled(ReceptionReport(1, 0.2), 1.1) == ReceptionReport(1, 0.5)
    assert aggregate.throttled(ReceptionReport(1, 0.0), 2.2) == ReceptionReport(1, 0.0)


def test_a_second_source_detaches_the_first() -> None:
    sink, first, second = Kept(), Source(), Source()
    pad = SinkPad(sink)
    pad.connect(first)
    assert first.sinks == [sink]
    pad.connect(first)
    assert first.sinks == [sink]
    pad.connect(second)
    assert (first.sinks, second.sinks) == ([], [sink])
    pad.disconnect(first)
    assert second.sinks == [sink]
    pad.disconnect(second)
    assert second.sinks == []


@pytest.mark.parametrize(
    ("medium", "passed"),
    [(MediaType.VIDEO, [VIDEO, OF_VIDEO]), (MediaType.AUDIO, [AUDIO, OF_AUDIO])],
)
def test_one_medium_comes_alone_with_its_reports(medium: MediaType, passed: list[bytes]) -> None:
    sink, source = Kept(), Source()
    SinkPad(sink).connect(source, [medium])
    source.give(OF_AUDIO, VIDEO, AUDIO, OF_VIDEO, OF_AUDIO, b"short")
    assert sink.got == passed


def test_two_sources_give_a_medium_each_and_video_hears_the_feedback() -> None:
    sink, cameras, microphones = Kept(), Source(), Source()
    pad = SinkPad(sink)
    pad.connect(microphones)
    pad.connect(cameras, [MediaType.VIDEO])
    cameras.give(VIDEO, AUDIO)
    microphones.give(VIDEO, AUDIO)
    assert sink.got == [VIDEO, AUDIO]
    pad.feedback(PictureRequest(1), 1.0)
    assert (cameras.heard, microphones.heard) == ([PictureRequest(1)], [])
    pad.disconnect(cameras)
    pad.feedback(PictureRequest(2), 2.0)
    assert microphones.heard == [PictureRequest(2)]


def test_feedback_without_a_source_goes_nowhere() -> None:
    sink = Kept()
    SinkPad(sink).feedback(PictureRequest(), 1.0)
    assert sink.got == []
