"""What a recorder gives, as bytes: a line of JSON, then initialisation sections, then segments.

In: a Pulled. Out: bytes, and the other way: bytes from a function are not trusted, so every size is
bounded and every field is checked. Tested as inverses, and against bytes that make no sense.
"""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from umbel.kit.errors import Unavailable
from umbel.media.model import Pulled, PulledSegment

MEDIA_TYPE = "application/octet-stream"

MOST_BYTES = 32 << 20
"""Of the segments in an answer; a single one may be larger than what is left of it."""
MOST_SECONDS = 60.0
MOST_SEGMENTS = 256
MOST_SEGMENT_BYTES = 16 << 20
"""Where a segment grows beyond, it is cut between keyframes; one part more may be in it."""
MOST_ANSWER_BYTES = 64 << 20
"""What a reader takes."""

_MOST_HEADER_BYTES = 64 << 10
_MOST_MAP_BYTES = 64 << 10
_MOST_NUMBER = 2**53
_LONGEST_SEGMENT_S = 3600.0
_LATEST_WALL_S = 1e11
_BOOT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class AnswerMalformed(Unavailable):
    """The recorder does not answer as agreed."""

    code = "umbel.recorder_answer_malformed"


def encode(pulled: Pulled) -> bytes:
    """The answer's body."""
    header = {
        "boot": pulled.boot,
        "dropped": pulled.dropped,
        "ended": pulled.ended,
        "segments": [
            {
                "number": segment.number,
                "duration_s": round(segment.duration_s, 6),
                "wall_s": round(segment.wall_s, 6),
                "discontinuity": segment.discontinuity,
                "map": segment.map_number,
                "size": len(segment.body),
                "keyframes": segment.keyframes,
            }
            for segment in pulled.segments
        ],
        "maps": {str(number): len(data) for number, data in pulled.maps.items()},
    }
    line = json.dumps(header, separators=(",", ":")).encode() + b"\n"
    return b"".join([line, *pulled.maps.values(), *(one.body for one in pulled.segments)])


def decode(data: bytes) -> Pulled:
    """What a recorder answered. Raises AnswerMalformed."""
    header, at = _header(data)
    maps, at = _maps(_field(header, "maps"), data, at)
    segments: list[PulledSegment] = []
    entries = _field(header, "segments")
    if not isinstance(entries, list) or len(entries) > MOST_SEGMENTS:
        _refuse(f"segments: not a list of at most {MOST_SEGMENTS}")
    for entry in entries:
        segment, at = _segment(entry, data, at)
        if segments and segment.number <= segments[-1].number:
            _refuse("segments: the numbers do not grow")
        if segment.map_number not in maps:
            _refuse("segments: one names a map that is not there")
        segments.append(segment)
    if at != len(data):
        _refuse("there are bytes behind the last segment")
    boot = _field(header, "boot")
    if not isinstance(boot, str) or not _BOOT.fullmatch(boot):
        _refuse("boot: not a name")
    return Pulled(
        boot=boot,
        dropped=_number(header, "dropped"),
        ended=_flag(header, "ended"),
        maps=maps,
        segments=tuple(segments),
    )


def _header(data: bytes) -> tuple[Mapping[str, object], int]:
    end = data.find(b"\n", 0, _MOST_HEADER_BYTES)
    if end < 0:
        _refuse(f"there is no header within {_MOST_HEADER_BYTES} bytes")
    try:
        header = json.loads(data[:end].decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AnswerMalformed("The recorder's header is not JSON.") from error
    if not isinstance(header, dict):
        _refuse("the header is not an object")
    return header, end + 1


def _maps(sizes: object, data: bytes, at: int) -> tuple[dict[int, bytes], int]:
    if not isinstance(sizes, dict) or len(sizes) > MOST_SEGMENTS:
        _refuse(f"maps: not an object of at most {MOST_SEGMENTS}")
    maps: dict[int, bytes] = {}
    for name in sizes:
        if not name.isascii() or not name.isdigit() or len(name) > 15 or int(name) in maps:
            _refuse("maps: a name is not a number")
        body, at = _taken(data, at, _number(sizes, name, _MOST_MAP_BYTES))
        maps[int(name)] = body
    return maps, at


def _segment(entry: object, data: bytes, at: int) -> tuple[PulledSegment, int]:
    if not isinstance(entry, dict):
        _refuse("segments: one is not an object")
    body, at = _taken(data, at, _number(entry, "size", MOST_ANSWER_BYTES))
    segment = PulledSegment(
        number=_number(entry, "number"),
        duration_s=_seconds(entry, "duration_s", _LONGEST_SEGMENT_S),
        wall_s=_seconds(entry, "wall_s", _LATEST_WALL_S),
        discontinuity=_flag(entry, "discontinuity"),
        map_number=_number(entry, "map"),
        keyframes=_number(entry, "keyframes"),
        body=body,
    )
    return segment, at


def _taken(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if size > len(data) - at:
        _refuse("it is shorter than its header says")
    return data[at : at + size], at + size


def _field(entry: Mapping[str, object], name: str) -> object:
    if name not in entry:
        _refuse(f"{name}: missing")
    return entry[name]


def _number(entry: Mapping[str, object], name: str, most: int = _MOST_NUMBER) -> int:
    value = _field(entry, name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        _refuse(f"{name}: not a number from 0 to {most}")
    return value


def _seconds(entry: Mapping[str, object], name: str, most: float) -> float:
    value = _field(entry, name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isinstance(value, int | float) or not 0 <= value <= most:
        _refuse(f"{name}: not seconds from 0 to {most:.0f}")
    return float(value)


def _flag(entry: Mapping[str, object], name: str) -> bool:
    value = _field(entry, name)
    if not isinstance(value, bool):
        _refuse(f"{name}: not true or false")
    return value


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


def _refuse(why: str) -> NoReturn:
    raise AnswerMalformed(f"The recorder does not answer as agreed: {why}.")
