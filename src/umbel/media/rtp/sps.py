"""Sequence parameter sets of H.264 (ITU-T H.264 section 7.3.2.1.1, annex E): bytes in, values out.

Used by passthrough.py to judge a stream, by hls to describe it. Neighbours: h264.py, bits.py.
"""

from dataclasses import dataclass
from functools import lru_cache

from umbel.media.rtp.bits import BitReader, MalformedVideo, unescape
from umbel.media.rtp.h264 import SPS, nal_type

_PROFILES = {66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10"}
_PROFILES |= {122: "High 4:2:2", 244: "High 4:4:4"}
_WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
_LARGEST_SIDE_MBS = 1024
_EXPLICIT_ASPECT = 255
_DEEPEST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParameters:
    """What a sequence parameter set says.

    `width`, `height` in pixels after cropping; `frames_per_s` 0 when the set does not say;
    `chroma` the format's number; `luma_depth` and `chroma_depth` the bits above eight;
    `reorder_frames` how many frames may precede another in decoding and follow it in showing, None
    when the set does not say.
    """

    profile: int
    constraints: int
    level: int
    chroma: int
    luma_depth: int
    chroma_depth: int
    width: int
    height: int
    interlaced: bool
    frames_per_s: float
    reorder_frames: int | None

    @property
    def bit_depth(self) -> int:
        """Bits of a sample, of whichever plane has more."""
        return 8 + max(self.luma_depth, self.chroma_depth)

    @property
    def profile_name(self) -> str:
        """Such as `High`."""
        constrained = self.profile == 66 and self.constraints & 0x40
        name = _PROFILES.get(self.profile, f"profile {self.profile}")
        return f"Constrained {name}" if constrained else name

    @property
    def codec(self) -> str:
        """The codec's name in playlists and browsers (RFC 6381): `avc1.42c01f`."""
        return f"avc1.{self.profile:02x}{self.constraints:02x}{self.level:02x}"


@lru_cache(maxsize=64)
def parse_sps(nal: bytes) -> SequenceParameters:
    """Read a sequence parameter set (section 7.3.2.1.1). Raises MalformedVideo."""
    if len(nal) < 4 or nal_type(nal) != SPS:
        raise MalformedVideo("not a sequence parameter set")
    reader = BitReader(unescape(nal[1:]))
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.unsigned()
    chroma, luma_depth, chroma_depth = _chroma(reader) if profile in _WITH_CHROMA else (1, 0, 0)
    reader.unsigned()
    order_type = _picture_order(reader)
    reader.unsigned()
    reader.flag()
    width, height, interlaced = _size(reader, chroma)
    frames_per_s, reorder = _usability(reader) if reader.flag() else (0.0, None)
    return SequenceParameters(
        profile=profile,
        constraints=constraints,
        level=level,
        chroma=chroma,
        luma_depth=luma_depth,
        chroma_depth=chroma_depth,
        width=width,
        height=height,
        interlaced=interlaced,
        frames_per_s=frames_per_s,
        # Order type 2 means that pictures are shown as they are decoded (8.2.1).
        reorder_frames=0 if order_type == 2 else reorder,
    )


def _chroma(reader: BitReader) -> tuple[int, int, int]:
    chroma = reader.unsigned()
    if chroma > 3:
        raise MalformedVideo("no such chroma format")
    if chroma == 3:
        reader.flag()
    luma_depth, chroma_depth = reader.unsigned(), reader.unsigned()
    if max(luma_depth, chroma_depth) > _DEEPEST:
        raise MalformedVideo("no such sample depth")
    reader.flag()
    if reader.flag():
        for index in range(12 if chroma == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma, luma_depth, chroma_depth


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.signed()) % 256
        last = following or last


def _picture_order(reader: BitReader) -> int:
    order_type = reader.unsigned()
    if order_type == 0:
        reader.unsigned()
    elif order_type == 1:
        reader.flag()
        reader.signed()
        reader.signed()
        cycle = reader.unsigned()
        if cycle > 255:
            raise MalformedVideo("the picture order cycle is too long")
        for _ in range(cycle):
            reader.signed()
    elif order_type > 2:
        raise MalformedVideo("unknown picture order type")
    return order_type


def _size(reader: BitReader, chroma: int) -> tuple[int, int, bool]:
    wide, high = reader.unsigned() + 1, reader.unsigned() + 1
    if max(wide, high) > _LARGEST_SIDE_MBS:
        raise MalformedVideo("the picture is too large")
    interlaced = not reader.flag()
    if interlaced:
        reader.flag()
    reader.flag()
    width, height = 16 * wide, 16 * high * (2 if interlaced else 1)
    if reader.flag():
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        width -= (left + right) * (2 if chroma in {1, 2} else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * (2 if interlaced else 1)
    if width <= 0 or height <= 0:
        raise MalformedVideo("the cropping leaves no picture")
    return width, height, interlaced


def _usability(reader: BitReader) -> tuple[float, int | None]:
    """The video usability information (annex E.1.1): frames a second, max_num_reorder_frames."""
    frames_per_s = _frame_rate(reader)
    if any([_skip_hrd(reader), _skip_hrd(reader)]):
        reader.flag()
    reader.flag()
    if not reader.flag():
        return frames_per_s, None
    reader.flag()
    for _ in range(4):
        reader.unsigned()
    return frames_per_s, reader.unsigned()


def _frame_rate(reader: BitReader) -> float:
    """Frames a second, 0 if not given; behind aspect, overscan, signal type, chroma location."""
    if reader.flag() and reader.bits(8) == _EXPLICIT_ASPECT:
        reader.bits(32)
    if reader.flag():
        reader.flag()
    if reader.flag():
        reader.bits(4)
        if reader.flag():
            reader.bits(24)
    if reader.flag():
        reader.unsigned()
        reader.unsigned()
    if not reader.flag():
        return 0.0
    ticks, ticks_per_s = reader.bits(32), reader.bits(32)
    reader.flag()
    return ticks_per_s / (2 * ticks) if ticks else 0.0


def _skip_hrd(reader: BitReader) -> bool:
    if not reader.flag():
        return False
    count = reader.unsigned() + 1
    if count > 32:
        raise MalformedVideo("too many buffer models")
    reader.bits(8)
    for _ in range(count):
        reader.unsigned()
        reader.unsigned()
        reader.flag()
    reader.bits(20)
    return True
