"""VP8 in RTP (RFC 7741): descriptors as an encoder writes them, and what a cache keeps of it."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from support.webrtc_wire import Collected
from umbel.media.ingest.packer import MOST_PAYLOAD_BYTES, VideoPacker
from umbel.media.model import PayloadType, VideoCodec
from umbel.media.rtp import vp8
from umbel.media.rtp.begins import Begins
from umbel.media.rtp.packet import MalformedPacket, RtpPacket
from umbel.media.rtp.stream import LiveStream
from umbel.media.rtp.vp8 import Descriptor

# What RFC 6386 section 9.1 begins a frame with, here of 16 x 16 pixels.
KEY = bytes.fromhex("100200 9d012a 10001000")
INTER = bytes.fromhex("310200") + bytes(7)


def descriptor(
    *,
    starts: bool = True,
    partition: int = 0,
    non_reference: bool = False,
    picture_id: int | None = None,
    tl0: int | None = None,
    layer: tuple[int, bool] | None = None,
    key_index: int | None = None,
) -> bytes:
    """Section 4.2 field by field, the picture's id in the shortest form."""
    fields = [picture_id is not None, tl0 is not None, layer is not None, key_index is not None]
    first = f"{int(any(fields))}0{int(non_reference)}{int(starts)}0{partition:03b}"
    out = int(first, 2).to_bytes(1, "big")
    if any(fields):
        out += int("".join(str(int(one)) for one in fields) + "0000", 2).to_bytes(1, "big")
    if picture_id is not None:
        out += bytes([picture_id]) if picture_id < 128 else (0x8000 | picture_id).to_bytes(2, "big")
    if tl0 is not None:
        out += bytes([tl0])
    if layer is not None or key_index is not None:
        number, sync = layer or (0, False)
        out += int(f"{number:02b}{int(sync)}{key_index or 0:05b}", 2).to_bytes(1, "big")
    return out


def drawn() -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "starts": st.booleans(),
            "partition": st.integers(0, 7),
            "non_reference": st.booleans(),
            "picture_id": st.none() | st.integers(0, 0x7FFF),
            "tl0": st.none() | st.integers(0, 255),
            "layer": st.none() | st.tuples(st.integers(0, 3), st.booleans()),
            "key_index": st.none() | st.integers(0, 31),
        }
    )


@given(drawn(), st.sampled_from([KEY, INTER, b""]))
def test_every_descriptor_is_read_as_it_was_written(
    fields: dict[str, object], frame: bytes
) -> None:
    written = descriptor(**fields)  # type: ignore[arg-type]
    found = vp8.parse_descriptor(written + frame)
    assert found == Descriptor(len(written), bool(fields["starts"]), int(str(fields["partition"])))
    begins = fields["starts"] and fields["partition"] == 0 and frame == KEY
    assert vp8.scan(written + frame) == Begins(key_slice=bool(begins))
    for end in range(len(written)):
        with suppress(MalformedPacket):
            # Cut short, it may read as a shorter one only without its extension's promise kept.
            raise AssertionError(vp8.parse_descriptor(written[:end]))


@given(st.binary(max_size=12))
def test_any_bytes_are_a_descriptor_or_malformed(payload: bytes) -> None:
    assert vp8.scan(payload) in (Begins(), Begins(key_slice=True))
    with suppress(MalformedPacket):
        assert 1 <= vp8.parse_descriptor(payload).size <= min(6, len(payload))


def picture(number: int, *, key: bool) -> list[bytes]:
    """A picture in two packets."""
    payloads = [descriptor(picture_id=number) + (KEY if key else INTER)]
    payloads.append(descriptor(starts=False, picture_id=number) + bytes(20))
    return [
        RtpPacket(
            payload_type=PayloadType.VP8,
            marker=part == 1,
            sequence=100 + 2 * number + part,
            timestamp=3000 * number,
            ssrc=5,
            payload=payload,
        ).build()
        for part, payload in enumerate(payloads)
    ]


def test_a_stream_of_vp8_keeps_what_follows_its_last_key_picture() -> None:
    stream, sink = LiveStream(), Collected()
    stream.attach(sink)
    for number in range(10):
        stream.packets(picture(number, key=number in (2, 6)), 1.0 + number / 30)
    assert stream.video.payload_type == PayloadType.VP8
    assert stream.video.profile_level_id is None
    kept = [RtpPacket.parse(one) for one in stream.video.gop.packets]
    assert len(kept) == 8
    first = [RtpPacket.parse(one) for one in picture(6, key=True)]
    assert [one.payload for one in kept[:2]] == [one.payload for one in first]
    assert len(sink.all) == 20


@given(st.integers(0, 4000), st.booleans())
def test_a_packed_frame_is_read_again(size: int, is_key: bool) -> None:
    frame = (KEY if is_key else INTER) + bytes(number % 251 for number in range(size))
    packer = VideoPacker(ssrc=5, offset=0, codec=VideoCodec.VP8)
    packets = [RtpPacket.parse(one) for one in packer.packets([frame], 1_000_000_000)]
    assert {(one.payload_type, one.timestamp) for one in packets} == {(PayloadType.VP8, 90_000)}
    assert [one.marker for one in packets] == [False] * (len(packets) - 1) + [True]
    found = [vp8.parse_descriptor(one.payload) for one in packets]
    assert [(one.starts, one.partition) for one in found] == [
        (number == 0, 0) for number in range(len(packets))
    ]
    assert max(len(one.payload) for one in packets) <= MOST_PAYLOAD_BYTES
    pairs = zip(packets, found, strict=True)
    assert b"".join(one.payload[descriptor.size :] for one, descriptor in pairs) == frame
    assert vp8.scan(packets[0].payload) == Begins(key_slice=is_key)
