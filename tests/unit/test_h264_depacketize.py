"""Depacketizing: whole pictures come out whole, and after any loss nothing broken does."""

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from support import camera
from support.camera import Camera
from support.examples import examples
from umbel.media.rtp.depacketize import (
    AccessUnit,
    H264Depacketizer,
    OpusDepacketizer,
    opus_duration,
)
from umbel.media.rtp.packet import RtpPacket

SETS = (b"\x67" + bytes(range(20)), b"\x68\x01\x02")

bodies = st.binary(min_size=1, max_size=300)
pictures = st.lists(
    st.tuples(st.booleans(), st.lists(bodies, min_size=1, max_size=4)), min_size=1, max_size=12
)


def units(*, keyframe: bool, slices: Sequence[bytes]) -> tuple[bytes, ...]:
    header = b"\x65" if keyframe else b"\x41"
    return (*(SETS if keyframe else ()), *(header + data for data in slices))


def packets(
    shown: Sequence[tuple[bytes, ...]], most: int = 100, aggregate: bool = True
) -> list[RtpPacket]:
    made = Camera(most=most)
    out: list[RtpPacket] = []
    for number, picture in enumerate(shown):
        parts = list(camera.payloads(picture, most=most, aggregate=aggregate))
        for index, payload in enumerate(parts):
            out.append(
                RtpPacket(
                    payload_type=96,
                    marker=index == len(parts) - 1,
                    sequence=(made.sequence + len(out)) & 0xFFFF,
                    timestamp=(made.timestamp + 3000 * number) & 0xFFFFFFFF,
                    ssrc=1,
                    payload=payload,
                )
            )
    return out


def depacketized(received: Sequence[RtpPacket]) -> list[AccessUnit]:
    depacketizer = H264Depacketizer()
    return [picture for packet in received for picture in depacketizer.push(packet)]


@given(pictures, st.integers(3, 400), st.booleans())
def test_round_trip(drawn: list[tuple[bool, list[bytes]]], most: int, aggregate: bool) -> None:
    shown = [units(keyframe=key or not i, slices=data) for i, (key, data) in enumerate(drawn)]
    got = depacketized(packets(shown, most, aggregate))
    assert [picture.units for picture in got] == shown
    assert [picture.keyframe for picture in got] == [
        key or not i for i, (key, _) in enumerate(drawn)
    ]


@given(pictures, st.integers(3, 100), st.booleans(), st.data())
def test_any_loss_leaves_only_whole_decodable_pictures(
    drawn: list[tuple[bool, list[bytes]]], most: int, aggregate: bool, data: st.DataObject
) -> None:
    shown = [units(keyframe=key or not i, slices=body) for i, (key, body) in enumerate(drawn)]
    sent = packets(shown, most, aggregate)
    lost = data.draw(st.sets(st.integers(0, len(sent) - 1), max_size=5))
    got = depacketized([packet for i, packet in enumerate(sent) if i not in lost])
    by_time = {(0xFFFF_0000 + 3000 * i) & 0xFFFFFFFF: i for i in range(len(shown))}
    numbers = [by_time[picture.timestamp] for picture in got]
    assert [picture.units for picture in got] == [shown[number] for number in numbers]
    # A picture is only of use if it is a keyframe or follows the one before it.
    for previous, number in zip([-1, *numbers], numbers, strict=False):
        assert got[numbers.index(number)].keyframe or number == previous + 1


@given(pictures, st.integers(3, 100), st.data())
def test_a_late_or_doubled_packet_changes_nothing(
    drawn: list[tuple[bool, list[bytes]]], most: int, data: st.DataObject
) -> None:
    shown = [units(keyframe=key or not i, slices=body) for i, (key, body) in enumerate(drawn)]
    sent = packets(shown, most)
    at = data.draw(st.integers(0, len(sent) - 1))
    again = data.draw(st.integers(0, at))
    got = depacketized([*sent[: at + 1], sent[again], *sent[at + 1 :]])
    assert [picture.units for picture in got] == shown


