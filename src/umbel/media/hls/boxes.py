"""Fragmented MP4 (ISO/IEC 14496-12, -15; Opus: "Encapsulation of Opus in ISOBMFF"; AAC: -1, -14).

In: parameter sets and samples. Out: an initialisation section, and fragments (moof + mdat) whose
data offsets count from the moof, so that any chain of fragments is a file. Neighbour: segmenter.py.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ
from umbel.media.rtp.sps import parse_sps

VIDEO_TRACK, AUDIO_TRACK = 1, 2

_UNITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED_LANGUAGE = 0x55C4
# A player joins in the middle of a stream: there is no encoder delay to skip.
_OPUS_PRE_SKIP = 0
_SYNC_SAMPLE, _OTHER_SAMPLE = 0x02000000, 0x01010000
_DEFAULT_BASE_IS_MOOF = 0x020000
# trun: data offset, then duration, size and flags of each sample.
_TRUN_FLAGS = 0x000701
_EMPTY_TRAF = 8 + 16 + 20  # tfhd and tfdt, no trun


class Sound(Enum):
    """The codec of the sound, as playlists name it (RFC 6381): Opus, or AAC-LC; 48 kHz stereo."""

    OPUS = "opus"
    AAC = "mp4a.40.2"


@dataclass(frozen=True, slots=True)
class VideoSets:
    """An H.264 stream's parameter sets, as NAL units."""

    sps: bytes
    pps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Tracks:
    """What a file holds: video if `video`, sound if `audio`."""

    video: VideoSets | None
    audio: Sound | None


@dataclass(slots=True)
class Sample:
    """One frame; `at` and `duration` in its track's ticks, `data` as it is stored."""

    at: int
    duration: int
    data: bytes
    keyframe: bool


def initialisation(tracks: Tracks) -> bytes:
    """ftyp and moov. Raises MalformedVideo for an unreadable SPS."""
    traks, defaults = b"", b""
    if tracks.video is not None:
        traks += _video_trak(tracks.video)
        defaults += _full(b"trex", 0, 0, struct.pack(">5I", VIDEO_TRACK, 1, 0, 0, 0))
    if tracks.audio is not None:
        traks += _audio_trak(tracks.audio)
        defaults += _full(b"trex", 0, 0, struct.pack(">5I", AUDIO_TRACK, 1, 0, 0, 0))
    brands = _box(b"ftyp", b"iso6" + struct.pack(">I", 1) + b"iso6" + b"cmfc" + b"mp41")
    header = _full(
        b"mvhd",
        0,
        0,
        struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100)
        + _UNITY_MATRIX
        + struct.pack(">24xI", AUDIO_TRACK + 1),
    )
    return brands + _box(b"moov", header + traks + _box(b"mvex", defaults))


def fragment(sequence: int, runs: Sequence[tuple[int, int, Sequence[Sample]]]) -> bytes:
    """One moof and mdat. `runs`: track, decode time of the first sample in ticks, samples."""
    bodies = [b"".join([sample.data for sample in samples]) for _, _, samples in runs]
    # The offset of the data is only known once the moof is: its size does not depend on it.
    size = len(_moof(sequence, runs, [0] * len(runs)))
    offsets, at = [], size + 8
    for body in bodies:
        offsets.append(at)
        at += len(body)
    return _moof(sequence, runs, offsets) + _box(b"mdat", b"".join(bodies))


def samples(data: bytes) -> Iterator[tuple[int, Sample]]:
    """The samples of what `fragment` wrote, each with its track."""
    (moof_size,) = struct.unpack_from(">I", data)
    at = 8 + 16
    while at < moof_size:
        (size,) = struct.unpack_from(">I", data, at)
        if size > _EMPTY_TRAF:
            yield from _run(data, at)
        at += size


def _run(data: bytes, traf: int) -> Iterator[tuple[int, Sample]]:
    (track,) = struct.unpack_from(">I", data, traf + 20)
    (at,) = struct.unpack_from(">Q", data, traf + 36)
    (count, offset) = struct.unpack_from(">II", data, traf + 56)
    for duration, size, flags in struct.iter_unpack(
        ">III", data[traf + 64 : traf + 64 + 12 * count]
    ):
        yield track, Sample(at, duration, data[offset : offset + size], flags == _SYNC_SAMPLE)
        at += duration
        offset += size


def length_prefixed(units: Sequence[bytes]) -> bytes:
    """NAL units as an MP4 sample stores them."""
    return b"".join([part for unit in units for part in (len(unit).to_bytes(4, "big"), unit)])


def _moof(
    sequence: int, runs: Sequence[tuple[int, int, Sequence[Sample]]], offsets: Sequence[int]
) -> bytes:
    body = _full(b"mfhd", 0, 0, struct.pack(">I", sequence & 0xFFFFFFFF))
    for (track, at, samples), offset in zip(runs, offsets, strict=True):
        body += _traf(track, at, samples, offset)
    return _box(b"moof", body)


