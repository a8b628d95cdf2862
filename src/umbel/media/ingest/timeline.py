"""One time line for both media of a publication, whatever the encoder's clock does.

In: decoding times as sent, and when they arrived. Out: the shift that makes them a line without
jumps. A jump is a step that neither the media nor the wait for them explains (a restarted encoder's
clock, a looped file); the clock's own drift and pauses are kept.
"""

from dataclasses import dataclass

SECOND_NS = 1_000_000_000
_START_NS = 10 * SECOND_NS  # room for what a second medium sends from before the first one's start
_MOST_BACK_NS = SECOND_NS
_MOST_AHEAD_NS = 3 * SECOND_NS
_STEP_NS = SECOND_NS // 25


@dataclass(slots=True)
class _Latest:
    sent_ns: int
    arrived_s: float


class EncoderTimeline:
    """Maps an encoder's times to the publication's. One per publication, fed by both media."""

    def __init__(self) -> None:
        self._shift_ns: int | None = None
        self._furthest_ns = 0
        self._latest: dict[str, _Latest] = {}

    def shift_ns(self, medium: str, dts_ns: int, now_s: float) -> int:
        """What to add to this unit's times. `medium` is `video` or `audio`; units in order."""
        if self._shift_ns is None:
            self._shift_ns = _START_NS - dts_ns
        placed_ns = dts_ns + self._shift_ns
        latest = self._latest.get(medium)
        if latest is not None and _jumped(latest, placed_ns, now_s):
            self._shift_ns = self._furthest_ns + _STEP_NS - dts_ns
            placed_ns = dts_ns + self._shift_ns
            self._furthest_ns = placed_ns
        self._furthest_ns = max(self._furthest_ns, placed_ns)
        self._latest[medium] = _Latest(placed_ns, now_s)
        return self._shift_ns


def _jumped(latest: _Latest, placed_ns: int, now_s: float) -> bool:
    step_ns = placed_ns - latest.sent_ns
    waited_ns = round((now_s - latest.arrived_s) * SECOND_NS)
    return step_ns < -_MOST_BACK_NS or step_ns > _MOST_AHEAD_NS + waited_ns


class Unwrapped:
    """A counter of `bits` bits without its wraps, such as RTP and FLV timestamps."""

    def __init__(self, bits: int = 32) -> None:
        self._size = 1 << bits
        self._latest: int | None = None

    def unwrap(self, value: int) -> int:
        """The value nearest to the one before that has these low bits."""
        if self._latest is None:
            self._latest = value
        step = (value - self._latest) % self._size
        self._latest += step if step < self._size // 2 else step - self._size
        return self._latest
