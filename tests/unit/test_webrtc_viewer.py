"""What viewers get on a wire in memory: pictures without a seam, and again what was lost."""

import itertools

import pytest

from support.h264 import NTP_START, TICKS, Source
from support.webrtc_client import (
    ADDRESS,
    H264_TYPE,
    OPUS_TYPE,
    RTX_TYPE,
    SSRC,
    Client,
    without_rtx,
)
from support.webrtc_wire import CLIENT, Watching
from umbel.media.rtp import packet as rtp
from umbel.media.rtp.feedback import Feedback, PictureRequest, ReceptionReport
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    ReportBlock,
    SenderReport,
)
from umbel.media.webrtc.viewer import Viewer


def video_of(client: Client) -> list[RtpPacket]:
    """The video as a decoder would get it: repaired, in order of sequence numbers."""
    repaired = [one for one in client.packets if one.payload_type == H264_TYPE]
    template = {one.ssrc for one in repaired}
    for one in client.packets:
        if one.payload_type == RTX_TYPE:
            assert one.ssrc not in template
            repaired.append(
                RtpPacket(
                    payload_type=H264_TYPE,
                    marker=one.marker,
                    sequence=int.from_bytes(one.payload[:2], "big"),
                    timestamp=one.timestamp,
                    ssrc=min(template),
                    payload=one.payload[2:],
                )
            )
    first = repaired[0].sequence
    unique = {rtp.sequence_ahead(one.sequence, first): one for one in repaired}
    return [unique[at] for at in sorted(unique)]


def gaps_in(packets: list[RtpPacket]) -> list[int]:
    pairs = itertools.pairwise(packets)
    steps = [rtp.sequence_ahead(b.sequence, a.sequence) for a, b in pairs]
    return [step for step in steps if step != 1]


def frames_in(packets: list[RtpPacket]) -> list[int]:
    """The numbers of the source's pictures, in the order a decoder sees them."""
    return [int(one.payload[2:8]) for one in packets if one.marker]


def assert_decodable(packets: list[RtpPacket]) -> None:
    """No gap, rising timestamps, one timestamp per picture, a marker at each one's end."""
    assert gaps_in(packets) == []
    for a, b in itertools.pairwise(packets):
        ahead = rtp.timestamp_ahead(b.timestamp, a.timestamp)
        assert ahead > 0 if a.marker else ahead == 0


def test_a_viewer_sees_a_picture_at_once_and_then_live_without_a_seam() -> None:
    watching = Watching()
    watching.play(45)  # half a group of pictures after the second key picture
    wire = watching.join()
    wire.advance(0.05)
    cached = video_of(watching.client)
    assert frames_in(cached) == list(range(30, 45))
    last = cached[-1].timestamp
    assert rtp.timestamp_ahead(last, cached[0].timestamp) == 14 * 90
    watching.play(20)
    assert_decodable(video_of(watching.client))
    assert frames_in(video_of(watching.client)) == list(range(30, 65))
    live = [
        one for one in video_of(watching.client) if rtp.timestamp_ahead(one.timestamp, last) > 0
    ]
    assert rtp.timestamp_ahead(live[0].timestamp, last) == TICKS


def test_packets_that_come_while_the_cache_is_paced_wait_their_turn() -> None:
    watching = Watching(gop=600)
    watching.source.parts = 12
    watching.play(100)
    wire = watching.join()
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.is_pacing
    watching.play(20)
    assert not wire.peer.is_pacing
    assert_decodable(video_of(watching.client))


def test_media_carry_the_clients_payload_types() -> None:
    watching = Watching()
    watching.join()
    watching.play(3)
    kinds = {one.payload_type for one in watching.client.packets}
    assert kinds == {H264_TYPE, OPUS_TYPE}


def test_sender_reports_join_both_media_on_the_sources_clock() -> None:
    watching = Watching()
    watching.play(31)
    watching.join()
    watching.play(60)
    reports = [one for one in watching.client.reports if isinstance(one, SenderReport)]
    assert len(reports) >= 4
    by_ssrc = {one.ssrc: one for one in reports}
    video = by_ssrc[watching.stream.video.ssrc]
    audio = by_ssrc[watching.stream.audio.ssrc]
    assert video.ntp == audio.ntp
    frame_0 = next(one for one in video_of(watching.client) if one.payload[2:8] == b"%06d" % 60)
    # Picture 60 was taken two seconds after the source's clock began.
    seconds = ((video.ntp - NTP_START) / 2**32) - 2
    expected = frame_0.timestamp + round(seconds * 90_000)
    assert abs(rtp.timestamp_ahead(video.timestamp, expected & 0xFFFFFFFF)) <= 90
    assert video.packets >= 31 * 3


