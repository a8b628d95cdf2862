"""Bits of a video header, most significant first: bytes in, numbers out. Used by h264.py."""

from umbel.kit.errors import Invalid

_LONGEST_GOLOMB = 32


class MalformedVideo(Invalid):
    """The bytes are not video of the declared codec."""

    code = "umbel.malformed_video"


class BitReader:
    """Reads fixed-length and Exp-Golomb numbers (H.264 section 9.1). Raises MalformedVideo."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise MalformedVideo("the header is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.bits(1) == 1

    def unsigned(self) -> int:
        """ue(v)."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _LONGEST_GOLOMB:
                raise MalformedVideo("a number is longer than 32 bits")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """se(v)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def unescape(nal: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (00 00 03 -> 00 00)."""
    pieces, start = [], 0
    at = nal.find(b"\x00\x00\x03")
    while at >= 0:
        pieces.append(nal[start : at + 2])
        start = at + 3
        at = nal.find(b"\x00\x00\x03", start)
    pieces.append(nal[start:])
    return b"".join(pieces)
