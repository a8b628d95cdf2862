from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from umbel.media.ingest.passthrough import Handling, PassThrough, TimedAccessUnit, Verdict, judge
from umbel.media.rtp import h264
from umbel.media.rtp.bits import BitReader, MalformedVideo, unescape
from umbel.media.rtp.h264 import DecoderConfiguration
from umbel.media.rtp.sps import SequenceParameters, parse_sps

HIGH = bytes.fromhex(
    "6764001eacd940a02ff9610000030001000003003c8f162d96"
)  # 640x360, x264, B-frames


class Writer:
    """The other side of BitReader, for these tests."""

    def __init__(self) -> None:
        self.text = ""

    def bits(self, value: int, count: int) -> None:
        self.text += f"{value:0{count}b}" if count else ""

    def unsigned(self, value: int) -> None:
        code = f"{value + 1:b}"
        self.text += "0" * (len(code) - 1) + code

    def signed(self, value: int) -> None:
        self.unsigned(2 * value - 1 if value > 0 else -2 * value)

    def done(self) -> bytes:
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def escape(data: bytes) -> bytes:
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def sps(
    *,
    profile: int = 77,
    constraints: int = 0,
    size: tuple[int, int] = (20, 15),
    crop: int = 0,
    order: int = 0,
    reorder: int | None = None,
    timing: bool = True,
    frames_only: bool = True,
    chroma: int = 1,
    depth: int = 8,
) -> bytes:
    """A set with everything in it: u(n) as (value, bits), ue(v) as numbers, se(v) as text."""
    fields: list[Any] = [(profile, 8), (constraints, 8), (30, 8), 0]
    fields += [chroma, depth - 8, depth - 8, (0b01, 2), (0, 8)] if profile >= 100 else []
    counted: list[list[Any]] = [[2], [(0, 1), "-3", "4", 2, "1", "-1"], []]
    fields += [3, order, *counted[order]]
    fields += [4, (0, 1), size[0] - 1, size[1] - 1]
    fields += [(1, 1)] if frames_only else [(0, 2)]
    fields += [(1, 1), (int(crop > 0), 1), *([0, crop, 0, 0] if crop else []), (1, 1)]
    fields += usability(timing=timing, reorder=reorder)
    out = Writer()
    for item in fields:
        if isinstance(item, tuple):
            out.bits(*item)
        elif isinstance(item, str):
            out.signed(int(item))
        else:
            out.unsigned(item)
    return b"\x67" + escape(out.done())


def usability(*, timing: bool, reorder: int | None) -> list[object]:
    aspect = [(0b1_11111111, 9), (0x0001_0001, 32)]
    signal = [(0, 1), (0b1_101_0_1, 6), (0x010101, 24)]
    chroma = [(1, 1), 1, 1]
    times = [(1, 1), ((1 << 33) | 60 << 1 | 1, 65)] if timing else [(0, 1)]
    buffers = [(1, 1), 0, (0, 8), 100, 100, (0, 1), (0, 20), (0, 1), (0, 1), (0, 1)]
    limits = [(0, 1)] if reorder is None else [(1, 1), (1, 1), 0, 0, 11, 11, reorder, 4]
    return [*aspect, *signal, *chroma, *times, *buffers, *limits]


def picture(*, key: bool = False, kind: int = 0, tail: bytes = b"x" * 20) -> bytes:
    """A slice: `kind` 0 P, 1 B, 2 I."""
    out = Writer()
    out.unsigned(0)
    out.unsigned(7 if key else kind)
    out.unsigned(0)
    return bytes((0x65 if key else 0x41,)) + escape(out.done() + tail)


def unit(index: int, *nals: bytes, pts: int | None = None) -> TimedAccessUnit:
    at = index * 40_000_000
    return TimedAccessUnit(nals=nals, pts_ns=at if pts is None else pts * 40_000_000, dts_ns=at)


PPS = b"\x68\xce\x3c\x80"


@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(0, 7),
    st.sampled_from([66, 77, 100, 110]),
    st.sampled_from([0, 1, 2]),
    st.none() | st.integers(0, 5),
    st.tuples(st.booleans(), st.booleans()),
)
def test_sps_says_what_was_written(
    size: tuple[int, int],
    crop: int,
    profile: int,
    order: int,
    reorder: int | None,
    flags: tuple[bool, bool],
) -> None:
    text = sps(
        profile=profile,
        size=size,
        crop=crop,
        order=order,
        reorder=reorder,
        timing=flags[0],
        frames_only=flags[1],
    )
    read = parse_sps(text)
    assert (read.profile, read.level) == (profile, 30)
    assert read.width == 16 * size[0] - 2 * crop
    assert read.height == 16 * size[1] * (1 if flags[1] else 2)
    assert read.interlaced is not flags[1]
    assert read.reorder_frames == (0 if order == 2 else reorder)


def test_sps_of_x264() -> None:
    read = parse_sps(HIGH)
    assert (read.width, read.height, read.profile_name) == (640, 360, "High")
    assert read.reorder_frames == 2