def test_lost_packets_are_sent_again_by_rfc_4588() -> None:
    watching = Watching()
    watching.play(20)
    wire = watching.join(lose=0.05)

    def ask() -> None:
        packets = [one for one in watching.client.packets if one.payload_type == H264_TYPE]
        if not packets:
            return
        have = {one.sequence for one in video_of(watching.client)}
        first, last = packets[0].sequence, packets[-1].sequence
        span = rtp.sequence_ahead(last, first)
        missing = [(first + at) & 0xFFFF for at in range(span) if first + at & 0xFFFF not in have]
        if missing:
            nack = Nack(
                sender_ssrc=SSRC, media_ssrc=watching.stream.video.ssrc, sequences=tuple(missing)
            )
            watching.client.send_rtcp(ReceiverReport(ssrc=SSRC), nack)

    watching.play(150, settle=ask)
    wire.lose = lambda _data: False
    watching.play(3, settle=ask)
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.resent > 15
    packets = video_of(watching.client)
    assert len(packets) > 450
    assert_decodable(packets)


def test_without_agreed_retransmission_the_same_packet_comes_again() -> None:
    watching = Watching(Client(CLIENT, video=without_rtx()))
    wire = watching.join()
    watching.play(3)
    before = list(watching.client.packets)
    wanted = before[1]
    dropped = wire.peer.transport
    nack = Nack(
        sender_ssrc=SSRC, media_ssrc=watching.stream.video.ssrc, sequences=(wanted.sequence,)
    )
    watching.client.send_rtcp(nack)
    for data in watching.client.take_outbox():
        wire.peer.receive_datagram(data, ADDRESS, wire.now_s)
    (again, _address) = dropped.datagrams_to_send()[0]
    assert again[2:4] == wanted.sequence.to_bytes(2, "big")
    assert again[1] & 0x7F == H264_TYPE


@pytest.mark.parametrize("kind", ["pli", "fir"])
def test_a_picture_request_replays_the_cache_in_front_of_the_next_live_picture(kind: str) -> None:
    watching = Watching()
    wire = watching.join()
    watching.play(45)
    ssrc = watching.stream.video.ssrc
    for _ in range(3):  # impatient, as Chromium is
        watching.client.send_rtcp(
            PictureLoss(sender_ssrc=SSRC, media_ssrc=ssrc)
            if kind == "pli"
            else FullIntraRequest(sender_ssrc=SSRC, requests=((ssrc, 1),))
        )
        wire.settle()
    watching.play(10)
    packets = video_of(watching.client)
    assert_decodable(packets)
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.replays == 1
    assert frames_in(packets) == [*range(45), *range(30, 45), *range(45, 55)]
    # The clock mapping is as it was: picture 54 is where it would have been.
    first, last = packets[0], packets[-1]
    assert rtp.timestamp_ahead(last.timestamp, first.timestamp) == 54 * TICKS


def test_a_request_that_the_cache_cannot_answer_goes_to_the_source() -> None:
    watching = Watching()
    heard: list[Feedback] = []
    watching.stream.on_feedback = lambda feedback, _now_s: heard.append(feedback)
    wire = watching.join()
    assert heard == [PictureRequest(0)]  # nothing came yet, so there is no picture to begin with
    watching.play(45)
    loss = PictureLoss(sender_ssrc=SSRC, media_ssrc=watching.stream.video.ssrc)
    watching.client.send_rtcp(loss)
    wire.settle()
    assert len(heard) == 1  # the cache answers
    watching.play(45)
    watching.client.send_rtcp(loss)
    wire.settle()
    source = watching.stream.video.source_ssrc or 0
    assert heard[1:] == [PictureRequest(source)]  # the replay did not help


def test_pictures_of_which_packets_were_lost_on_the_way_here_are_not_replayed() -> None:
    """A replay with a gap would have the viewer wait once more for what the edge does not have."""
    watching = Watching()
    heard: list[Feedback] = []
    wire = watching.join()
    watching.play(35)
    watching.source.picture()  # lost before the edge
    watching.play(10)
    watching.stream.on_feedback = lambda feedback, _now_s: heard.append(feedback)
    watching.client.send_rtcp(PictureLoss(sender_ssrc=SSRC, media_ssrc=watching.stream.video.ssrc))
    wire.settle()
    assert heard == [PictureRequest(watching.stream.video.source_ssrc or 0)]
    watching.play(30)  # with the next key picture
    packets = video_of(watching.client)
    assert frames_in(packets) == [*range(35), *range(36, 76)]
    assert len(gaps_in(packets)) == 1
    wire.peer.handle_timer(wire.now_s)
    assert watching.viewer.replays == 0


def test_what_viewers_receive_is_reported_to_the_source() -> None:
    watching = Watching()
    heard: list[Feedback] = []
    wire = watching.join()
    watching.play(5)
    watching.stream.on_feedback = lambda feedback, _now_s: heard.append(feedback)
    block = ReportBlock(ssrc=watching.stream.video.ssrc, fraction_lost=64)
    watching.client.send_rtcp(ReceiverReport(ssrc=SSRC, blocks=(block,)))
    wire.settle()
    assert heard == [ReceptionReport(watching.stream.video.source_ssrc or 0, 0.25)]


