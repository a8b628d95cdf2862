"""AV1 out of RTP (AOM "RTP Payload Format for AV1" 1.0): packets in, temporal units out.

GStreamer 1.22 has no element for it. Damaged units are dropped until the next new sequence.
"""

from umbel.kit.errors import Invalid
from umbel.media.rtp.packet import RtpPacket

_DELIMITER = b"\x12\x00"
_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING = 2, 8, 15
_LONGEST_SIZE_BYTES = 8


class MalformedAv1(Invalid):
    """The packet's payload is not AV1."""

    code = "umbel.malformed_av1"


class Av1Reader:
    """Puts together the units of one SSRC; packets come in order, gaps are seen."""

    def __init__(self) -> None:
        self._sequence: int | None = None
        self._waiting = True
        self._timestamp = 0
        self._obus: list[bytes] = []
        self._part = b""

    def feed(self, packet: RtpPacket) -> bytes | None:
        """A temporal unit in low-overhead format, with its delimiter, when the packet ends one.

        Raises MalformedAv1; the reader then waits for the next sequence by itself.
        """
        gap = self._sequence is not None and packet.sequence != (self._sequence + 1) & 0xFFFF
        self._sequence = packet.sequence
        if gap or (self._obus and packet.timestamp != self._timestamp):
            self._lose()
        self._timestamp = packet.timestamp
        try:
            whole = self._take(packet.payload)
        except MalformedAv1:
            self._lose()
            raise
        if not whole or not packet.marker:
            return None
        unit, self._obus = b"".join([_DELIMITER, *self._obus]), []
        return unit

    def _lose(self) -> None:
        self._waiting = True
        self._obus, self._part = [], b""

    def _take(self, payload: bytes) -> bool:
        if len(payload) < 2:
            raise MalformedAv1("a payload without a unit")
        head = payload[0]
        continues, goes_on, first = head & 0x80, head & 0x40, head & 0x08
        if first:
            self._lose()
            self._waiting = False
        if self._waiting:
            return False
        pieces = elements(payload[1:], head >> 4 & 3)
        if bool(continues) != bool(self._part):
            raise MalformedAv1("a fragment without its other part")
        pieces[0] = self._part + pieces[0]
        self._part = pieces.pop() if goes_on else b""
        self._obus += [sized(piece) for piece in pieces if _wanted(piece)]
        return not goes_on


def elements(data: bytes, count: int) -> list[bytes]:
    """The OBU elements of a payload; `count` 0: each has its size. Raises MalformedAv1."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        if count and len(pieces) == count - 1:
            size = len(data) - at
        else:
            size, at = _leb128(data, at)
        if size == 0 or at + size > len(data):
            raise MalformedAv1("an element is empty or cut short")
        pieces.append(data[at : at + size])
        at += size
    if count and len(pieces) != count:
        raise MalformedAv1("fewer elements than announced")
    return pieces


def sized(obu: bytes) -> bytes:
    """The OBU with its size in its header (AV1 section 5.3.2)."""
    if obu[0] & 0x02:
        return obu
    header = 2 if obu[0] & 0x04 else 1
    return bytes((obu[0] | 0x02,)) + obu[1:header] + _to_leb128(len(obu) - header) + obu[header:]


def _wanted(obu: bytes) -> bool:
    if len(obu) < (2 if obu[0] & 0x04 else 1):
        raise MalformedAv1("an OBU without its header")
    return obu[0] >> 3 & 0x0F not in {_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING}


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_SIZE_BYTES):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise MalformedAv1("a size is cut short")


def _to_leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
