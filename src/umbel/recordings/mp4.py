"""One file out of fragments (ISO/IEC 14496-12): its head, and fragments moved in time. Pure.

In: what media.hls.boxes writes, and how long it lasts. Out: the same boxes with the whole duration,
an index of segments (sidx) that lets players seek, and decode times that follow on. No size of a
fragment changes, so any range of a file is known before its bytes are read.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from umbel.kit.errors import Unprocessable

_HEAD = 8
_INDEX_SCALE = 1000
MOST_INDEXED = 0xFFFF
"""Segments that one index can name."""
_LATEST = 2**64 - 1
_SYNC = 0x90000000  # starts with a sync sample (SAP type 1)


class BadFragment(Unprocessable):
    """What was recorded is no fragmented MP4 as a recorder writes it."""

    code = "umbel.bad_fragment"


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexed:
    """A segment as an index names it."""

    size: int
    duration_s: float


def head(section: bytes, segments: Sequence[Indexed]) -> bytes:
    """The beginning of a file with these segments: `section` (ftyp and moov) with the duration of
    all, and their index. Raises BadFragment."""
    duration_s = sum(segment.duration_s for segment in segments)
    out = b""
    for name, start, end in _boxes(section, 0, len(section)):
        body = section[start:end]
        out += _moov(body, duration_s) if name == b"moov" else _box(name, body)
    return out + _index(segments)


def begins_s(section: bytes, body: bytes) -> float:
    """Where on its timeline the segment begins, in seconds: the earliest track. Raises
    BadFragment."""
    scales = timescales(section)
    found = [at / scales[track] for track, at, _ in _decode_times(body, scales)]
    if not found:
        raise BadFragment("a segment without a fragment")
    return min(found)


def moved(body: bytes, by_s: float, scales: Mapping[int, int]) -> bytes:
    """The segment `by_s` seconds later, never before 0. Raises BadFragment."""
    out = bytearray(body)
    for track, at, place in _decode_times(body, scales):
        struct.pack_into(">Q", out, place, min(max(0, at + round(by_s * scales[track])), _LATEST))
    return bytes(out)


def timescales(section: bytes) -> dict[int, int]:
    """Ticks in a second of each track, by its number. Raises BadFragment."""
    found: dict[int, int] = {}
    for trak_start, trak_end in _find(section, (b"moov", b"trak")):
        track = _number(section, trak_start, trak_end, (b"tkhd",), 12)
        found[track] = _number(section, trak_start, trak_end, (b"mdia", b"mdhd"), 12)
    if not found or 0 in found.values():
        raise BadFragment("an initialisation section without tracks")
    return found


def _number(data: bytes, start: int, end: int, path: tuple[bytes, ...], at: int) -> int:
    """A 32-bit number in the first such box, counted from its body (version 0 of it)."""
    for box_start, box_end in _find(data, path, start, end):
        if box_end - box_start >= at + 4:
            (value,) = struct.unpack_from(">I", data, box_start + at)
            return int(value)
    raise BadFragment(f"no {path[-1].decode()}")


def _decode_times(body: bytes, scales: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """Each fragment's track, decode time in ticks, and where that is written."""
    for start, end in _find(body, (b"moof", b"traf")):
        track = _number(body, start, end, (b"tfhd",), 4)
        if track not in scales:
            raise BadFragment(f"a fragment of the unknown track {track}")
        for time_start, time_end in _find(body, (b"tfdt",), start, end):
            if time_end - time_start != 12 or body[time_start] != 1:
                raise BadFragment("a decode time that is not of 64 bits")
            (at,) = struct.unpack_from(">Q", body, time_start + 4)
            yield track, at, time_start + 4


def _find(
    data: bytes, path: tuple[bytes, ...], start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int]]:
    """The bodies of all boxes at that path."""
    for name, body_start, body_end in _boxes(data, start, len(data) if end is None else end):
        if name != path[0]:
            continue
        if len(path) == 1:
            yield body_start, body_end
        else:
            yield from _find(data, path[1:], body_start, body_end)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and beginning and end of the body, of each box. Raises BadFragment."""
    while start < end:
        if end - start < _HEAD:
            raise BadFragment("a box without a whole head")
        size, name = struct.unpack_from(">I4s", data, start)
        if not _HEAD <= size <= end - start:
            raise BadFragment("a box that does not fit where it is")
        yield name, start + _HEAD, start + size
        start += size


def _moov(body: bytes, duration_s: float) -> bytes:
    """With the duration in mvhd, in milliseconds as its timescale is, and in mehd."""
    duration = round(duration_s * 1000)
    out = b""
    for name, start, end in _boxes(body, 0, len(body)):
        part = body[start:end]
        if name == b"mvhd":
            if len(part) < 20 or part[0] != 0:
                raise BadFragment("a mvhd of another version")
            part = part[:16] + struct.pack(">I", min(duration, 0xFFFFFFFF)) + part[20:]
        elif name == b"mvex":
            part = _box(b"mehd", struct.pack(">IQ", 1 << 24, duration)) + part
        out += _box(name, part)
    return _box(b"moov", out)


def _index(segments: Sequence[Indexed]) -> bytes:
    """A sidx of all segments, which follow right after it."""
    if len(segments) > MOST_INDEXED:
        raise BadFragment(f"an index has {MOST_INDEXED} segments at most")
    body = struct.pack(">IIIQQHH", 1 << 24, 1, _INDEX_SCALE, 0, 0, 0, len(segments))
    for segment in segments:
        duration = round(segment.duration_s * _INDEX_SCALE)
        body += struct.pack(">III", segment.size, duration, _SYNC)
    return _box(b"sidx", body)


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", _HEAD + len(body), name) + body
