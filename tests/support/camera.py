"""Real H.264 and Opus in the platform's packets, made in memory and in exact time."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from itertools import count, islice
from random import Random
from typing import Generic, TypeVar

import av

from umbel.media.model import PayloadType
from umbel.media.rtp.packet import RtpPacket

T = TypeVar("T")
FU_A, STAP_A = 28, 24
_WAVES = array(
    "h", (int(8000 * math.sin(math.tau * 11 * n / 1200)) for n in range(1200) for _ in range(2))
).tobytes()
"""440 Hz in stereo: 11 waves are 1 200 samples at 48 kHz, and then they repeat."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture: NAL units and when it is shown."""

    units: tuple[bytes, ...]
    at_s: Fraction
    keyframe: bool


class _Recording(Generic[T]):
    """Encoded as far as it was asked for; a longer one begins with a shorter one."""

    def __init__(self, source: Iterator[T]) -> None:
        self._source = source
        self._encoded: list[T] = []

    def first(self, number: int) -> tuple[T, ...]:
        self._encoded += islice(self._source, max(0, number - len(self._encoded)))
        return tuple(self._encoded[:number])


def pictures(
    seconds: float,
    *,
    size: tuple[int, int] = (320, 180),
    rate: Fraction = Fraction(30),
    gop: int = 60,
    profile: str = "baseline",
    slices: int = 1,
) -> tuple[Picture, ...]:
    """So many seconds of moving noise: deterministic and never equal from picture to picture."""
    return _noise(size, rate, gop, profile, slices).first(round(seconds * rate))


@cache
def _noise(
    size: tuple[int, int], rate: Fraction, gop: int, profile: str, slices: int
) -> _Recording[Picture]:
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = *size, "yuv420p"
    codec.framerate, codec.time_base = rate, 1 / rate
    codec.options = {
        "preset": "ultrafast" if profile == "baseline" else "veryfast",
        "tune": "zerolatency",
        "profile": profile,
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:repeat-headers=1"
        f":slices={slices}:aud=0:threads=1",
    }
    random = Random(7)

    def encoded() -> Iterator[Picture]:
        for number in count():
            frame = av.VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(_blocks(random, plane.line_size, plane.height))
            frame.pts, frame.time_base = number, 1 / rate
            for packet in codec.encode(frame):
                yield _picture(packet, rate)

    return _Recording(encoded())


def sounds(seconds: float) -> tuple[bytes, ...]:
    """So many seconds of a tone, as Opus packets of 20 ms."""
    return _tones().first(round(seconds * 50))


@cache
def _tones() -> _Recording[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "stereo", "s16"
    codec.time_base = Fraction(1, 48_000)

    def encoded() -> Iterator[bytes]:
        for at in count(0, 960):
            frame = av.AudioFrame("s16", "stereo", 960)
            frame.planes[0].update(_tone(at, 960))
            frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
            for packet in codec.encode(frame):
                yield bytes(packet)

    return _Recording(encoded())


def units_of(data: bytes) -> tuple[bytes, ...]:
    """The NAL units of a byte stream with start codes."""
    return tuple(
        part.rstrip(b"\0") for part in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    )


def payloads(
    units: Sequence[bytes], *, most: int = 1200, aggregate: bool = True
) -> Iterator[bytes]:
    """A picture's RTP payloads (RFC 6184): sets together, what is too long in fragments."""
    sets = [unit for unit in units if unit[0] & 0x1F in (7, 8)]
    if aggregate and len(sets) > 1:
        yield bytes((0x60 | STAP_A,)) + b"".join(
            len(unit).to_bytes(2, "big") + unit for unit in sets
        )
        units = [unit for unit in units if unit not in sets]
    for unit in units:
        if len(unit) <= most:
            yield unit
        else:
            yield from fragments(unit, most)


def fragments(unit: bytes, most: int) -> Iterator[bytes]:
    """A unit as FU-A payloads of at most so many bytes each."""
    body, size = unit[1:], most - 2
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    for number, piece in enumerate(pieces):
        start = 0x80 if number == 0 else 0
        end = 0x40 if number == len(pieces) - 1 else 0
        yield bytes((unit[0] & 0xE0 | FU_A, start | end | unit[0] & 0x1F)) + piece


@dataclass
class Camera:
    """Turns encoded media into packets with their times, and counts on like one sender."""

    ssrc: int = 1000
    audio_ssrc: int = 2000
    sequence: int = 65_500
    timestamp: int = 0xFFFF_0000
    audio_sequence: int = 65_520
    audio_timestamp: int = 0xFFFF_F000
    most: int = 1200
    sent: list[tuple[float, bytes]] = field(default_factory=list)

    def video(self, shown: Iterable[Picture], start_s: float = 0.0) -> "Camera":
        """Pictures, the first of them at `start_s`. The clock is 90 kHz of the picture's time."""
        for picture in shown:
            ticks = self.timestamp + round((picture.at_s + Fraction(start_s)) * 90_000)
            parts = list(payloads(picture.units, most=self.most))
            for number, payload in enumerate(parts):
                packet = RtpPacket(
                    payload_type=PayloadType.H264,
                    marker=number == len(parts) - 1,
                    sequence=self.sequence & 0xFFFF,
                    timestamp=ticks & 0xFFFFFFFF,
                    ssrc=self.ssrc,
                    payload=payload,
                )
                self.sequence += 1
                self.sent.append((float(picture.at_s) + start_s, packet.build()))
        return self

    def audio(self, heard: Iterable[bytes], start_s: float = 0.0, late_s: float = 0.0) -> "Camera":
        """Opus packets from `start_s` on, each `late_s` after it could have come."""
        for number, data in enumerate(heard):
            at_s = start_s + number * 0.02
            packet = RtpPacket(
                payload_type=PayloadType.OPUS,
                marker=False,
                sequence=self.audio_sequence & 0xFFFF,
                timestamp=(self.audio_timestamp + round(at_s * 48_000)) & 0xFFFFFFFF,
                ssrc=self.audio_ssrc,
                payload=data,
            )
            self.audio_sequence += 1
            self.sent.append((at_s + 0.02 + late_s, packet.build()))
        return self

    def timed(self) -> list[tuple[float, bytes]]:
        """All packets in the order of their times."""
        return sorted(self.sent, key=lambda entry: entry[0])


def _picture(packet: "av.Packet", rate: Fraction) -> Picture:
    assert packet.pts is not None
    return Picture(units_of(bytes(packet)), packet.pts / rate, bool(packet.is_keyframe))


def _blocks(random: Random, width: int, height: int) -> bytes:
    """A plane of squares of sixteen pixels."""
    rows: list[bytes] = []
    while len(rows) < height:
        row = b"".join(bytes((value,)) * 16 for value in random.randbytes(width // 16 + 1))
        rows += [row[:width]] * 16
    return b"".join(rows[:height])


def _tone(first: int, samples: int) -> bytes:
    start = first % 1200
    return (_WAVES * (samples // 1200 + 2))[4 * start : 4 * (start + samples)]