SLICES = {0: "P", 1: "B", 2: "I", 3: "SP", 4: "SI"}
"""Slice types (ITU-T H.264 table 7-6), which count again from 5 on."""


@given(st.binary(max_size=80), st.binary(max_size=20))
@example(HIGH[1:12], b"")
@example(b"\x64\x00\x1e" + b"\x00" * 40, b"\x01")
@example(b"\x64\x00\x1e" + b"\xff" * 40, b"\x00")
def test_a_set_is_what_its_first_bits_say(data: bytes, tail: bytes) -> None:
    """Nothing behind what is read changes it, and the first bytes stand for themselves."""
    for read in (parse_sps, h264.set_key):
        try:
            found = read(b"\x67" + data)
        except MalformedVideo:
            continue
        assert read(b"\x67" + data + tail) == found
        if isinstance(found, SequenceParameters):
            first = tuple(unescape(data)[:3])
            assert (found.profile, found.constraints, found.level) == first


@given(st.integers(1, len(HIGH) - 1), st.integers(1, 255), st.binary(max_size=20))
def test_a_damaged_set_is_read_to_its_end_or_refused(at: int, noise: int, tail: bytes) -> None:
    bad = bytearray(HIGH)
    bad[at] ^= noise
    try:
        found = parse_sps(bytes(bad))
    except MalformedVideo:
        return
    assert parse_sps(bytes(bad) + tail) == found
    assert (found.profile, found.constraints, found.level) == tuple(bad[1:4])


@given(st.integers(0, 500), st.binary(max_size=10))
def test_the_key_of_a_set_is_its_kind_and_number(number: int, tail: bytes) -> None:
    out = Writer()
    out.bits(0x64001E, 24)
    out.unsigned(number)
    assert h264.set_key(b"\x67" + escape(out.done() + tail)) == (7, number)


@given(st.integers(0, 9), st.binary(max_size=40))
def test_b_slices_are_those_of_type_1_and_6(kind: int, tail: bytes) -> None:
    assert h264.has_b_slice([picture(kind=kind, tail=tail)]) is (SLICES[kind % 5] == "B")


@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5),
    st.binary(max_size=10),
    st.integers(1, 30),
)
def test_a_configuration_is_its_sets_behind_their_lengths(
    sets: list[bytes], tail: bytes, cut: int
) -> None:
    first, *others = (len(one).to_bytes(2, "big") + one for one in sets)
    begin = b"\x01\x64\x00\x1e\xff\xe1" + first
    whole = begin + bytes((len(others),)) + b"".join(others)
    assert DecoderConfiguration.parse(whole + tail).sets == tuple(sets)
    short = whole[:-cut]
    try:
        read = DecoderConfiguration.parse(short).sets
    except MalformedVideo:
        return
    assert (short, read) in ((begin, (sets[0],)), (whole, tuple(sets)))


@given(st.binary(max_size=80))
@example(b"\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c")
def test_units_are_what_stands_behind_their_lengths(data: bytes) -> None:
    try:
        found = h264.split_lengths(data, 4)
    except MalformedVideo:
        assert units(data) is None
    else:
        assert found == units(data)


def units(data: bytes) -> list[bytes] | None:
    """NAL units behind lengths of four bytes; None where one is cut short."""
    found, stream = [], BytesIO(data)
    while head := stream.read(4):
        size = int.from_bytes(head, "big")
        one = stream.read(size)
        if len(head) < 4 or len(one) < size:
            return None
        found += [one] if one else []
    return found


@given(st.binary(max_size=300))
def test_framing_gives_only_what_came(data: bytes) -> None:
    with suppress(MalformedVideo):
        sets = DecoderConfiguration.parse(b"\x01\x64\x00\x1e\xff\xe1" + data).sets
        assert sum(len(one) + 2 for one in sets) <= len(data)
    nals = h264.split_start_codes(data)
    assert h264.split_start_codes(h264.join_start_codes(nals)) == nals
    assert all(nal in data for nal in nals)


@given(st.binary())
def test_escaping_is_undone(data: bytes) -> None:
    assert unescape(escape(data)) == data


@given(st.lists(st.binary(min_size=1).map(lambda it: b"\x41" + escape(it) + b"\x80")))
def test_nal_units_survive_either_framing(nals: list[bytes]) -> None:
    assert h264.split_start_codes(h264.join_start_codes(nals)) == nals
    framed = b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
    assert h264.split_lengths(framed, 4) == nals


@given(st.integers(0, 2**32 - 2), st.integers(-(2**31) + 1, 2**31 - 1))
def test_golomb_numbers(plain: int, signed: int) -> None:
    out = Writer()
    out.unsigned(plain)
    out.signed(signed)
    reader = BitReader(out.done())
    assert (reader.unsigned(), reader.signed()) == (plain, signed)


