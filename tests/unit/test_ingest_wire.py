import itertools
import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.rtmp import chunked, written
from umbel.media.ingest import amf, av1, chunks, flv
from umbel.media.ingest.amf import MalformedAmf
from umbel.media.ingest.av1 import Av1Reader, MalformedAv1
from umbel.media.ingest.chunks import ChunkReader, MalformedRtmp, Message
from umbel.media.ingest.flv import FlvMedia, MalformedFlv, PayloadKind, Tag, Valve
from umbel.media.rtp.packet import RtpPacket
from umbel.media.workers.frames import FrameReader, TimedMedia


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data cut at these places, wherever they fall."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


tags = st.builds(
    Tag,
    kind=st.sampled_from([flv.AUDIO, flv.VIDEO, flv.SCRIPT]),
    timestamp_ms=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=300),
)


def flv_bytes(tag: Tag) -> bytes:
    """Adobe FLV specification 10.1, annex E.4.1, and the size of the tag behind it."""
    size = len(tag.payload)
    stamp = struct.pack("!I", tag.timestamp_ms)
    head = struct.pack("!I", tag.kind << 24 | size) + stamp[1:] + stamp[:1] + bytes(3)
    return head + tag.payload + struct.pack("!I", size + len(head))


@given(st.lists(tags, max_size=8), st.integers(1, 5000))
def test_flv_tags_are_read_as_written_and_cut_ones_refused(sent: list[Tag], cut: int) -> None:
    data = b"".join(map(flv_bytes, sent))
    assert list(flv.read_tags(data)) == sent
    whole = {len(b"".join(map(flv_bytes, sent[:n]))) for n in range(len(sent) + 1)}
    if len(data) - cut not in whole and cut < len(data):
        with pytest.raises(MalformedFlv):
            list(flv.read_tags(data[:-cut]))


frames = st.builds(
    TimedMedia,
    kind=st.sampled_from([flv.AUDIO, flv.VIDEO]),
    timestamp_ms=st.integers(0, 2**32 - 1),
    media=st.builds(
        FlvMedia,
        codec=st.text(max_size=20),
        part=st.sampled_from(PayloadKind),
        data=st.binary(max_size=300),
        key=st.booleans(),
        offset_ms=st.integers(-(2**23), 2**23 - 1),
    ),
)


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 5000), max_size=10))
def test_frames_for_the_worker_survive_any_cutting(sent: list[TimedMedia], cuts: list[int]) -> None:
    data = b"".join(frame.build() for frame in sent)
    reader = FrameReader()
    assert [frame for piece in pieces(data, cuts) for frame in reader.feed(piece)] == sent


@given(st.binary(max_size=200))
def test_flv_readers_give_only_what_came_or_raise_their_own(data: bytes) -> None:
    tags: list[Tag] = []
    with suppress(MalformedFlv):
        tags.extend(flv.read_tags(data))
    # The three bytes of the stream's number are not kept.
    assert len(b"".join(map(flv_bytes, tags))) <= len(data)
    assert all(tag.payload in data for tag in tags)
    for read, payload in (
        (flv.read_video, data),
        (flv.read_audio, data),
        (flv.read_video, b"\x91" + data),
        (flv.read_audio, b"\x91" + data),
    ):
        with suppress(MalformedFlv):
            assert payload.endswith(read(payload).data)


@pytest.mark.parametrize(
    ("payload", "codec", "part", "key", "offset_ms", "data"),
    [
        (b"\x17\x00\x00\x00\x00conf", "H.264", PayloadKind.CONFIG, True, 0, b"conf"),
        (b"\x27\x01\xff\xff\xd8body", "H.264", PayloadKind.FRAME, False, -40, b"body"),
        (b"\x17\x02\x00\x00\x00", "H.264", PayloadKind.NOTHING, True, 0, b""),
        (b"\x22body", "Sorenson H.263", PayloadKind.FRAME, False, 0, b"body"),
        (b"\x90hvc1conf", "HEVC", PayloadKind.CONFIG, True, 0, b"conf"),
        (b"\xa1hvc1\x00\x00\x28body", "HEVC", PayloadKind.FRAME, False, 40, b"body"),
        (b"\x93hvc1body", "HEVC", PayloadKind.FRAME, True, 0, b"body"),
        (b"\x91av01body", "AV1", PayloadKind.FRAME, True, 0, b"body"),
        (b"\x94av01meta", "AV1", PayloadKind.NOTHING, False, 0, b""),
        (b"\x91zzz9body", "zzz9", PayloadKind.FRAME, True, 0, b"body"),
    ],
)
def test_flv_video(
    payload: bytes, codec: str, part: PayloadKind, key: bool, offset_ms: int, data: bytes
) -> None:
    media = flv.read_video(payload)
    assert (media.codec, media.part, media.offset_ms, media.data) == (codec, part, offset_ms, data)
    assert media.key is key or part is PayloadKind.NOTHING


