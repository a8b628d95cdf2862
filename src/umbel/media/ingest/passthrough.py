"""Whether H.264 may pass untouched: access units in, held ones and the verdict out.

What the platform carries has no B-frames, no interlacing and 8 bit 4:2:0. The SPS decides where it
can; where it is silent, the first frames are held until they show what they are. Nothing is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from umbel.media.rtp import h264
from umbel.media.rtp.sps import SequenceParameters, parse_sps

_ENOUGH_FRAMES = 10
_SETS = {h264.SPS, h264.PPS}
_CONSTRAINED = 0x0C  # constraint_set4 and 5: High without B slices and interlacing
_INTRA = 0x10  # constraint_set3: every picture stands alone


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAccessUnit:
    """One picture as coded: NAL units, and when to show and decode it on the stream's time line."""

    nals: tuple[bytes, ...]
    pts_ns: int
    dts_ns: int

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.nals))


class Handling(Enum):
    """What to do with the video."""

    HOLD = "hold"
    PASS = "pass"  # noqa: S105 -- not a password
    TRANSCODE = "transcode"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do, and for TRANSCODE the reason people read."""

    handling: Handling
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What `PassThrough.feed` answers: the verdict so far and the units it applies to, in order."""

    verdict: Verdict
    units: Sequence[TimedAccessUnit] = field(default=())


def judge(sps: SequenceParameters) -> Verdict:
    """What the SPS alone says; HOLD when the pictures must tell."""
    name = sps.profile_name.lower()
    if sps.chroma != 1 or sps.bit_depth != 8:
        return Verdict(handling=Handling.TRANSCODE, reason=f"not 8 bit 4:2:0 ({name} profile)")
    if sps.interlaced:
        return Verdict(handling=Handling.TRANSCODE, reason=f"interlaced ({name} profile)")
    if sps.profile == 66 or sps.reorder_frames == 0 or _without_b(sps):
        return Verdict(handling=Handling.PASS)
    if sps.reorder_frames:
        return b_frames(sps)
    return Verdict(handling=Handling.HOLD)


def b_frames(sps: SequenceParameters | None) -> Verdict:
    """The verdict over a stream that shows pictures in another order than it sends them."""
    profile = f" ({sps.profile_name.lower()} profile)" if sps else ""
    return Verdict(handling=Handling.TRANSCODE, reason=f"B-frames{profile}")


def _without_b(sps: SequenceParameters) -> bool:
    constrained = sps.profile == 100 and sps.constraints & _CONSTRAINED == _CONSTRAINED
    return constrained or (sps.profile >= 100 and bool(sps.constraints & _INTRA))


class PassThrough:
    """Judges one stream. Units before the first IDR picture are dropped: no decoder can use them.

    `verdict`: what is settled beforehand.
    """

    def __init__(self, verdict: Verdict = Verdict(handling=Handling.HOLD)) -> None:
        self.sps: SequenceParameters | None = None
        self._raw_sps = b""
        self._sets: dict[tuple[int, int], bytes] = {}
        self._verdict = verdict
        self._held: list[TimedAccessUnit] = []
        self._latest_pts_ns = -1
        self._started = False

    def configure(self, sets: Sequence[bytes]) -> None:
        """Parameter sets sent apart from the pictures. Raises MalformedVideo."""
        for nal in sets:
            kind = h264.nal_type(nal)
            if kind == h264.SPS and nal != self._raw_sps:
                self.sps, self._raw_sps = parse_sps(nal), nal
                self._settle(judge(self.sps))
            if kind in _SETS:
                self._sets[h264.set_key(nal)] = nal

    def feed(self, unit: TimedAccessUnit) -> Decision:
        """Take the next unit in decoding order. Raises MalformedVideo."""
        self.configure(unit.nals)
        if not self._started:
            if not h264.is_key(unit.nals) or self.sps is None:
                return Decision(verdict=self._verdict)
            self._started = True
        if self._verdict.handling is not Handling.TRANSCODE and self._shows_b(unit):
            self._settle(b_frames(self.sps))
        self._held.append(self._with_sets(unit))
        if self._verdict.handling is Handling.HOLD and len(self._held) >= _ENOUGH_FRAMES:
            self._verdict = Verdict(handling=Handling.PASS)
        if self._verdict.handling is Handling.HOLD:
            return Decision(verdict=self._verdict)
        units, self._held = self._held, []
        return Decision(verdict=self._verdict, units=units)

    def finish(self) -> Decision:
        """The stream ended: what is still held has shown no B-frame."""
        units, self._held = self._held, []
        if self._verdict.handling is Handling.HOLD:
            self._verdict = Verdict(handling=Handling.PASS)
        return Decision(verdict=self._verdict, units=units)

    def _settle(self, verdict: Verdict) -> None:
        # Never back from TRANSCODE: switching an encoder off and on hurts more than it saves.
        # Never back from PASS to HOLD either: the frames seen so far have decided already.
        order = (Handling.HOLD, Handling.PASS, Handling.TRANSCODE)
        if order.index(verdict.handling) > order.index(self._verdict.handling):
            self._verdict = verdict

    def _shows_b(self, unit: TimedAccessUnit) -> bool:
        # An IDR picture starts a new order, so a lower time there is a jump of the encoder's clock.
        backwards = unit.pts_ns < self._latest_pts_ns and not h264.is_key(unit.nals)
        self._latest_pts_ns = unit.pts_ns
        return backwards or h264.has_b_slice(unit.nals)

    def _with_sets(self, unit: TimedAccessUnit) -> TimedAccessUnit:
        """The unit with SPS and PPS in front when it is an IDR picture without them."""
        if not h264.is_key(unit.nals):
            return unit
        kinds = {h264.nal_type(nal) for nal in unit.nals}
        if kinds >= _SETS:
            return unit
        rest = (nal for nal in unit.nals if h264.nal_type(nal) not in _SETS)
        return replace(unit, nals=(*(self._sets[key] for key in sorted(self._sets)), *rest))