def test_decoder_configuration() -> None:
    record = b"\x01\x64\x00\x1e\xff\xe1" + len(HIGH).to_bytes(2, "big") + HIGH
    record += b"\x01" + len(PPS).to_bytes(2, "big") + PPS
    read = DecoderConfiguration.parse(record)
    assert read == DecoderConfiguration(length_bytes=4, sets=(HIGH, PPS))


@pytest.mark.parametrize(
    ("text", "way", "reason"),
    [
        (sps(profile=66), Handling.PASS, ""),
        (sps(profile=77), Handling.HOLD, ""),
        (sps(profile=77, reorder=0), Handling.PASS, ""),
        (sps(profile=77, order=2), Handling.PASS, ""),
        (sps(profile=77, reorder=1), Handling.TRANSCODE, "B-frames (main profile)"),
        (sps(profile=100, constraints=0x0C), Handling.PASS, ""),
        (sps(profile=100, reorder=2), Handling.TRANSCODE, "B-frames (high profile)"),
        (sps(profile=110, depth=10), Handling.TRANSCODE, "not 8 bit 4:2:0 (high 10 profile)"),
        (sps(profile=122, chroma=2), Handling.TRANSCODE, "not 8 bit 4:2:0 (high 4:2:2 profile)"),
        (sps(frames_only=False), Handling.TRANSCODE, "interlaced (main profile)"),
    ],
)
def test_what_the_sps_alone_decides(text: bytes, way: Handling, reason: str) -> None:
    verdict = judge(parse_sps(text))
    assert (verdict.handling, verdict.reason) == (way, reason)


def run(
    gate: PassThrough, units: list[TimedAccessUnit]
) -> tuple[list[TimedAccessUnit], list[Handling]]:
    out: list[TimedAccessUnit] = []
    ways = []
    for item in units:
        passage = gate.feed(item)
        out += passage.units
        ways.append(passage.verdict.handling)
    return out, ways


def test_held_frames_come_out_whole_and_in_order() -> None:
    units = [unit(0, sps(), PPS, picture(key=True))]
    units += [unit(index, picture()) for index in range(1, 30)]
    out, ways = run(PassThrough(), units)
    assert out == units
    assert ways[0] is Handling.HOLD
    assert ways[-1] is Handling.PASS


@pytest.mark.parametrize("sign", ["slice", "time"])
def test_b_frames_are_found_and_nothing_is_lost(sign: str) -> None:
    shown = [0, 3, 1, 2, 6, 4, 5]
    units = [unit(0, sps(), PPS, picture(key=True))]
    for index in range(1, 7):
        by_slice = sign == "slice" and shown[index] in {1, 2, 4, 5}
        pts = shown[index] if sign == "time" else None
        units.append(unit(index, picture(kind=1 if by_slice else 0), pts=pts))
    out, ways = run(PassThrough(), units)
    assert out == units
    assert ways[2] is Handling.TRANSCODE


def test_late_b_frames_change_the_verdict() -> None:
    units = [unit(0, sps(), PPS, picture(key=True))]
    units += [unit(index, picture()) for index in range(1, 20)]
    units.append(unit(20, picture(kind=1)))
    out, ways = run(PassThrough(), units)
    assert ways[19] is Handling.PASS
    assert ways[20] is Handling.TRANSCODE
    assert out == units


def test_sets_are_put_before_every_key_picture() -> None:
    gate = PassThrough()
    text = sps(profile=66)
    gate.configure([text, PPS])
    out, _ = run(
        gate,
        [
            unit(0, picture()),
            unit(1, picture(key=True)),
            unit(2, picture()),
            unit(3, text, picture(key=True)),
        ],
    )
    assert [item.nals for item in out] == [
        (text, PPS, picture(key=True)),
        (picture(),),
        (text, PPS, picture(key=True)),
    ]


def test_what_is_settled_beforehand_stays() -> None:
    settled = Verdict(handling=Handling.TRANSCODE, reason="at most 360 lines")
    units = [unit(0, sps(), PPS, picture(key=True))]
    units += [unit(index, picture()) for index in range(1, 12)]
    gate = PassThrough(settled)
    for item in units:
        passage = gate.feed(item)
        assert list(passage.units) == [item]
        assert passage.verdict == settled


def test_the_end_lets_held_frames_go() -> None:
    gate = PassThrough()
    first = unit(0, sps(), PPS, picture(key=True))
    assert gate.feed(first).units == ()
    assert list(gate.finish().units) == [first]


def test_profile_names() -> None:
    def named(profile: int, constraints: int) -> str:
        return SequenceParameters(
            profile=profile,
            constraints=constraints,
            level=30,
            chroma=1,
            luma_depth=0,
            chroma_depth=0,
            frames_per_s=0,
            width=16,
            height=16,
            interlaced=False,
            reorder_frames=None,
        ).profile_name

    assert named(66, 0x40) == "Constrained Baseline"
    assert named(100, 0) == "High"
    assert named(99, 0) == "profile 99"
