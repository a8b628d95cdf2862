"""How many datagrams of an encoder are lost on the way: RTP, or MPEG-TS (ISO/IEC 13818-1). Pure.

In: datagrams as they came; of SRT, what GStreamer counts. Out: how many packets were expected and
lost. Neighbour: rtp/arrivals.py counts RTP.
"""

import re

from umbel.media.rtp.arrivals import Arrived, RtpCounter

_TS_BYTES = 188
_TS_SYNC = 0x47
_NULL_PID = 0x1FFF


# GStreamer writes these out of libsrt's pktRecvTotal and pktRcvLossTotal.
_SRT_CAME = re.compile(r"packets-received\\?=\\?\(gint64\\?\)(\d+)")
_SRT_LOST = re.compile(r"packets-received-lost\\?=\\?\(int\\?\)(\d+)")


def srt_arrived(stats: str) -> Arrived:
    """What the text of `stats` of GStreamer's srtsrc says of its callers. A packet that was lost is
    asked for again, and when it comes it is among those that came: it is not added once more."""
    came, lost = (sum(map(int, one.findall(stats))) for one in (_SRT_CAME, _SRT_LOST))
    return Arrived(expected=max(came, lost), lost=lost)


class TsCounter:
    """Counts MPEG-TS packets by the continuity counters of each PID (section 2.4.3.3): of a gap of
    sixteen and more, only what is left of it after whole rounds is seen."""

    def __init__(self) -> None:
        self.arrived = Arrived()
        self._last: dict[int, int] = {}

    def count(self, datagram: bytes) -> None:
        """Take the next datagram; packets that do not begin with the sync byte are ignored."""
        expected = lost = 0
        for at in range(0, len(datagram) - _TS_BYTES + 1, _TS_BYTES):
            if datagram[at] != _TS_SYNC:
                continue
            pid = (datagram[at + 1] & 0x1F) << 8 | datagram[at + 2]
            if pid == _NULL_PID or not datagram[at + 3] & 0x10:
                continue  # without a payload the counter stands still
            # An adaptation field may say that the counter begins again.
            has_field = datagram[at + 3] & 0x20 and datagram[at + 4] > 0
            begins = bool(has_field and datagram[at + 5] & 0x80)
            missing = self._missing(pid, datagram[at + 3] & 0x0F, begins=begins)
            expected += 1 + missing
            lost += missing
        self.arrived += Arrived(expected=expected, lost=lost)

    def _missing(self, pid: int, counter: int, *, begins: bool) -> int:
        before = self._last.get(pid)
        self._last[pid] = counter
        # A packet may be sent twice.
        if before is None or begins or counter == before:
            return 0
        return (counter - before - 1) & 0x0F


class DatagramCounter:
    """Counts an encoder's datagrams, whichever of the two they are."""

    def __init__(self) -> None:
        self._rtp = RtpCounter()
        self._ts = TsCounter()

    @property
    def arrived(self) -> Arrived:
        """Since the beginning."""
        return self._rtp.arrived + self._ts.arrived

    def count(self, datagram: bytes) -> None:
        """Take the next datagram."""
        counter = self._ts if datagram[:1] == bytes((_TS_SYNC,)) else self._rtp
        counter.count(datagram)
