"""What a picture looks like in 64 bits: frames in, perceptual hashes out (iProxy's content hash).

The picture is averaged down to 32 x 32, its cosine transform's low frequencies are compared with
their median, so scale, bitrate and brightness change few bits. A frame with hardly any picture in
it (black, fades) says nothing and has no hash. Neighbour: `dictionary`, which compares them.
"""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

from umbel.kit.errors import Invalid

Floats: TypeAlias = npt.NDArray[np.float64]

Frame = npt.NDArray[np.uint8]
Hash = int

BITS = 64
SAMPLE_S = 1.0
_SIDE = 32
# The 64 lowest frequencies, rising, without the constant one, which is the brightness.
_ROWS, _COLUMNS = zip(
    *sorted(
        ((row, column) for row in range(_SIDE) for column in range(_SIDE) if row + column),
        key=lambda place: (sum(place), place),
    )[:BITS],
    strict=True,
)
# Below this spread of brightness (of 255) noise, not the picture, would decide the bits.
_FLAT = 2.0
_LUMA = np.array([0.299, 0.587, 0.114])


class BadFrame(Invalid):
    """A frame must have rows x columns of luma, or of red, green and blue, and at least one
    pixel."""

    code = "umbel.bad_frame"


def hash_frame(frame: Frame) -> Hash | None:
    """64 bits; None where there is no picture. A frame is [row, column] luma or [row, column, 3]
    RGB. Raises BadFrame."""
    small = _shrunk(_luma(frame))
    if float(small.std()) < _FLAT:
        return None
    low = fft.dctn(small, type=2, norm="ortho")[_ROWS, _COLUMNS]
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_frames(frames: Iterable[Frame]) -> tuple[Hash | None, ...]:
    """The hashes of a content's frames, taken SAMPLE_S apart."""
    return tuple(hash_frame(frame) for frame in frames)


def distance(one: Hash, other: Hash) -> int:
    """In how many of the 64 bits two hashes differ; unrelated pictures in about half."""
    return (one ^ other).bit_count()


def _luma(frame: Frame) -> Floats:
    if frame.ndim not in (2, 3) or 0 in frame.shape or frame.shape[2:] not in ((), (3,)):
        raise BadFrame(f"No picture has the shape {frame.shape}", shape=list(frame.shape))
    if frame.ndim == 2:
        return frame.astype(np.float64)
    luma: Floats = frame @ _LUMA
    return luma


def _shrunk(luma: Floats) -> Floats:
    """Area means on a grid of 32 x 32, whatever the size."""
    rows, columns = (_averaging(length) for length in luma.shape)
    small: Floats = rows @ luma @ columns.T
    return small


def _averaging(length: int) -> Floats:
    """[32, length]: how much of each pixel lies in each of 32 equal stretches."""
    edges = np.arange(_SIDE + 1) * (length / _SIDE)
    pixels = np.arange(length)
    low = np.maximum(edges[:-1, None], pixels[None, :])
    high = np.minimum(edges[1:, None], pixels[None, :] + 1)
    weights: Floats = np.maximum(high - low, 0.0) * (_SIDE / length)
    return weights