def _traf(track: int, at: int, samples: Sequence[Sample], offset: int) -> bytes:
    head = _full(b"tfhd", 0, _DEFAULT_BASE_IS_MOOF, struct.pack(">I", track))
    head += _full(b"tfdt", 1, 0, struct.pack(">Q", at))
    if not samples:
        return _box(b"traf", head)
    numbers = [len(samples), offset]
    for sample in samples:
        flags = _SYNC_SAMPLE if sample.keyframe else _OTHER_SAMPLE
        numbers += (sample.duration, len(sample.data), flags)
    run = _full(b"trun", 0, _TRUN_FLAGS, struct.pack(f">{len(numbers)}I", *numbers))
    return _box(b"traf", head + run)


def _video_trak(sets: VideoSets) -> bytes:
    parsed = parse_sps(sets.sps)
    record = bytes((1, parsed.profile, parsed.constraints, parsed.level, 0xFF, 0xE1))
    record += struct.pack(">H", len(sets.sps)) + sets.sps + bytes((len(sets.pps),))
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sets.pps)
    if parsed.profile not in (66, 77, 88):
        record += bytes(
            (0xFC | parsed.chroma, 0xF8 | parsed.luma_depth, 0xF8 | parsed.chroma_depth, 0)
        )
    entry = struct.pack(
        ">6xH16xHHIIIH32xHh", 1, parsed.width, parsed.height, 0x480000, 0x480000, 0, 1, 24, -1
    )
    sample_entry = _box(b"avc1", entry + _box(b"avcC", record))
    header = _full(b"vmhd", 0, 1, bytes(8))
    shape = (parsed.width, parsed.height)
    return _trak(VIDEO_TRACK, VIDEO_CLOCK_HZ, b"vide", header + _tables(sample_entry), shape)


def _audio_trak(sound: Sound) -> bytes:
    entry = struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, AUDIO_CLOCK_HZ << 16)
    header = _full(b"smhd", 0, 0, bytes(4))
    if sound is Sound.OPUS:
        config = _box(b"dOps", struct.pack(">BBHIhB", 0, 2, _OPUS_PRE_SKIP, AUDIO_CLOCK_HZ, 0, 0))
        tables = _tables(_box(b"Opus", entry + config))
    else:
        tables = _tables(_box(b"mp4a", entry + _full(b"esds", 0, 0, _AAC_STREAM)))
    return _trak(AUDIO_TRACK, AUDIO_CLOCK_HZ, b"soun", header + tables, (0, 0))


def _trak(track: int, clock_hz: int, handler: bytes, media: bytes, shape: tuple[int, int]) -> bytes:
    volume = 0 if handler == b"vide" else 0x0100
    header = struct.pack(">IIIII8xHHHH", 0, 0, track, 0, 0, 0, 0, volume, 0) + _UNITY_MATRIX
    header += struct.pack(">II", shape[0] << 16, shape[1] << 16)
    times = struct.pack(">IIIIHH", 0, 0, clock_hz, 0, _UNDETERMINED_LANGUAGE, 0)
    body = _full(b"mdhd", 0, 0, times)
    body += _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler) + b"umbel\0")
    return _box(b"trak", _full(b"tkhd", 0, 3, header) + _box(b"mdia", body + _box(b"minf", media)))


def _tables(sample_entry: bytes) -> bytes:
    """Where the samples are: in the same file, and none in the moov itself."""
    data_here = _full(b"url ", 0, 1, b"")
    reference = _full(b"dref", 0, 0, struct.pack(">I", 1) + data_here)
    tables = _full(b"stsd", 0, 0, struct.pack(">I", 1) + sample_entry)
    tables += _full(b"stts", 0, 0, bytes(4)) + _full(b"stsc", 0, 0, bytes(4))
    tables += _full(b"stsz", 0, 0, bytes(8)) + _full(b"stco", 0, 0, bytes(4))
    return _box(b"dinf", reference) + _box(b"stbl", tables)


def _descriptor(tag: int, body: bytes) -> bytes:
    """A descriptor of ISO/IEC 14496-1 section 8.3.3, shorter than 128 bytes."""
    return bytes((tag, len(body))) + body


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def _full(name: bytes, version: int, flags: int, body: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + body)


# AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1): AAC-LC, 48 kHz, two channels.
_AAC_CONFIG = bytes.fromhex("1190")
# An ES_Descriptor with its decoder configuration: MPEG-4 audio (0x40), an audio stream (0x15).
_AAC_STREAM = _descriptor(
    3,
    bytes(3)
    + _descriptor(4, bytes((0x40, 0x15)) + bytes(11) + _descriptor(5, _AAC_CONFIG))
    + _descriptor(6, b"\x02"),
)
