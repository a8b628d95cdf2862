"""How one shard of a blob is written: cells with a checksum each, then a trailer.

A stripe is `k` cells of `cell` data bytes, and has `m` cells of parity; shard n has cell n of each
stripe, so a range is read without the rest. The last stripe's cells are as short as its data
allow, filled up by zeros. A trailer says how long the blob is. Numbers are big-endian.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

CELL_BYTES = 64 * 1024
TRAILER_BYTES = 32
_TRAILER = struct.Struct(">4sBBBBIQ8s")
_CRC = struct.Struct(">I")
_MAGIC, _VERSION = b"UmSh", 1
_LONGEST = 1 << 48


class BadShard(ValueError):
    """The bytes are not those of a shard, or they went bad."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """A blob of `length` bytes in k + m shards."""

    k: int
    m: int
    length: int
    cell: int = CELL_BYTES

    @property
    def stripes(self) -> int:
        """How many there are."""
        return -(-self.length // (self.k * self.cell))

    @property
    def shard_size(self) -> int:
        """The size of each shard with its trailer."""
        return self.offset(self.stripes) + TRAILER_BYTES

    def data_bytes(self, stripe: int) -> int:
        """The data bytes of a stripe."""
        whole = self.k * self.cell
        return min(whole, self.length - stripe * whole)

    def cell_bytes(self, stripe: int) -> int:
        """The data bytes of each cell of a stripe, zeros included."""
        return -(-self.data_bytes(stripe) // self.k)

    def offset(self, stripe: int) -> int:
        """Where in a shard the stripe's cell begins."""
        if stripe < self.stripes or stripe == 0:
            return stripe * (self.cell + _CRC.size)
        return self.offset(stripe - 1) + self.cell_bytes(stripe - 1) + _CRC.size

    def split(self, stripe: bytes) -> list[bytes]:
        """The data cells of a stripe's bytes, without checksums."""
        size = -(-len(stripe) // self.k)
        padded = stripe.ljust(size * self.k, b"\x00")
        return [padded[n * size : (n + 1) * size] for n in range(self.k)]

    def cells(self, shard: bytes, first: int, last: int) -> list[bytes]:
        """The cells of stripes `first` up to, not including, `last`, of their bytes in a shard.
        Raises BadShard."""
        found, at = [], 0
        for stripe in range(first, last):
            size = self.cell_bytes(stripe)
            found.append(_checked(shard[at : at + size + _CRC.size], size))
            at += size + _CRC.size
        return found


def seal(cell: bytes) -> bytes:
    """The cell with its checksum."""
    return cell + _CRC.pack(zlib.crc32(cell))


def trailer(geometry: Geometry, number: int, blob: str) -> bytes:
    """The last bytes of shard `number`."""
    fields = (_MAGIC, _VERSION, geometry.k, geometry.m, number, geometry.cell, geometry.length)
    head = _TRAILER.pack(*fields, _tag(blob))
    return head + _CRC.pack(zlib.crc32(head))


def parse_trailer(data: bytes, number: int, blob: str) -> Geometry:
    """The geometry that shard `number` of the blob tells. Raises BadShard."""
    if len(data) != TRAILER_BYTES or zlib.crc32(data[:-4]) != _CRC.unpack(data[-4:])[0]:
        raise BadShard("the trailer is damaged")
    magic, version, k, m, own, cell, length, tag = _TRAILER.unpack(data[:-4])
    if (magic, version, own, tag) != (_MAGIC, _VERSION, number, _tag(blob)):
        raise BadShard("it is another shard")
    if k < 1 or not 1 <= cell <= 1 << 24 or length > _LONGEST:
        raise BadShard("the trailer has impossible numbers")
    return Geometry(k=k, m=m, length=length, cell=cell)


def join(cells: Sequence[bytes], size: int) -> bytes:
    """The first `size` bytes of a stripe's data cells."""
    return b"".join(cells)[:size]


def _checked(sealed: bytes, size: int) -> bytes:
    cell = sealed[:size]
    if len(sealed) != size + _CRC.size or zlib.crc32(cell) != _CRC.unpack(sealed[size:])[0]:
        raise BadShard("a cell is damaged")
    return cell


def _tag(blob: str) -> bytes:
    return hashlib.sha256(blob.encode()).digest()[:8]
