"""FLV tags and what is in them, also the fourcc tags of enhanced RTMP: bytes in, values out.

RTMP carries the same payloads, and tags in aggregate messages.
Sources: Adobe FLV specification 10.1 annex E; Enhanced RTMP (Veovera) v1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Invalid

AUDIO, VIDEO, SCRIPT = 8, 9, 18
_TAG_HEADER_BYTES = 11
_VIDEO_CODECS = {2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha"}
_VIDEO_CODECS |= {6: "Screen video 2", 7: "H.264", 12: "HEVC"}
_AUDIO_CODECS = {0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM little endian", 4: "Nellymoser 16 kHz"}
_AUDIO_CODECS |= {5: "Nellymoser 8 kHz", 6: "Nellymoser", 7: "PCMA", 8: "PCMU", 10: "AAC"}
_AUDIO_CODECS |= {11: "Speex", 14: "MP3"}
_FOUR = {b"avc1": "H.264", b"hvc1": "HEVC", b"av01": "AV1", b"vp09": "VP9", b"vp08": "VP8"}
_FOUR |= {b"mp4a": "AAC", b"Opus": "Opus", b".mp3": "MP3", b"ac-3": "AC-3", b"ec-3": "E-AC-3"}
_FOUR |= {b"fLaC": "FLAC"}
_WITH_OFFSET = {"H.264", "HEVC"}
_EXTENDED_AUDIO = 9


class MalformedFlv(Invalid):
    """The bytes are not FLV tags."""

    code = "umbel.malformed_flv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag: `kind` AUDIO, VIDEO or SCRIPT, `timestamp_ms` 32 bit."""

    kind: int
    timestamp_ms: int
    payload: bytes


def read_tags(data: bytes) -> Iterator[Tag]:
    """The tags, each with its size behind it. Raises MalformedFlv."""
    at = 0
    while at < len(data):
        end = at + _TAG_HEADER_BYTES + int.from_bytes(data[at + 1 : at + 4], "big")
        if len(data) < end + 4:
            raise MalformedFlv("a tag is cut short")
        yield _tag(data[at : end + 4], end - at)
        at = end + 4


def _tag(data: bytes, end: int) -> Tag:
    if data[0] not in {AUDIO, VIDEO, SCRIPT} or int.from_bytes(data[end:], "big") != end:
        raise MalformedFlv("a tag of an unknown kind, or its size is not repeated behind it")
    stamp = int.from_bytes(data[4:7], "big") | data[7] << 24
    return Tag(kind=data[0], timestamp_ms=stamp, payload=data[_TAG_HEADER_BYTES:end])


class PayloadKind(Enum):
    """What a media payload is."""

    CONFIG = "config"
    FRAME = "frame"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlvMedia:
    """A payload taken apart. `offset_ms` from decoding to showing; `key` for video alone."""

    codec: str
    part: PayloadKind
    data: bytes = b""
    key: bool = False
    offset_ms: int = 0


def read_video(payload: bytes) -> FlvMedia:
    """Take a video payload apart. Raises MalformedFlv."""
    if not payload:
        return FlvMedia(codec="", part=PayloadKind.NOTHING)
    if payload[0] & 0x80:
        return _enhanced_video(payload)
    codec_id = payload[0] & 0x0F
    codec = _VIDEO_CODECS.get(codec_id, f"FLV video {codec_id}")
    key = payload[0] >> 4 == 1
    if codec not in _WITH_OFFSET:
        return FlvMedia(codec=codec, part=PayloadKind.FRAME, data=payload[1:], key=key)
    if len(payload) < 5:
        raise MalformedFlv("a video payload is cut short")
    part = {0: PayloadKind.CONFIG, 1: PayloadKind.FRAME}.get(payload[1], PayloadKind.NOTHING)
    offset_ms = int.from_bytes(payload[2:5], "big", signed=True)
    return FlvMedia(codec=codec, part=part, data=payload[5:], key=key, offset_ms=offset_ms)


def _enhanced_video(payload: bytes) -> FlvMedia:
    codec = _four(payload)
    kind, key = payload[0] & 0x0F, payload[0] >> 4 & 7 == 1
    if kind == 0:
        return FlvMedia(codec=codec, part=PayloadKind.CONFIG, data=payload[5:], key=key)
    if kind == 1 and codec in _WITH_OFFSET:
        if len(payload) < 8:
            raise MalformedFlv("a video payload is cut short")
        offset_ms = int.from_bytes(payload[5:8], "big", signed=True)
        return FlvMedia(
            codec=codec, part=PayloadKind.FRAME, data=payload[8:], key=key, offset_ms=offset_ms
        )
    if kind in {1, 3}:
        return FlvMedia(codec=codec, part=PayloadKind.FRAME, data=payload[5:], key=key)
    return FlvMedia(codec=codec, part=PayloadKind.NOTHING)


def read_audio(payload: bytes) -> FlvMedia:
    """Take an audio payload apart. Raises MalformedFlv."""
    if not payload:
        return FlvMedia(codec="", part=PayloadKind.NOTHING)
    codec_id = payload[0] >> 4
    if codec_id == _EXTENDED_AUDIO:
        kind = payload[0] & 0x0F
        part = {0: PayloadKind.CONFIG, 1: PayloadKind.FRAME}.get(kind, PayloadKind.NOTHING)
        return FlvMedia(codec=_four(payload), part=part, data=payload[5:])
    codec = _AUDIO_CODECS.get(codec_id, f"FLV audio {codec_id}")
    if codec != "AAC":
        return FlvMedia(codec=codec, part=PayloadKind.FRAME, data=payload[1:])
    if len(payload) < 2:
        raise MalformedFlv("an audio payload is cut short")
    part = PayloadKind.CONFIG if payload[1] == 0 else PayloadKind.FRAME
    return FlvMedia(codec=codec, part=part, data=payload[2:])


def _four(payload: bytes) -> str:
    if len(payload) < 5:
        raise MalformedFlv("a payload without its fourcc")
    name = payload[1:5]
    return _FOUR.get(name, name.decode("ascii", "replace"))


class Valve:
    """Keeps what waits for the worker short: over the limit, drops until the next keyframe."""

    def __init__(self, most_bytes: int = 4_000_000) -> None:
        self._most_bytes = most_bytes
        self._over = False
        self._wants_key = False
        self.dropped = 0

    def admits(self, kind: int, media: FlvMedia, waiting_bytes: int) -> bool:
        """Whether to pass a tag of that kind on while `waiting_bytes` wait.

        Configurations always pass.
        """
        if media.part is PayloadKind.CONFIG:
            return True
        low = self._most_bytes // 4
        self._over = waiting_bytes > (low if self._over else self._most_bytes)
        admitted = not self._over
        if kind == VIDEO:
            self._wants_key = self._over or (self._wants_key and not media.key)
            admitted = not self._wants_key
        self.dropped += not admitted
        return admitted
