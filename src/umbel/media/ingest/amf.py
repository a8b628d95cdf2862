"""AMF0 values of RTMP commands (Adobe AMF0 specification): bytes in, Python values out.

Takes every type encoders send (OBS sends strict arrays in `connect`); pyrtmp's reader does not.
"""

import struct

from umbel.kit.errors import Invalid

Value = float | bool | str | None | dict[str, "Value"] | list["Value"]
_DEEPEST = 16
_MOST_ITEMS = 1024


class MalformedAmf(Invalid):
    """The bytes are not AMF0 values."""

    code = "umbel.malformed_amf"


def read_values(data: bytes) -> list[Value]:
    """All values of a message, in order. Raises MalformedAmf."""
    reader = _Reader(data)
    values = []
    while reader.left:
        values.append(reader.value(0))
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def value(self, depth: int) -> Value:
        if depth > _DEEPEST:
            raise MalformedAmf("nested too deeply")
        kind = self._take(1)[0]
        if kind in {0x03, 0x08}:
            self._take(4 if kind == 0x08 else 0)
            return self._members(depth)
        if kind == 0x0A:
            count = self._number(4)
            if count > _MOST_ITEMS:
                raise MalformedAmf("too long an array")
            return [self.value(depth + 1) for _ in range(count)]
        return self._simple(kind)

    def _simple(self, kind: int) -> Value:
        if kind == 0x00:
            return self._double()
        if kind == 0x01:
            return self._take(1) != b"\x00"
        if kind in {0x02, 0x0C}:
            return self._text(2 if kind == 0x02 else 4)
        if kind in {0x05, 0x06}:
            return None
        if kind == 0x0B:
            stamp = self._double()
            self._take(2)
            return stamp
        raise MalformedAmf(f"a value of unknown type {kind}")

    def _members(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while True:
            name = self._text(2)
            if not name and self._data[self._at : self._at + 1] == b"\x09":
                self._at += 1
                return members
            members[name] = self.value(depth + 1)
            if len(members) > _MOST_ITEMS:
                raise MalformedAmf("too large an object")

    def _double(self) -> float:
        return float(struct.unpack("!d", self._take(8))[0])

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _text(self, size: int) -> str:
        return self._take(self._number(size)).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        if count > self.left:
            raise MalformedAmf("a value is cut short")
        self._at += count
        return self._data[self._at - count : self._at]
