"""Which source of a stream counts: datagrams of a hop in, those of one source at a time out.

A restarted acquirer has new SSRCs. They are believed after two packets in sequence (RFC 3550
appendix A.1), so that a stray packet costs nothing; what the source before still sends is dropped.
"""

from dataclasses import dataclass

from umbel.media.model import PayloadType
from umbel.media.rtp import packet as rtp

_MEDIA = frozenset({PayloadType.H264, PayloadType.OPUS})
_REPORT_BYTES = 28
_STRAGGLING_S = 1.0
_MOST_REPORTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a datagram leads to: these go on, to a new reader when `restarted`."""

    packets: tuple[bytes, ...] = ()
    restarted: bool = False


_NOTHING = Turn()


@dataclass(slots=True)
class _Source:
    ssrc: int
    heard_s: float


class Succession:
    """One per receiving port. Steady time in, nothing raised."""

    def __init__(self) -> None:
        self._current: dict[int, _Source] = {}
        self._former: dict[int, int] = {}
        self._candidates: dict[int, bytes] = {}
        self._reports: dict[int, bytes] = {}
        self._began_s = float("-inf")

    def follow(self, data: bytes, now_s: float) -> Turn:
        """Take a datagram, whatever it is."""
        if len(data) <= rtp.HEADER_BYTES or data[0] >> 6 != 2:
            return _NOTHING
        if rtp.is_rtcp(data):
            return self._take_report(data)
        kind, ssrc = rtp.payload_type(data), _ssrc(data, 8)
        if kind not in _MEDIA or self._is_straggler(kind, ssrc, now_s):
            return _NOTHING
        source = self._current.get(kind)
        if source is not None and source.ssrc == ssrc:
            source.heard_s = now_s
            return Turn(packets=(data,))
        before = self._candidates.get(kind)
        self._candidates[kind] = data
        if before is None or not _follows(data, before):
            return _NOTHING
        del self._candidates[kind]
        restarted = self._admit(kind, ssrc, now_s)
        # The report that came before the first packet belongs behind it: until there is a packet
        # what it is about is not known.
        report = self._reports.pop(ssrc, None)
        return Turn(
            packets=(before, data) if report is None else (before, data, report),
            restarted=restarted,
        )

    def _admit(self, kind: int, ssrc: int, now_s: float) -> bool:
        """Whether everything starts again with this source."""
        restarted = kind in self._current or not self._current
        if restarted:
            self._former |= {medium: source.ssrc for medium, source in self._current.items()}
            self._current.clear()
            self._began_s = now_s
        self._current[kind] = _Source(ssrc, now_s)
        return restarted

    def _is_straggler(self, kind: int, ssrc: int, now_s: float) -> bool:
        if self._former.get(kind) != ssrc:
            return False
        successor = self._current.get(kind)
        heard_s = self._began_s if successor is None else successor.heard_s
        return now_s - heard_s < _STRAGGLING_S

    def _take_report(self, data: bytes) -> Turn:
        if len(data) < _REPORT_BYTES:
            return _NOTHING
        ssrc = _ssrc(data, 4)
        if any(source.ssrc == ssrc for source in self._current.values()):
            return Turn(packets=(data,))
        self._reports[ssrc] = data
        if len(self._reports) > _MOST_REPORTS:
            del self._reports[next(iter(self._reports))]
        return _NOTHING


def _ssrc(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _follows(data: bytes, before: bytes) -> bool:
    ahead = rtp.sequence_ahead(rtp.sequence_of(data), rtp.sequence_of(before))
    return _ssrc(data, 8) == _ssrc(before, 8) and ahead == 1
