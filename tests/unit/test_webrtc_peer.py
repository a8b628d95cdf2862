"""Viewers and publishers on a wire in memory: two cores, virtual time, lost packets."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from support.webrtc_wire import CLIENT, SERVER, Collected, Watching, Wire, answer_of
from umbel.kit.errors import Conflict
from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    ReportBlock,
    SenderReport,
)
from umbel.media.webrtc import negotiate, sdp
from umbel.media.webrtc.dtls import CM_SHA1_80, HandshakeFailed, Identity
from umbel.media.webrtc.inlet import Inlet
from umbel.media.webrtc.publisher import Publisher
from umbel.media.webrtc.transport import TRANSITIONS, Event, State
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


def test_machine_refuses_what_cannot_happen() -> None:
    with pytest.raises(Conflict):
        TRANSITIONS.next(State.NEW, Event.KEYS)
    assert not any(state is State.CLOSED for state, _ in TRANSITIONS.transitions)


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
def test_both_roles_of_dtls_connect(setup: str) -> None:
    watching = Watching(Client(CLIENT, setup=setup))
    wire = watching.join()
    assert wire.peer.transport.profile == "AEAD_AES_128_GCM"
    watching.play(3)
    assert len(watching.client.packets) > 6


def test_a_client_without_gcm_gets_the_older_profile() -> None:
    old = Identity(1_700_000_000.0, (CM_SHA1_80,))
    watching = Watching(Client(old))
    assert watching.join().peer.transport.profile == "AES_CM_128_HMAC_SHA1_80"
    watching.play(3)
    assert len(watching.client.packets) > 6


def test_a_certificate_that_was_not_described_is_refused() -> None:
    client = Client(CLIENT)
    plan = negotiate.for_viewer(sdp.parse_offer(client.offer()), None)
    viewer = Viewer(plan, Watching().stream, SERVER, 0.0)
    client.accept(answer_of(viewer, plan))
    client.identity = Identity(1_700_000_000.0)
    client.accept(answer_of(viewer, plan))
    wire = Wire(client, viewer)
    client.check()
    wire.settle()
    assert viewer.transport.state is State.CLOSED
    assert "certificate" in viewer.transport.reason


def test_a_wrong_password_is_refused_and_proves_nothing() -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 0.0)
    watching.client.accept(answer_of(viewer, plan))
    wire = Wire(watching.client, viewer)
    watching.client.check(password="x" * 30)
    wire.settle()
    assert watching.client.refused == [401]
    assert viewer.transport.state is State.NEW


def test_media_goes_where_the_client_chose() -> None:
    watching = Watching()
    wire = watching.join()
    transport = wire.peer.transport
    other = ("127.0.9.2", 6000)
    watching.client.check(chosen=False)
    for data in watching.client.take_outbox():
        wire.peer.receive(data, other, wire.now_s)
    assert transport.address == ADDRESS
    watching.client.check(chosen=True)
    for data in watching.client.take_outbox():
        wire.peer.receive(data, other, wire.now_s)
    assert transport.address == other


def test_consent_that_is_not_renewed_ends_the_session() -> None:
    watching = Watching()
    wire = watching.join()
    wire.advance(20, 1)
    watching.client.check()
    wire.settle()
    wire.advance(29, 1)
    assert wire.peer.transport.is_connected
    wire.advance(2, 1)
    assert wire.peer.transport.state is State.CLOSED


def test_a_handshake_that_does_not_end_is_given_up() -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 100.0)
    watching.client.accept(answer_of(viewer, plan))
    watching.client.check()
    for data in watching.client.take_outbox():
        viewer.receive(data, ADDRESS, 100.0)
    viewer.tick(109.0)
    assert viewer.transport.state is State.CHECKED
    viewer.tick(110.5)
    assert viewer.transport.state is State.CLOSED
    assert "handshake" in viewer.transport.reason


def test_a_client_that_says_goodbye_is_gone_at_once() -> None:
    watching = Watching()
    wire = watching.join()
    assert watching.client.dtls is not None
    watching.client.outbox += watching.client.dtls.close()
    wire.settle()
    assert wire.peer.transport.reason == "the client left"


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
        wire.peer.receive(data, ADDRESS, wire.now_s)
    (again, _address) = dropped.take_outbox()[0]
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


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=120), max_size=6), st.booleans())
def test_any_datagrams_leave_a_viewer_alive(datagrams: list[bytes], known: bool) -> None:
    watching = Watching()
    wire = watching.join()
    for first in (0, 22, 128, 200):
        for data in datagrams:
            wire.peer.receive(bytes((first,)) + data, ADDRESS if known else ("9", 9), wire.now_s)
    wire.peer.transport.take_outbox()
    watching.play(2)
    assert watching.client.packets


damages = st.tuples(st.integers(0, 5), st.integers(0, 1200), st.integers(1, 255))


@settings(max_examples=100)
@given(st.lists(damages, max_size=4))
def test_damaged_handshakes_raise_nothing(damage: list[tuple[int, int, int]]) -> None:
    watching = Watching()
    plan = negotiate.for_viewer(sdp.parse_offer(watching.client.offer()), None)
    viewer = Viewer(plan, watching.stream, SERVER, 100.0)
    watching.client.accept(answer_of(viewer, plan))
    watching.client.check()
    carried = 0
    while sent_now := watching.client.take_outbox():
        for one in sent_now:
            bad = bytearray(one)
            for number, at, flip in damage:
                if number == carried:
                    bad[at % len(bad)] ^= flip
            carried += 1
            viewer.receive(bytes(bad), ADDRESS, 100.0)
        for one, _ in viewer.transport.take_outbox():
            try:
                watching.client.receive(one)
            except HandshakeFailed:  # the far end may choke on what comes of its own words
                return
    assert viewer.transport.is_connected or damage


def publishing(client: Client) -> tuple[Wire, Collected]:
    plan = negotiate.for_publisher(sdp.parse_offer(client.offer()))
    sink = Collected()
    publisher = Publisher(plan, sink, SERVER, 100.0)
    client.accept(answer_of(publisher, plan))
    wire = Wire(client, publisher)
    wire.connect()
    return wire, sink


def sent(sequence: int, payload: bytes = b"\x61x", payload_type: int = H264_TYPE) -> RtpPacket:
    return RtpPacket(
        payload_type=payload_type,
        marker=True,
        sequence=sequence & 0xFFFF,
        timestamp=sequence * TICKS & 0xFFFFFFFF,
        ssrc=500 if payload_type == H264_TYPE else 501,
        payload=payload,
    )


def sequences_of(sink: Collected) -> list[int]:
    return [rtp.sequence_of(one) for one in sink.all if not rtp.is_rtcp(one)]


def test_a_publishers_packets_get_the_platforms_payload_types() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(65535), sent(0), sent(7, b"opus", OPUS_TYPE))
    client.send_rtcp(
        SenderReport(
            ssrc=500, ntp=5 << 32, timestamp=9, packets=1, octets=2, blocks=(ReportBlock(ssrc=1),)
        )
    )
    wire.settle()
    out = sink.all
    assert [rtp.payload_type(one) for one in out[:3]] == [96, 96, 111]
    assert rtcp.parse(out[3]) == (
        SenderReport(ssrc=500, ntp=5 << 32, timestamp=9, packets=1, octets=2),
    )


def test_gaps_are_asked_for_and_filled_in_order() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(10), sent(13), sent(14))
    wire.settle()
    wire.advance(0.05)
    (nack, *_) = [one for one in client.reports if isinstance(one, Nack)]
    assert nack.sequences == (11, 12)
    assert sequences_of(sink) == [10]
    repairs = [
        RtpPacket(
            payload_type=RTX_TYPE,
            marker=True,
            sequence=at,
            timestamp=number * TICKS,
            ssrc=777,
            payload=number.to_bytes(2, "big") + b"\x61x",
        )
        for at, number in enumerate((12, 11))
    ]
    client.send_rtp(*repairs)
    wire.settle()
    assert sequences_of(sink) == [10, 11, 12, 13, 14]


def test_a_gap_that_is_not_filled_is_given_up() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(10), sent(12))
    wire.settle()
    wire.advance(0.3)
    assert sequences_of(sink) == [10, 12]


def test_a_packet_that_came_twice_fills_no_gap() -> None:
    inlet = Inlet(500, 90_000)
    for sequence in (10, 12, 12):
        inlet.take(sent(sequence), 1.0)
    assert inlet.block(1.0).packets_lost == 1


def test_probes_without_payload_leave_no_gap() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(10), sent(11, b""), sent(12))
    wire.settle()
    assert sequences_of(sink) == [10, 11]


def test_a_publisher_is_told_what_arrived_and_asked_for_key_pictures() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, _sink = publishing(client)
    client.send_rtp(*[sent(at) for at in range(100) if at % 10])
    client.send_rtcp(SenderReport(ssrc=500, ntp=77 << 16, timestamp=9))
    wire.settle()
    wire.advance(4.9)
    requests = [one for one in client.reports if isinstance(one, PictureLoss)]
    assert [one.media_ssrc for one in requests] == [500] * 3
    blocks = [b for one in client.reports if isinstance(one, ReceiverReport) for b in one.blocks]
    assert blocks[0].last_sr == 77
    assert blocks[0].highest_sequence == 99
    assert blocks[0].packets_lost == 9
    assert blocks[0].fraction_lost == 256 * 9 // 99


@given(st.permutations(range(12)), st.integers(0, 0xFFFF))
@settings(max_examples=40)
def test_any_order_of_arrival_is_put_right(order: list[int], start: int) -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(start))
    client.send_rtp(*[sent(start + 1 + at) for at in order])
    wire.settle()
    assert sequences_of(sink) == [start + at & 0xFFFF for at in range(13)]