def test_lost_packets_of_a_replay_are_sent_again_as_they_were() -> None:
    watching = Watching()
    wire = watching.join()
    watching.play(45)
    ssrc = watching.stream.video.ssrc
    watching.client.send_rtcp(PictureLoss(sender_ssrc=SSRC, media_ssrc=ssrc))
    wire.settle()
    watching.play(10)
    originals = {one.sequence: one for one in watching.client.packets if one.ssrc == ssrc}
    wire.now_s += 1
    nack = Nack(sender_ssrc=SSRC, media_ssrc=ssrc, sequences=tuple(sorted(originals)))
    watching.client.send_rtcp(nack)
    wire.settle()
    repairs = [one for one in watching.client.packets if one.payload_type == RTX_TYPE]
    assert len(repairs) == len(originals)
    for one in repairs:
        original = originals[int.from_bytes(one.payload[:2], "big")]
        assert one.payload[2:] == original.payload
        assert one.timestamp == original.timestamp


def test_a_replay_never_takes_numbers_that_were_sent() -> None:
    watching = Watching()
    wire = watching.join()
    watching.play(45)
    ssrc = watching.stream.video.ssrc
    first, second, third = watching.source.picture()
    watching.stream.packets([second], watching.now_s)  # it overtook the picture's first packet
    watching.client.send_rtcp(PictureLoss(sender_ssrc=SSRC, media_ssrc=ssrc))
    wire.settle()
    watching.stream.packets([first, third], watching.now_s)
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.replays == 0
    watching.play(10)
    assert wire.peer.replays == 1
    sent = [(one.sequence, one.payload) for one in watching.client.packets if one.ssrc == ssrc]
    assert len({number for number, _ in sent}) == len(set(sent))
    assert_decodable(video_of(watching.client))


def test_packets_from_before_a_replay_come_too_late() -> None:
    watching = Watching()
    wire = watching.join()
    watching.play(28)
    late = watching.source.picture()
    watching.stream.packets([late[0], late[2]], watching.now_s)
    watching.play(10)
    ssrc = watching.stream.video.ssrc
    watching.client.send_rtcp(PictureLoss(sender_ssrc=SSRC, media_ssrc=ssrc))
    wire.settle()
    watching.play(3)
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.replays == 1
    count = len(watching.client.packets)
    watching.stream.packets([late[1]], watching.now_s)
    assert len(watching.client.packets) == count


def test_the_next_key_picture_answers_a_request_by_itself() -> None:
    watching = Watching()
    wire = watching.join()
    watching.play(60)
    ssrc = watching.stream.video.ssrc
    watching.client.send_rtcp(PictureLoss(sender_ssrc=SSRC, media_ssrc=ssrc))
    wire.settle()
    watching.play(10)
    assert isinstance(wire.peer, Viewer)
    assert wire.peer.replays == 0
    assert_decodable(video_of(watching.client))


@pytest.mark.parametrize("start", [65_500, 3 * 65_536 + 40_000])
def test_numbers_go_on_past_their_wrap(start: int) -> None:
    watching = Watching()
    watching.stream.video.next_index = start
    watching.play(20)
    watching.join()
    watching.play(40)
    packets = video_of(watching.client)
    assert packets[0].sequence < 0x8000
    assert_decodable(packets)
    assert isinstance(watching.viewer, Viewer)
    for _ in range(5):  # two more wraps, with more lost than a receiver can follow at once
        watching.stream.video.next_index += 30_000
        count = len(watching.client.packets)
        watching.play(2)
        assert len(watching.client.packets) > count


def test_a_restarted_acquirer_leaves_no_seam() -> None:
    watching = Watching()
    watching.join()
    watching.play(40)
    watching.source = Source(ssrc=900, audio_ssrc=901, sequence=4000, timestamp=77)
    watching.play(40)
    packets = video_of(watching.client)
    assert_decodable(packets)
    assert {one.ssrc for one in packets} == {watching.stream.video.ssrc}


def test_reports_of_the_viewer_tell_loss_and_round_trip() -> None:
    watching = Watching()
    watching.play(31)
    wire = watching.join()
    wire.advance(0.01)
    report = next(
        one
        for one in watching.client.reports
        if isinstance(one, SenderReport) and one.ssrc == watching.stream.video.ssrc
    )
    block = ReportBlock(
        ssrc=report.ssrc,
        fraction_lost=64,
        packets_lost=5,
        last_sr=report.ntp >> 16 & 0xFFFFFFFF,
        delay_since_sr=65536 // 2,
        jitter=900,
    )
    wire.advance(0.58)
    watching.client.send_rtcp(ReceiverReport(ssrc=SSRC, blocks=(block,)))
    wire.settle()
    assert isinstance(wire.peer, Viewer)
    reception = wire.peer.reception
    assert reception.fraction_lost == 0.25
    assert reception.jitter_s == 0.01
    assert reception.round_trip_s == pytest.approx(0.09, abs=0.01)
