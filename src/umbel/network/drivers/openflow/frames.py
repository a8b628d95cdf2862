"""Bytes from a switch, before any decoder may see them: whole messages, lengths that add up.

In: what a socket gave. Out: frames that can be walked without running over or standing still. Pure.
Source: OpenFlow 1.3.5 and 1.4.1, chapter 7.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from umbel.kit.errors import Unavailable

V13, V14 = 4, 5
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, PACKET_IN = 0, 1, 2, 3, 10
FEATURES_REPLY, PORT_STATUS, MULTIPART_REPLY, BARRIER_REPLY, BUNDLE_CONTROL = 6, 12, 19, 21, 33
FLOW, GROUP_DESC, METER_CONFIG, PORT_DESC = 1, 7, 10, 13
PORT_STATS, GROUP_STATS, METER_STATS = 4, 6, 9
_REPLY_MORE = 1
_HEADER = struct.Struct("!BBHI")


class NotOpenFlow(Unavailable):
    """The switch sent bytes that are not OpenFlow."""

    code = "umbel.not_openflow"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message: its header's fields, and all its bytes."""

    version: int
    kind: int
    xid: int
    raw: bytearray

    @property
    def part(self) -> int:
        """A multipart reply's type."""
        return int.from_bytes(self.raw[8:10], "big")

    @property
    def more(self) -> bool:
        """Whether another multipart reply of this request follows."""
        return bool(self.raw[11] & _REPLY_MORE)


@dataclass(frozen=True, kw_only=True)
class _List:
    """Elements one after another, each with its own length (16 bits) at `at`, at least `least`
    bytes; `inner` are lists inside, by where they begin."""

    at: int
    least: int
    inner: "tuple[int, _List] | None" = None
    sizes: Mapping[int, int] = field(default_factory=dict)
    """The one size that elements of a type (the first 16 bits) have, where there is one."""


_EXPERIMENTER = 0xFFFF
_ACTIONS = _List(at=2, least=8, sizes={0: 16, **dict.fromkeys((*range(11, 25), 26, 27), 8)})
_BUCKETS = _List(at=0, least=16, inner=(16, _ACTIONS))
_GROUPS = _List(at=0, least=8, inner=(8, _BUCKETS))
_METERS = _List(
    at=0, least=8, inner=(8, _List(at=2, least=16, sizes=dict.fromkeys((1, 2, _EXPERIMENTER), 16)))
)
_PROPERTIES = _List(at=2, least=8)
_PORTS_14 = _List(at=4, least=40, inner=(40, _PROPERTIES))
_PORT_STATS_14 = _List(at=0, least=80, inner=(80, _PROPERTIES))
_GROUP_STATS, _METER_STATS = _List(at=0, least=40), _List(at=4, least=40)
_COUNTERS = 16  # a bucket's or a band's: packets and bytes, behind the 40 bytes of its owner
_INSTRUCTIONS = _List(at=2, least=8, sizes={1: 8, 2: 24, 6: 8})
_WITH_ACTIONS = (3, 4)
_LEAST = {ERROR: 12, FEATURES_REPLY: 32, PORT_STATUS: 56, MULTIPART_REPLY: 16, BUNDLE_CONTROL: 16}
_LEAST |= {PACKET_IN: 34}
_PORT_13, _PORT_STATS_13 = 64, 112
_NOBODY = b"\xff\xff\xff\xff"
"""Put for the owner of a vendor's action, so that no decoder looks inside."""
_TRACK, _NAT = b"\x00\x00\x23\x20\x00\x23", b"\x00\x00\x23\x20\x00\x24"
"""Owner and number of Open vSwitch's `ct` action and of the `nat` in it (nicira-ext.h)."""
_TRACK_SIZE = 24
_NAT_SIZES = {0: 16, 0b010001: 24}
"""By what a `nat` says: nothing, or an IPv4 address and a port."""
_READ = frozenset({ERROR, ECHO_REPLY, FEATURES_REPLY, PORT_STATUS, BARRIER_REPLY, BUNDLE_CONTROL})
_PARTS = frozenset(
    {FLOW, GROUP_DESC, METER_CONFIG, PORT_DESC, PORT_STATS, GROUP_STATS, METER_STATS}
)


