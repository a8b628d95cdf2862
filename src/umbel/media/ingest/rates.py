"""How to encode what must be transcoded: observed sizes and times in, settings out."""

from collections import deque

_LEAST_KBPS = 1_000
_MOST_KBPS = 6_000
_START_KBPS = 2_500
_WINDOW_NS = 4_000_000_000
_ENOUGH_NS = 1_000_000_000
_MODERN = {"HEVC", "VP9", "AV1"}
_MODERN_GAIN = 1.4  # H.264 needs more bits for the same picture
_LARGE_PIXELS = 1280 * 720
_CHANGE = 0.15


class BitrateMeter:
    """Follows the input's rate over the last seconds."""

    def __init__(self, codec: str) -> None:
        self._gain = _MODERN_GAIN if codec in _MODERN else 1.0
        self._frames: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self.kbps = _START_KBPS

    def take(self, size: int, dts_ns: int) -> int | None:
        """Count a frame; the new rate in kbit/s when the encoder should change its own."""
        self._frames.append((dts_ns, size))
        self._bytes += size
        while dts_ns - self._frames[0][0] > _WINDOW_NS:
            self._bytes -= self._frames.popleft()[1]
        span_ns = dts_ns - self._frames[0][0]
        if span_ns < _ENOUGH_NS:
            return None
        wanted = round(self._gain * self._bytes * 8_000_000 / span_ns)
        wanted = max(_LEAST_KBPS, min(_MOST_KBPS, wanted))
        if abs(wanted - self.kbps) <= _CHANGE * self.kbps:
            return None
        self.kbps = wanted
        return wanted


def preset(width: int, height: int) -> str:
    """x264's speed: large pictures must not fall behind."""
    return "ultrafast" if width * height > _LARGE_PIXELS else "veryfast"
