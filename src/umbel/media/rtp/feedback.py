"""What a receiver reports to its source: values inside a server, RTCP between servers.

In: feedback as values. Out: RTCP (RFC 3550, RFC 4585, RFC 5104), and back. A `Throttle` bounds how
often one key picture after another is requested. Neighbours: rtcp.py below, media/ports.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from umbel.media.rtp import rtcp
from umbel.media.rtp.packet import MalformedPacket

PICTURE_INTERVAL_S = 1.0
"""At least this long between two requests for a key picture on the same hop."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """A decoder cannot go on without a key picture (PLI, RFC 4585 section 6.3.1).

    `ssrc`: of the video as its packets carry it; 0 where it is not known.
    """

    ssrc: int = 0


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """How well a receiver gets one source (RFC 3550 section 6.4.1): `fraction_lost` 0 to 1."""

    ssrc: int
    fraction_lost: float


Feedback = PictureRequest | ReceptionReport


def to_rtcp(feedback: Feedback, sender_ssrc: int) -> bytes:
    """A compound packet that a hop sends to the one before."""
    if isinstance(feedback, PictureRequest):
        empty = rtcp.ReceiverReport(ssrc=sender_ssrc)
        request = rtcp.PictureLoss(sender_ssrc=sender_ssrc, media_ssrc=feedback.ssrc)
        return rtcp.build([empty, request])
    lost = min(255, max(0, round(feedback.fraction_lost * 256)))
    block = rtcp.ReportBlock(ssrc=feedback.ssrc, fraction_lost=lost)
    return rtcp.build([rtcp.ReceiverReport(ssrc=sender_ssrc, blocks=(block,))])


def from_rtcp(data: bytes) -> list[Feedback]:
    """The feedback in an RTCP packet; none in one that cannot be read."""
    try:
        return [one for packet in rtcp.parse(data) for one in _feedback(packet)]
    except MalformedPacket:
        return []


def _feedback(packet: rtcp.Rtcp) -> Iterator[Feedback]:
    if isinstance(packet, rtcp.PictureLoss):
        yield PictureRequest(packet.media_ssrc)
    elif isinstance(packet, rtcp.FullIntraRequest):
        yield from (PictureRequest(ssrc) for ssrc, _number in packet.requests)
    elif isinstance(packet, rtcp.ReceiverReport):
        for block in packet.blocks:
            yield ReceptionReport(block.ssrc, block.fraction_lost / 256)


class Throttle:
    """Lets one thing through at most every `interval_s` seconds."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = float("-inf")

    def admits(self, now_s: float) -> bool:
        """Whether it may happen now; if so, the interval begins."""
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True


class Aggregate:
    """Feedback of many receivers as one receiver's: throttled, and the worst reception counts."""

    def __init__(self) -> None:
        self._pictures = Throttle(PICTURE_INTERVAL_S)
        self._reports = Throttle(PICTURE_INTERVAL_S)
        self._worst: ReceptionReport | None = None

    def throttled(self, feedback: Feedback, now_s: float) -> Feedback | None:
        """What to pass on now; None for nothing."""
        if isinstance(feedback, PictureRequest):
            return feedback if self._pictures.admits(now_s) else None
        if self._worst is None or feedback.fraction_lost >= self._worst.fraction_lost:
            self._worst = feedback
        if not self._reports.admits(now_s):
            return None
        worst, self._worst = self._worst, None
        return worst