def test_it_waits_for_a_keyframe_after_a_loss() -> None:
    shown = [units(keyframe=i in (0, 6), slices=[bytes((i,)) * 50]) for i in range(9)]
    sent = packets(shown, 20)
    third = next(i for i, packet in enumerate(sent) if b"\x03\x03" in packet.payload)
    depacketizer = H264Depacketizer()
    got = [p for packet in sent[:third] + sent[third + 1 :] for p in depacketizer.push(packet)]
    assert [shown.index(picture.units) for picture in got] == [0, 1, 2, 6, 7, 8]
    assert depacketizer.lost == 1


def test_a_sender_without_markers() -> None:
    shown = [units(keyframe=not i, slices=[bytes((i,))]) for i in range(4)]
    sent = [
        RtpPacket(
            payload_type=96,
            marker=False,
            sequence=p.sequence,
            timestamp=p.timestamp,
            ssrc=1,
            payload=p.payload,
        )
        for p in packets(shown)
    ]
    assert [picture.units for picture in depacketized(sent)] == shown[:3]


def test_a_new_sender_starts_with_its_keyframe() -> None:
    shown = [units(keyframe=not i, slices=[bytes((i,))]) for i in range(4)]
    sent = packets(shown)
    other = [
        RtpPacket(
            payload_type=96,
            marker=p.marker,
            sequence=(p.sequence - 30000) & 0xFFFF,
            timestamp=p.timestamp,
            ssrc=2,
            payload=p.payload,
        )
        for p in sent
    ]
    got = depacketized([*sent[:2], *other])
    assert [picture.ssrc for picture in got] == [1, 2, 2, 2, 2]


@examples(300)
@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.integers(0, 3)), max_size=30))
def test_garbage(drawn: list[tuple[bytes, bool, int]]) -> None:
    video, audio, sequence = H264Depacketizer(), OpusDepacketizer(), 0
    for payload, marker, step in drawn:
        sequence = (sequence + step) & 0xFFFF
        packet = RtpPacket(
            payload_type=96,
            marker=marker,
            sequence=sequence,
            timestamp=sequence // 3,
            ssrc=1,
            payload=payload,
        )
        for picture in video.push(packet):
            assert all(picture.units)
        sound = audio.push(packet)
        assert sound is None or 0 < sound.duration <= 5760


def test_real_media_survives_a_damaged_middle() -> None:
    sent = [data for _, data in Camera().video(camera.pictures(1.0)).timed()]
    whole = depacketized([RtpPacket.parse(data) for data in sent])
    noise = random.Random(3)
    sent[10:14] = [bytes((*sent[i][:12], *noise.randbytes(40))) for i in range(10, 14)]
    got = depacketized([RtpPacket.parse(data) for data in sent])
    assert 0 < len(got) < len(whole)
    assert got == whole[: len(got)]


def test_opus_durations() -> None:
    """The table of RFC 6716, section 3.1."""
    assert [opus_duration(bytes((config << 3,))) for config in range(32)] == [
        *(480, 960, 1920, 2880) * 3,
        *(480, 960) * 2,
        *(120, 240, 480, 960) * 4,
    ]
    assert opus_duration(bytes((1 << 3 | 1,))) == 1920
    assert opus_duration(bytes((1 << 3 | 2,))) == 1920
    assert opus_duration(bytes((1 << 3 | 3, 3))) == 2880
    assert opus_duration(bytes((1 << 3 | 3, 0))) == 0
    assert opus_duration(bytes((1 << 3 | 3, 7))) == 0
    assert opus_duration(bytes((3,))) == 0
    assert opus_duration(b"") == 0


def test_opus_drops_what_comes_late_and_counts_what_is_missing() -> None:
    depacketizer = OpusDepacketizer()
    got = []
    for sequence in (65534, 65535, 0, 0, 65535, 3, 2, 4):
        packet = RtpPacket(
            payload_type=111,
            marker=False,
            sequence=sequence,
            timestamp=sequence,
            ssrc=9,
            payload=b"\x08x",
        )
        if depacketizer.push(packet):
            got.append(sequence)
    assert got == [65534, 65535, 0, 3, 4]
    assert depacketizer.lost == 2
