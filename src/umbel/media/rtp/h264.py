"""H.264 as far as a server that never decodes must know it (ITU-T H.264 7.3, 7.4.1, Annex E).

In: network abstraction layer units (NAL units) without start codes. Out: their kinds, and what a
sequence parameter set (SPS) says. Neighbours: depacketize.py makes the units, hls/boxes.py writes
the sets into files.
"""

from dataclasses import dataclass
from functools import lru_cache

from umbel.kit.errors import Invalid

SLICE, IDR_SLICE, SEI, SPS, PPS, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12

# Profiles whose SPS tells the chroma format (7.3.2.1.1).
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_STAP_A = 24
_EXTENDED_ASPECT = 255
_MOST_MACROBLOCKS = 1024


class MalformedParameters(Invalid):
    """The bytes are no H.264 sequence parameter set."""

    code = "umbel.malformed_parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParameters:
    """What an SPS says: the visible size in pixels, and frames a second if given (else 0).

    `chroma` is the format's number, `luma_depth` and `chroma_depth` the bits above eight.
    """

    profile: int
    constraints: int
    level: int
    width: int
    height: int
    frames_per_s: float
    chroma: int
    luma_depth: int
    chroma_depth: int

    @property
    def codec(self) -> str:
        """The codec's name in playlists and browsers (RFC 6381): `avc1.42c01f`."""
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"


def kind(unit: bytes) -> int:
    """The type of a NAL unit, 0 for an empty one."""
    return unit[0] & 0x1F if unit else 0


def sps_in(payload: bytes) -> bytes | None:
    """The SPS that an RTP payload (RFC 6184) carries whole: alone, or in a STAP-A."""
    if kind(payload) == SPS:
        return payload
    if kind(payload) != _STAP_A:
        return None
    at = 1
    while at + 2 <= len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        if kind(unit) == SPS and len(unit) == size:
            return unit
        at += 2 + size
    return None


@lru_cache(maxsize=64)
def parse_sps(unit: bytes) -> SequenceParameters:
    """Read an SPS with its NAL unit header. Raises MalformedParameters."""
    if len(unit) < 4 or kind(unit) != SPS:
        raise MalformedParameters
    bits = _Bits(_unescaped(unit[1:]))
    profile, constraints, level = bits.read(8), bits.read(8), bits.read(8)
    bits.exp_golomb()
    chroma, *depths = _high_profile(bits) if profile in _HIGH_PROFILES else (1, 0, 0)
    _skip_picture_order(bits)
    bits.exp_golomb()  # reference frames
    bits.read(1)  # gaps allowed
    columns, rows = bits.exp_golomb() + 1, bits.exp_golomb() + 1
    frames_only = bits.read(1)
    if not frames_only:
        bits.read(1)
        rows *= 2
    if max(columns, rows) > _MOST_MACROBLOCKS:
        raise MalformedParameters("the picture is larger than any level allows")
    bits.read(1)  # direct 8x8 inference
    cut_x, cut_y = _cropping(bits, chroma, frames_only) if bits.read(1) else (0, 0)
    width, height = 16 * columns - cut_x, 16 * rows - cut_y
    if width <= 0 or height <= 0:
        raise MalformedParameters("nothing of the picture is left")
    return SequenceParameters(
        profile=profile,
        constraints=constraints,
        level=level,
        width=width,
        height=height,
        frames_per_s=_frame_rate(bits) if bits.read(1) else 0.0,
        chroma=chroma,
        luma_depth=depths[0],
        chroma_depth=depths[1],
    )


class _Bits:
    """A bit reader. Past the end it raises MalformedParameters."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned number of so many bits."""
        self._left -= count
        if self._left < 0:
            raise MalformedParameters("the parameter set ends early")
        return (self._value >> self._left) & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """An unsigned Exp-Golomb number, ue(v)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                raise MalformedParameters("a number of the parameter set is too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_exp_golomb(self) -> int:
        """A signed Exp-Golomb number, se(v)."""
        number = self.exp_golomb()
        return (number + 1) // 2 if number & 1 else -(number // 2)


def _unescaped(data: bytes) -> bytes:
    """Without the bytes that keep start codes from appearing (emulation prevention)."""
    parts = data.split(b"\x00\x00\x03")
    return b"\x00\x00".join(parts)


def _high_profile(bits: _Bits) -> tuple[int, int, int]:
    chroma = bits.exp_golomb()
    if chroma > 3:
        raise MalformedParameters("no such chroma format")
    if chroma == 3:
        bits.read(1)
    luma_depth, chroma_depth = bits.exp_golomb(), bits.exp_golomb()
    if max(luma_depth, chroma_depth) > 6:
        raise MalformedParameters("no such sample depth")
    bits.read(1)
    if bits.read(1):
        for number in range(8 if chroma != 3 else 12):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, luma_depth, chroma_depth


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
    bits.exp_golomb()  # frame number length
    order = bits.exp_golomb()
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.read(1)
        bits.signed_exp_golomb()
        bits.signed_exp_golomb()
        cycle = bits.exp_golomb()
        if cycle > 255:
            raise MalformedParameters("the picture order cycle is too long")
        for _ in range(cycle):
            bits.signed_exp_golomb()


def _cropping(bits: _Bits, chroma: int, frames_only: int) -> tuple[int, int]:
    left, right, top, bottom = (bits.exp_golomb() for _ in range(4))
    unit_x = 2 if chroma in (1, 2) else 1
    unit_y = (2 if chroma == 1 else 1) * (2 - frames_only)
    return unit_x * (left + right), unit_y * (top + bottom)


def _frame_rate(bits: _Bits) -> float:
    """Frames a second out of the video usability information (Annex E), 0 if not given."""
    if bits.read(1) and bits.read(8) == _EXTENDED_ASPECT:
        bits.read(32)
    if bits.read(1):
        bits.read(1)  # overscan
    if bits.read(1):
        bits.read(4)
        if bits.read(1):
            bits.read(24)  # colours
    if bits.read(1):
        bits.exp_golomb()
        bits.exp_golomb()
    if not bits.read(1):
        return 0.0
    ticks, ticks_per_s = bits.read(32), bits.read(32)
    return ticks_per_s / (2 * ticks) if ticks else 0.0
