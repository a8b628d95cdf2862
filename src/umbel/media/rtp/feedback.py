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

ASKED_ONCE_S = 0.06
"""Within so long a packet is asked for once, however many miss it."""

MOST_MISSED = 256
"""So many packets at most are in one request."""

_MOST_ASKED = 4096


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


@dataclass(frozen=True, slots=True)
class PacketsMissed:
    """These packets of `ssrc` did not come: send them again (generic NACK, RFC 4585 6.2.1)."""

    ssrc: int
    sequences: tuple[int, ...]


Feedback = PictureRequest | ReceptionReport | PacketsMissed


def to_rtcp(feedback: Feedback, sender_ssrc: int) -> bytes:
    """A compound packet that a hop sends to the one before."""
    if isinstance(feedback, PictureRequest):
        empty = rtcp.ReceiverReport(ssrc=sender_ssrc)
        request = rtcp.PictureLoss(sender_ssrc=sender_ssrc, media_ssrc=feedback.ssrc)
        return rtcp.build([empty, request])
    if isinstance(feedback, PacketsMissed):
        empty = rtcp.ReceiverReport(ssrc=sender_ssrc)
        missed = rtcp.Nack(
            sender_ssrc=sender_ssrc, media_ssrc=feedback.ssrc, sequences=feedback.sequences
        )
        return rtcp.build([empty, missed])
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
    elif isinstance(packet, rtcp.Nack):
        yield PacketsMissed(packet.media_ssrc, packet.sequences[:MOST_MISSED])
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
    """Feedback of many receivers as one receiver's: throttled, and the worst reception counts. A
    packet that several miss is asked for once."""

    def __init__(self) -> None:
        self._asked_s: dict[tuple[int, int], float] = {}
        self._pictures = Throttle(PICTURE_INTERVAL_S)
        self._reports = Throttle(PICTURE_INTERVAL_S)
        self._worst: ReceptionReport | None = None

    def throttled(self, feedback: Feedback, now_s: float) -> Feedback | None:
        """What to pass on now; None for nothing."""
        if isinstance(feedback, PictureRequest):
            return feedback if self._pictures.admits(now_s) else None
        if isinstance(feedback, PacketsMissed):
            return self._not_asked(feedback, now_s)
        if self._worst is None or feedback.fraction_lost >= self._worst.fraction_lost:
            self._worst = feedback
        if not self._reports.admits(now_s):
            return None
        worst, self._worst = self._worst, None
        return worst

    def _not_asked(self, missed: PacketsMissed, now_s: float) -> PacketsMissed | None:
        """Those of the packets that were not asked for just now; None where all were."""
        recent_s = now_s - ASKED_ONCE_S
        if len(self._asked_s) > _MOST_ASKED:
            self._asked_s = {key: at_s for key, at_s in self._asked_s.items() if at_s > recent_s}
        room = _MOST_ASKED - len(self._asked_s)
        keys = ((missed.ssrc, sequence) for sequence in missed.sequences)
        new = [key for key in keys if self._asked_s.get(key, recent_s) <= recent_s][:room]
        self._asked_s.update(dict.fromkeys(new, now_s))
        return PacketsMissed(missed.ssrc, tuple(s for _, s in new)) if new else None