@pytest.mark.parametrize(
    ("payload", "codec", "part"),
    [
        (b"\xaf\x00conf", "AAC", PayloadKind.CONFIG),
        (b"\xaf\x01body", "AAC", PayloadKind.FRAME),
        (b"\x2fbody", "MP3", PayloadKind.FRAME),
        (b"\xb2body", "Speex", PayloadKind.FRAME),
        (b"\x90Opusconf", "Opus", PayloadKind.CONFIG),
        (b"\x91Opusbody", "Opus", PayloadKind.FRAME),
    ],
)
def test_flv_audio(payload: bytes, codec: str, part: PayloadKind) -> None:
    media = flv.read_audio(payload)
    assert (media.codec, media.part) == (codec, part)


def test_valve_shuts_over_the_limit_and_opens_at_a_keyframe() -> None:
    def video(payload: bytes) -> tuple[int, FlvMedia]:
        return flv.VIDEO, flv.read_video(payload)

    key, inter = video(b"\x17\x01\0\0\0k"), video(b"\x27\x01\0\0\0p")
    config, audio = (
        video(b"\x17\x00\0\0\0c"),
        (flv.AUDIO, flv.read_audio(b"\xaf\1")),
    )
    valve = Valve(most_bytes=1000)
    assert valve.admits(*inter, 0)
    assert not valve.admits(*inter, 1001)
    assert not valve.admits(*key, 900)
    assert valve.admits(*config, 5000)
    assert not valve.admits(*inter, 0)
    assert valve.admits(*audio, 0)
    assert valve.admits(*key, 0)
    assert valve.admits(*inter, 0)
    assert valve.dropped == 3


messages = st.builds(
    Message,
    kind=st.sampled_from([8, 9, 18, 20]),
    stream_id=st.integers(0, 5),
    timestamp_ms=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=700),
)


@given(
    st.lists(messages, max_size=6),
    st.integers(1, 400),
    st.lists(st.integers(0, 5000), max_size=10),
    st.sampled_from([3, 6, 63, 64, 319]),
)
def test_rtmp_messages_survive_chunks_and_cutting(
    sent: list[Message], size: int, cuts: list[int], number: int
) -> None:
    resize = Message(kind=1, stream_id=0, timestamp_ms=0, payload=size.to_bytes(4, "big"))
    data = chunked(resize, 128, 2) + b"".join(chunked(item, size, number) for item in sent)
    reader = ChunkReader(most_bytes=8_000_000)
    assert [item for piece in pieces(data, cuts) for item in reader.feed(piece)] == sent


def read(data: bytes, most_bytes: int = 8_000_000) -> list[Message]:
    return list(ChunkReader(most_bytes=most_bytes).feed(data))


def test_rtmp_stamps_that_headers_inherit() -> None:
    reader = ChunkReader(most_bytes=8_000_000)
    full = b"\x04" + (1000).to_bytes(3, "big") + b"\0\0\1\x09\1\0\0\0" + b"a"
    delta = b"\x44" + (40).to_bytes(3, "big") + b"\0\0\1\x09" + b"b"
    short = b"\x84" + (20).to_bytes(3, "big") + b"c"
    same = b"\xc4" + b"d"
    far = b"\x44\xff\xff\xff\0\0\1\x09" + (0x1000000).to_bytes(4, "big") + b"e"
    found = list(reader.feed(full + delta + short + same + far))
    assert [item.timestamp_ms for item in found] == [1000, 1040, 1060, 1080, 1080 + 0x1000000]
    assert [item.payload for item in found] == [b"a", b"b", b"c", b"d", b"e"]


def test_rtmp_extended_stamp_left_out_of_later_chunks() -> None:
    message = Message(kind=9, stream_id=1, timestamp_ms=0x01234567, payload=b"\x01" * 300)
    assert read(chunked(message, 128, 4, stamps=False)) == [message]


def test_rtmp_interleaved_and_aborted_messages() -> None:
    video = Message(kind=9, stream_id=1, timestamp_ms=5, payload=b"v" * 200)
    audio = Message(kind=8, stream_id=1, timestamp_ms=6, payload=b"a" * 10)
    text = chunked(video, 128, 6)
    first, second = text[: 12 + 128], text[12 + 128 :]
    assert read(first + chunked(audio, 128, 4) + second) == [
        audio,
        video,
    ]
    abort = Message(kind=2, stream_id=0, timestamp_ms=0, payload=(6).to_bytes(4, "big"))
    data = first + chunked(abort, 128, 2) + chunked(video, 128, 6)
    assert read(data) == [video]


@given(st.lists(st.binary(max_size=300), max_size=5))
@example([b"\xc4aaaa"])
@example([b"\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\0\0"])
@example([b"\x04\0\0\0\xff\xff\xff\x09\0\0\0\0"])
def test_rtmp_chunks_give_only_what_came_or_raise_their_own(parts: list[bytes]) -> None:
    reader, came, given_out, messages = ChunkReader(most_bytes=8_000_000), 0, 0, 0
    with suppress(MalformedRtmp):
        for part in parts:
            came += len(part)
            for message in reader.feed(part):
                given_out += len(message.payload)
                messages += 1
            assert given_out + messages <= came


