"""RTP payloads to whole frames: H.264 (RFC 6184, packetization mode 1) and Opus (RFC 7587).

In: packets in the order they came. Out: access units that are certainly whole, and Opus packets
with their duration. Nothing raises: a packet that makes no sense counts as lost. Late and doubled
packets are dropped; there is no reordering. Neighbours: packet.py below, hls/muxer.py above.
"""

from dataclasses import dataclass

from umbel.media.rtp import h264
from umbel.media.rtp.packet import RtpPacket

_STAP_A, _FU_A = 24, 28
_MOST_UNIT_BYTES = 8 << 20
_LATE = 0x8000


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One picture: NAL units without start codes; `timestamp` in ticks of 90 kHz, 32 bit."""

    ssrc: int
    timestamp: int
    units: tuple[bytes, ...]
    keyframe: bool


@dataclass(frozen=True, slots=True)
class OpusPacket:
    """One Opus packet; `timestamp` (32 bit) and `duration` in ticks of 48 kHz."""

    ssrc: int
    timestamp: int
    duration: int
    data: bytes


class H264Depacketizer:
    """Collects access units. After any loss it waits for the next whole keyframe."""

    def __init__(self) -> None:
        self.lost = 0
        self._ssrc = self._sequence = -1
        self._waiting = self._broken = True
        self._timestamp = -1
        self._units: list[bytes] = []
        self._fragments: list[bytes] = []
        self._size = 0

    def push(self, packet: RtpPacket) -> list[AccessUnit]:
        """Take a packet; the access units that are whole now (at most two)."""
        if packet.ssrc != self._ssrc:
            self._ssrc, self._sequence, self._waiting = packet.ssrc, -1, True
            self._begin(-1, broken=True)
        gap = self._gap(packet.sequence)
        if gap < 0:
            return []
        out: list[AccessUnit] = []
        if packet.timestamp != self._timestamp:
            # Without a marker and with a gap behind it, a tail may be missing or not.
            self._broken |= gap > 0
            self._finish(out)
            self._begin(packet.timestamp, broken=gap > 0 and not _opens_picture(packet.payload))
        elif gap:
            self._broken = True
        self._take(packet.payload)
        if packet.marker:
            self._finish(out)
        return out

    def _gap(self, sequence: int) -> int:
        """Packets missing before this one; -1 for one that is late or came twice."""
        if self._sequence < 0:
            self._sequence = sequence
            # What came before the first packet is not known: like after a loss.
            return 1
        step = (sequence - self._sequence) & 0xFFFF
        if step == 0 or step >= _LATE:
            return -1
        self._sequence = sequence
        self.lost += step - 1
        return step - 1

    def _begin(self, timestamp: int, *, broken: bool) -> None:
        self._timestamp, self._broken = timestamp, broken
        self._units, self._fragments, self._size = [], [], 0

    def _finish(self, out: list[AccessUnit]) -> None:
        units, keyframe = (
            self._units,
            any(h264.nal_type(unit) == h264.IDR for unit in self._units),
        )
        broken = self._broken or bool(self._fragments)
        whole = not broken and any(h264.nal_type(u) in (h264.SLICE, h264.IDR) for u in units)
        if whole and (keyframe or not self._waiting):
            self._waiting = False
            out.append(AccessUnit(self._ssrc, self._timestamp, tuple(units), keyframe))
        elif broken:
            self._waiting = True
        self._begin(self._timestamp, broken=False)

    def _take(self, payload: bytes) -> None:
        self._size += len(payload)
        number = h264.nal_type(payload)
        if self._size > _MOST_UNIT_BYTES:
            self._broken, self._units, self._fragments = True, [], []
        elif number == _FU_A and len(payload) > 2:
            self._take_fragment(payload)
        elif self._fragments:
            self._broken = True
        elif number == _STAP_A:
            self._take_aggregate(payload)
        elif 1 <= number <= 23:
            self._units.append(payload)
        else:
            self._broken = True

    def _take_fragment(self, payload: bytes) -> None:
        indicator, header = payload[0], payload[1]
        starts, ends = header & 0x80, header & 0x40
        if bool(starts) == bool(self._fragments):
            self._broken = True
            return
        if starts:
            self._fragments.append(bytes((indicator & 0xE0 | header & 0x1F,)))
        self._fragments.append(payload[2:])
        if ends:
            self._units.append(b"".join(self._fragments))
            self._fragments = []

    def _take_aggregate(self, payload: bytes) -> None:
        units = _aggregated(payload)
        if units:
            self._units += units
        else:
            self._broken = True


class OpusDepacketizer:
    """Gives every Opus packet that makes sense, and drops late ones."""

    def __init__(self) -> None:
        self.lost = 0
        self._ssrc = self._sequence = -1

    def push(self, packet: RtpPacket) -> OpusPacket | None:
        """Take a packet; what it carries, if anything."""
        if packet.ssrc != self._ssrc:
            self._ssrc, self._sequence = packet.ssrc, (packet.sequence - 1) & 0xFFFF
        step = (packet.sequence - self._sequence) & 0xFFFF
        duration = opus_duration(packet.payload)
        if step == 0 or step >= _LATE or not duration:
            return None
        self._sequence = packet.sequence
        self.lost += step - 1
        return OpusPacket(packet.ssrc, packet.timestamp, duration, packet.payload)


def opus_duration(data: bytes) -> int:
    """How long an Opus packet plays, in ticks of 48 kHz (RFC 6716 section 3.1); 0 if it is none."""
    if not data:
        return 0
    config, code = data[0] >> 3, data[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    count = (1, 2, 2, data[1] & 0x3F if len(data) > 1 else 0)[code]
    return frame * count if frame * count <= 5760 else 0


def _opens_picture(payload: bytes) -> bool:
    """Whether this is certainly a picture's first packet, whatever was lost before it.

    Parameter sets come before a keyframe's slices, and a delimiter before everything.
    """
    number = h264.nal_type(payload)
    if number == _STAP_A and len(payload) > 3:
        number = payload[3] & 0x1F
    elif number == _FU_A and len(payload) > 2 and payload[1] & 0x80:
        number = payload[1] & 0x1F
    return number in (h264.SPS, h264.DELIMITER)


def _aggregated(payload: bytes) -> list[bytes]:
    """The units of a STAP-A packet; none if it is damaged."""
    units, at = [], 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        unit = payload[at + 2 : at + 2 + size]
        at += 2 + size
        if not unit or len(unit) != size or not 1 <= h264.nal_type(unit) <= 23:
            return []
        units.append(unit)
    return units
