"""How to encode what must be transcoded: observed sizes and times in, settings out."""

from umbel.media.rtp.rate import RateMeter

Size = tuple[int, int]

_LEAST_KBPS = 1_000
_MOST_KBPS = 6_000
_START_KBPS = 2_500
_WINDOW_S = 4.0
_ENOUGH_S = 1.0
_MODERN = {"HEVC", "VP9", "AV1"}
_MODERN_GAIN = 1.4  # H.264 needs more bits for the same picture
_LARGE_PIXELS = 1280 * 720
_CHANGE = 0.15
_LEAST_PIXELS = 16
# Neighbouring pixels of a large picture are more alike: bits grow slower than the area does.
_AREA_POWER = 0.75


class BitrateMeter:
    """Follows the input's rate over the last seconds. `part`: how much of it the output needs."""

    def __init__(self, codec: str, part: float = 1.0) -> None:
        self._gain = part * (_MODERN_GAIN if codec in _MODERN else 1.0)
        self._least_kbps, self._most_kbps = _LEAST_KBPS * part, _MOST_KBPS * part
        self._rate = RateMeter(_WINDOW_S)
        self._bytes = 0
        self.kbps = round(_START_KBPS * part)

    def count(self, size: int, dts_ns: int) -> int | None:
        """Count a frame; the new rate in kbit/s when the encoder should change its own."""
        self._rate.mark(dts_ns / 1e9, self._bytes)
        self._bytes += size
        came, span_s = self._rate.since(dts_ns / 1e9, self._bytes)
        if span_s < _ENOUGH_S:
            return None
        rate_kbps = self._gain * came * 0.008 / span_s
        wanted = round(max(self._least_kbps, min(self._most_kbps, rate_kbps)))
        if abs(wanted - self.kbps) <= _CHANGE * self.kbps:
            return None
        self.kbps = wanted
        return wanted


def fitted(size: Size, most_height: int) -> Size:
    """The size of the same shape that is at most so high, even as H.264 needs it; never larger.

    A `most_height` of 0 leaves the size as it is, as does a size of (0, 0), which is not known.
    """
    width, height = size
    if not most_height or not width or not height:
        return size
    if height <= most_height:
        return _even(width), _even(height)
    return _even(round(width * most_height / height / 2) * 2), _even(most_height)


def part(source: Size, target: Size) -> float:
    """How much of the source's rate a picture of the target's size needs."""
    area, full = target[0] * target[1], source[0] * source[1]
    return (area / full) ** _AREA_POWER if full else 1.0


def _even(pixels: int) -> int:
    return max(_LEAST_PIXELS, pixels - pixels % 2)


def preset(width: int, height: int) -> str:
    """x264's speed: large pictures must not fall behind."""
    return "ultrafast" if width * height > _LARGE_PIXELS else "veryfast"