def test_rtmp_bounds() -> None:
    nine, three_hundred = (
        Message(kind=8, stream_id=1, timestamp_ms=0, payload=bytes(size)) for size in (9, 300)
    )
    with pytest.raises(MalformedRtmp, match="too many"):
        read(b"".join(chunked(nine, 99, number) for number in range(2, 80)))
    # A few streams that each begin something large are one large thing.
    begun = [chunked(three_hundred, 128, number)[:140] for number in (3, 4, 5, 6)]
    assert read(b"".join(begun[:3]), most_bytes=1000) == []
    with pytest.raises(MalformedRtmp, match="more than 1000 bytes"):
        read(b"".join(begun), most_bytes=1000)
    with pytest.raises(MalformedRtmp, match="more than 8000000 bytes"):
        read(b"\x04\0\0\0\xff\xff\xff\x09\0\0\0\0")


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.lists(values, max_size=5))
def test_amf_values_are_read(sent: list[object]) -> None:
    assert amf.read_values(b"".join(map(written, sent))) == sent


@given(st.binary(max_size=200))
@example(b"\x0a\xff\xff\xff\xff")
@example(b"\x0a\0\0\0\1" * 40)
@example(b"\3\0\1a" * 40)
def test_amf_gives_no_more_than_came_or_raises_its_own(data: bytes) -> None:
    with suppress(MalformedAmf):
        assert weight(amf.read_values(data)) <= len(data) + 1


def weight(value: object) -> int:
    """How many values it is made of, and characters."""
    if isinstance(value, dict):
        return 1 + sum(len(name) + weight(one) for name, one in value.items())
    if isinstance(value, list):
        return 1 + sum(map(weight, value))
    return 1 + (len(value) if isinstance(value, str) else 0)


def leb128(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


obus = st.lists(
    st.tuples(st.sampled_from([1, 3, 4, 6]), st.binary(min_size=1, max_size=400)),
    min_size=1,
    max_size=5,
)


def fragmented(sent: list[bytes], size: int, counted: bool) -> list[RtpPacket]:
    """One OBU after the other, each cut into packets' elements of at most `size` bytes."""
    bits = []
    for obu in sent:
        parts = [obu[at : at + size] for at in range(0, len(obu), size)]
        bits += [(part, index > 0, index < len(parts) - 1) for index, part in enumerate(parts)]
    packets = []
    for index, (part, continues, goes_on) in enumerate(bits):
        head = (continues << 7) | (goes_on << 6) | (counted << 4) | ((index == 0) << 3)
        payload = bytes((head,)) + (b"" if counted else leb128(len(part))) + part
        last = index == len(bits) - 1
        packets.append(
            RtpPacket(
                payload_type=99,
                marker=last,
                sequence=index,
                timestamp=7,
                ssrc=1,
                payload=payload,
            )
        )
    return packets


@given(obus, st.integers(2, 300), st.booleans())
def test_av1_units_survive_fragments(
    sent: list[tuple[int, bytes]], size: int, counted: bool
) -> None:
    plain = [bytes((kind << 3,)) + body for kind, body in sent]
    reader = Av1Reader()
    found = [reader.feed(packet) for packet in fragmented(plain, size, counted)]
    expected = b"\x12\x00" + b"".join(
        bytes((kind << 3 | 2,)) + leb128(len(body)) + body for kind, body in sent
    )
    assert found[-1] == expected
    assert not any(found[:-1])


def test_av1_waits_for_a_new_sequence_after_a_loss() -> None:
    packets = fragmented([b"\x08" + b"x" * 50, b"\x30" + b"y" * 50], 20, counted=True)
    reader = Av1Reader()
    assert not any(reader.feed(packet) for packet in packets[:2] + packets[3:])
    again = fragmented([b"\x08" + b"x" * 5], 20, counted=True)
    assert reader.feed(again[0]) == b"\x12\x00\x0a\x05xxxxx"


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans()), max_size=6))
def test_av1_gives_no_more_than_came_or_raises_its_own(parts: list[tuple[bytes, bool]]) -> None:
    reader, came = Av1Reader(), 0
    for index, (payload, marker) in enumerate(parts):
        packet = RtpPacket(
            payload_type=99, marker=marker, sequence=index, timestamp=0, ssrc=0, payload=payload
        )
        came += len(payload)
        with suppress(MalformedAv1):
            # Each unit gets a size in front, and the picture a delimiter.
            assert len(reader.feed(packet) or b"") <= 2 + 9 * came


def test_av1_sized_keeps_what_is_sized() -> None:
    assert av1.sized(b"\x0a\x01x") == b"\x0a\x01x"
    assert av1.sized(b"\x0c\x20x") == b"\x0e\x20\x01x"


def test_kinds_of_chunks_are_flv_kinds() -> None:
    assert (chunks.AUDIO, chunks.VIDEO) == (flv.AUDIO, flv.VIDEO)
