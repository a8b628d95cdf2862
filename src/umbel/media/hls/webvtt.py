"""WebVTT (W3C), as a file and in the pieces that HLS asks for (RFC 8216bis, section 3.1.4). Pure.

In: texts with their times. Out: files. What is said is a stranger's text: no markup comes through.
"""

from collections.abc import Iterable
from dataclasses import dataclass

_MPEG_TS_HZ = 90_000
_MPEG_TS_WRAP = 1 << 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A text, and from when until when it is shown, in seconds."""

    text: str
    start_s: float
    end_s: float


def document(texts: Iterable[Shown], head: str = "") -> str:
    """A WebVTT file; `head` is a line of its header."""
    blocks = [
        f"{time(one.start_s)} --> {time(one.end_s)}\n{_escaped(one.text)}"
        for one in texts
        if one.text.strip()
    ]
    return "\n\n".join([f"WEBVTT\n{head}" if head else "WEBVTT", *blocks]) + "\n"


def piece(texts: Iterable[Shown], begins_s: float, duration_s: float, base_s: float) -> str:
    """The texts of a segment that begins at `begins_s` of their clock, and at `base_s` of the clock
    of its media. One that goes on in the next segment is in both."""
    own = [
        Shown(text=one.text, start_s=one.start_s - begins_s, end_s=one.end_s - begins_s)
        for one in texts
        if one.start_s < begins_s + duration_s and one.end_s > begins_s
    ]
    # Times are never negative: the piece's clock begins with the first of its texts.
    early_s = max(0.0, -min((one.start_s for one in own), default=0.0))
    moved = [
        Shown(text=one.text, start_s=one.start_s + early_s, end_s=one.end_s + early_s)
        for one in own
    ]
    at = round(base_s * _MPEG_TS_HZ) % _MPEG_TS_WRAP
    # The empty line ends the last text for players that read pieces as one (GStreamer's).
    return document(moved, f"X-TIMESTAMP-MAP=MPEGTS:{at},LOCAL:{time(early_s)}") + "\n"


def time(at_s: float) -> str:
    """As WebVTT writes it."""
    whole_ms = max(0, round(at_s * 1000))
    minutes, ms = divmod(whole_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{ms // 1000:02d}.{ms % 1000:03d}"


def _escaped(text: str) -> str:
    """On one line, and never markup, a time, or the end of its cue."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
