"""What is taken of publishers on a wire in memory: gaps, order, reports."""

from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.h264 import TICKS
from support.webrtc_client import (
    H264_TYPE,
    OPUS_TYPE,
    RTX_TYPE,
    Client,
)
from support.webrtc_wire import CLIENT, SERVER, Collected, Wire, answer_of
from umbel.media.rtp import packet as rtp
from umbel.media.rtp import rtcp
from umbel.media.rtp.arrivals import Arrived
from umbel.media.rtp.packet import RtpPacket
from umbel.media.rtp.rtcp import (
    Nack,
    PictureLoss,
    ReceiverReport,
    ReportBlock,
    SenderReport,
)
from umbel.media.webrtc import negotiate, sdp
from umbel.media.webrtc.inlet import Inlet
from umbel.media.webrtc.publisher import Publisher


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
    assert isinstance(wire.peer, Publisher)
    assert wire.peer.arrived == Arrived(expected=5, lost=2)
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
    assert wire.peer.arrived.lost == 2, "what was asked for again was lost on the way"


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
        inlet.admit(sent(sequence), 1.0)
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


def test_a_picture_that_a_receiver_needs_is_asked_for_at_once_but_not_again_and_again() -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, _sink = publishing(client)
    assert isinstance(wire.peer, Publisher)
    wire.peer.request_picture(wire.now_s)  # nothing came yet: there is nobody to ask
    client.send_rtp(sent(1))
    wire.settle()
    wire.advance(0.5)

    def asked() -> int:
        return len([one for one in client.reports if isinstance(one, PictureLoss)])

    assert asked() == 1
    for _ in range(3):
        wire.peer.request_picture(wire.now_s)
        wire.settle()
    assert asked() == 2
    wire.advance(1.01)
    wire.peer.request_picture(wire.now_s)
    wire.settle()
    assert asked() == 3


@given(st.permutations(range(12)), st.integers(0, 0xFFFF))
@examples(40)
def test_any_order_of_arrival_is_put_right(order: list[int], start: int) -> None:
    client = Client(CLIENT, direction="sendonly")
    wire, sink = publishing(client)
    client.send_rtp(sent(start))
    client.send_rtp(*[sent(start + 1 + at) for at in order])
    wire.settle()
    assert sequences_of(sink) == [start + at & 0xFFFF for at in range(13)]
