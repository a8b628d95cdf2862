"""H.264 as far as an acquirer reads it: NAL units, parameter sets, slice types (ITU-T H.264).

In: access units in either framing. Out: NAL units, what the SPS says. Used by passthrough.py and
packer.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from umbel.media.ingest.bits import BitReader, MalformedVideo, unescape

SLICE, IDR, SEI, SPS, PPS, DELIMITER = 1, 5, 6, 7, 8, 9
END_OF_SEQUENCE, END_OF_STREAM, FILLER = 10, 11, 12
_PROFILES = {66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10"}
_PROFILES |= {122: "High 4:2:2", 244: "High 4:4:4"}
_WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
_LARGEST_SIDE_MBS = 1024
_EXPLICIT_ASPECT = 255
_SLICE_HEADER_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceParameters:
    """What a sequence parameter set says.

    `width`, `height` in pixels after cropping; `reorder_frames` how many frames may precede
    another in decoding and follow it in showing, None when the set does not say.
    """

    profile: int
    constraints: int
    level: int
    chroma: int
    bit_depth: int
    width: int
    height: int
    interlaced: bool
    reorder_frames: int | None

    @property
    def profile_name(self) -> str:
        """Such as `High`."""
        constrained = self.profile == 66 and self.constraints & 0x40
        name = _PROFILES.get(self.profile, f"profile {self.profile}")
        return f"Constrained {name}" if constrained else name


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfiguration:
    """An `avcC` record (ISO/IEC 14496-15 section 5.3.3): how NAL units are framed, and the sets."""

    length_bytes: int
    sets: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> "DecoderConfiguration":
        """Read a record. Raises MalformedVideo."""
        if len(data) < 7 or data[0] != 1:
            raise MalformedVideo("not an H.264 decoder configuration")
        sets: list[bytes] = []
        at = _take_sets(data, 6, data[5] & 0x1F, sets)
        if at < len(data):
            _take_sets(data, at + 1, data[at], sets)
        return cls(length_bytes=(data[4] & 3) + 1, sets=tuple(sets))


def _take_sets(data: bytes, at: int, count: int, sets: list[bytes]) -> int:
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(data):
            raise MalformedVideo("a parameter set is cut short")
        sets.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return at


def nal_type(nal: bytes) -> int:
    """nal_unit_type."""
    return nal[0] & 0x1F


def is_key(nals: Sequence[bytes]) -> bool:
    """Whether decoding can start at this access unit."""
    return any(nal_type(nal) == IDR for nal in nals)


def set_key(nal: bytes) -> tuple[int, int]:
    """Which parameter set it is: its type and id. SPS sort before PPS. Raises MalformedVideo."""
    kind = nal_type(nal)
    reader = BitReader(unescape(nal[1:_SLICE_HEADER_BYTES]))
    if kind == SPS:
        reader.bits(24)
    return kind, reader.unsigned()


def split_start_codes(data: bytes) -> list[bytes]:
    """NAL units of a byte stream (annex B)."""
    nals = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        end = data.find(b"\x00\x00\x01", at + 3)
        # Zeros before the next start code belong to it; a NAL unit never ends in one (7.4.1).
        nal = data[at + 3 : end if end >= 0 else len(data)].rstrip(b"\x00")
        if nal:
            nals.append(nal)
        at = end
    return nals


def split_lengths(data: bytes, length_bytes: int) -> list[bytes]:
    """NAL units behind their lengths (`avc` framing). Raises MalformedVideo."""
    nals, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if at + size > len(data):
            raise MalformedVideo("a NAL unit is cut short")
        if size:
            nals.append(data[at : at + size])
        at += size
    return nals


def join_start_codes(nals: Sequence[bytes]) -> bytes:
    """The byte stream of an access unit."""
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)


def has_b_slice(nals: Sequence[bytes]) -> bool:
    """Whether a slice of the access unit is predicted from both sides (slice_type 1 or 6)."""
    for nal in nals:
        if nal_type(nal) == SLICE:
            reader = BitReader(unescape(nal[1:_SLICE_HEADER_BYTES]))
            reader.unsigned()
            if reader.unsigned() % 5 == 1:
                return True
    return False


def parse_sps(nal: bytes) -> SequenceParameters:
    """Read a sequence parameter set (section 7.3.2.1.1). Raises MalformedVideo."""
    if len(nal) < 4 or nal_type(nal) != SPS:
        raise MalformedVideo("not a sequence parameter set")
    reader = BitReader(unescape(nal[1:]))
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.unsigned()
    chroma, bit_depth = _chroma(reader) if profile in _WITH_CHROMA else (1, 8)
    reader.unsigned()
    order_type = _picture_order(reader)
    reader.unsigned()
    reader.flag()
    width, height, interlaced = _size(reader, chroma)
    reorder = _reorder(reader) if reader.flag() else None
    return SequenceParameters(
        profile=profile,
        constraints=constraints,
        level=level,
        chroma=chroma,
        bit_depth=bit_depth,
        width=width,
        height=height,
        interlaced=interlaced,
        # Order type 2 means that pictures are shown as they are decoded (8.2.1).
        reorder_frames=0 if order_type == 2 else reorder,
    )


def _chroma(reader: BitReader) -> tuple[int, int]:
    chroma = reader.unsigned()
    if chroma == 3:
        reader.flag()
    bit_depth = 8 + max(reader.unsigned(), reader.unsigned())
    reader.flag()
    if reader.flag():
        for index in range(12 if chroma == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma, bit_depth


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


def _reorder(reader: BitReader) -> int | None:
    """Walk the video usability information (annex E.1.1) to max_num_reorder_frames."""
    _skip_picture(reader)
    if any([_skip_hrd(reader), _skip_hrd(reader)]):
        reader.flag()
    reader.flag()
    if not reader.flag():
        return None
    reader.flag()
    for _ in range(4):
        reader.unsigned()
    return reader.unsigned()


def _skip_picture(reader: BitReader) -> None:
    """Aspect, overscan, signal type, chroma location and timing."""
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
    if reader.flag():
        reader.bits(65)


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