class Framer:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The messages that are whole now. Raises NotOpenFlow; then nothing more can be read."""
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            version, kind, length, xid = _HEADER.unpack_from(self._rest)
            if not 1 <= version <= 6 or length < _HEADER.size:
                raise NotOpenFlow
            if len(self._rest) < length:
                return
            raw, self._rest = bytearray(self._rest[:length]), self._rest[length:]
            frame = Frame(version=version, kind=kind, xid=xid, raw=raw)
            check(frame)
            yield frame


def check(frame: Frame) -> None:
    """Raises NotOpenFlow for a message of a kind we read whose lengths do not add up."""
    if len(frame.raw) < _LEAST.get(frame.kind, 0):
        raise NotOpenFlow
    if frame.kind == PORT_STATUS:
        _ports(frame, 16)
    elif frame.kind == BUNDLE_CONTROL:
        _walk(frame.raw, 16, len(frame.raw), _PROPERTIES)
    elif frame.kind == MULTIPART_REPLY:
        _part(frame)


def readable(frame: Frame) -> bool:
    """Whether `check` has looked at all there is to stumble over: other kinds are not decoded."""
    return frame.part in _PARTS if frame.kind == MULTIPART_REPLY else frame.kind in _READ


def packet(frame: Frame) -> bytes:
    """What a packet-in brings: it follows the match, which is padded to 8 bytes, and 2 bytes more
    (1.3.5, section 7.4.1). Empty when lengths do not add up."""
    match = int.from_bytes(frame.raw[26:28], "big")
    return bytes(frame.raw[24 + -(-match // 8) * 8 + 2 :])


def versions(hello: Frame) -> set[int]:
    """What the other side speaks, of 1.3 and 1.4: by its bitmap, else all up to its header's
    version (1.3.5, section 6.3.1)."""
    raw, at = hello.raw, 8
    while at + 8 <= len(raw):
        kind, length = struct.unpack_from("!HH", raw, at)
        if kind == 1 and length >= 8:
            bits = int.from_bytes(raw[at + 4 : at + 8], "big")
            return {version for version in (V13, V14) if bits >> version & 1}
        at += max(8, -(-length // 8) * 8)
    return {version for version in (V13, V14) if version <= hello.version}


def _part(frame: Frame) -> None:
    end = len(frame.raw)
    if frame.part == PORT_DESC:
        _ports(frame, 16)
    elif frame.part == GROUP_DESC:
        _walk(frame.raw, 16, end, _GROUPS)
    elif frame.part == METER_CONFIG:
        _walk(frame.raw, 16, end, _METERS)
    elif frame.part == PORT_STATS:
        _port_stats(frame, 16)
    elif frame.part in (GROUP_STATS, METER_STATS):
        _counted(frame.raw, 16, _GROUP_STATS if frame.part == GROUP_STATS else _METER_STATS)
    elif frame.part == FLOW:
        for start, length in _elements(frame.raw, 16, end, _List(at=0, least=56)):
            _flow(frame.raw, start, start + length)


def _ports(frame: Frame, start: int) -> None:
    if frame.version >= V14:
        _walk(frame.raw, start, len(frame.raw), _PORTS_14)
    elif (len(frame.raw) - start) % _PORT_13:
        raise NotOpenFlow


def _port_stats(frame: Frame, start: int) -> None:
    if frame.version >= V14:
        _walk(frame.raw, start, len(frame.raw), _PORT_STATS_14)
    elif (len(frame.raw) - start) % _PORT_STATS_13:
        raise NotOpenFlow


def _counted(raw: bytearray, start: int, shape: _List) -> None:
    for _, length in _elements(raw, start, len(raw), shape):
        if (length - shape.least) % _COUNTERS:
            raise NotOpenFlow


def _flow(raw: bytearray, start: int, end: int) -> None:
    """A flow's match, padded to 8 bytes, and then its instructions."""
    match = int.from_bytes(raw[start + 50 : start + 52], "big")
    instructions = start + 48 + -(-match // 8) * 8
    if match < 4 or instructions > end:
        raise NotOpenFlow
    fields = start + 52
    while fields < start + 48 + match:
        fields += 4 + (raw[fields + 3] if fields + 3 < end else 0)
    if fields != start + 48 + match:
        raise NotOpenFlow
    for at, length in _elements(raw, instructions, end, _INSTRUCTIONS):
        if int.from_bytes(raw[at : at + 2], "big") in _WITH_ACTIONS:
            _walk(raw, at + 8, at + length, _ACTIONS)


def _walk(raw: bytearray, start: int, end: int, shape: _List) -> None:
    for at, length in _elements(raw, start, end, shape):
        vendors = shape is _ACTIONS and int.from_bytes(raw[at : at + 2], "big") == _EXPERIMENTER
        if vendors and not _translates(raw[at : at + length]):
            raw[at + 4 : at + 8] = _NOBODY
        if shape.inner:
            _walk(raw, at + shape.inner[0], at + length, shape.inner[1])


def _translates(action: bytearray) -> bool:
    """Whether a vendor's action is a `ct` with one `nat` in it, of the forms that we send."""
    nat = action[_TRACK_SIZE:]
    if action[4:10] != _TRACK or len(nat) < 16 or nat[:2] != b"\xff\xff" or nat[4:10] != _NAT:
        return False
    said = int.from_bytes(nat[14:16], "big")
    return len(nat) == int.from_bytes(nat[2:4], "big") == _NAT_SIZES.get(said)


def _elements(raw: bytearray, start: int, end: int, shape: _List) -> Iterator[tuple[int, int]]:
    while start < end:
        length = int.from_bytes(raw[start + shape.at : start + shape.at + 2], "big")
        kind = int.from_bytes(raw[start : start + 2], "big")
        if length < shape.least or start + length > end or length % 8:
            raise NotOpenFlow
        if shape.sizes.get(kind, length) != length:
            raise NotOpenFlow
        yield start, length
        start += length
