"""In a worker: the file's bytes, asked for in blocks over a socket, the last ones kept.

In: an offset. Out: bytes. The other end is umbel.playout.blocks, in the control plane.
"""

import socket
import struct

BLOCK_BYTES = 1 << 20
_KEPT = 16
_ASK = struct.Struct(">QI")
_ANSWER = struct.Struct(">I")
_FAILED = 0xFFFFFFFF


class BytesLost(Exception):
    """The control plane cannot read the file."""


class Blocks:
    """The file of `size` bytes. For one thread at a time."""

    def __init__(self, sock: socket.socket, size: int) -> None:
        self._sock = sock
        self._size = size
        self._kept: dict[int, bytes] = {}

    def read(self, offset: int, most: int) -> bytes:
        """Bytes from there, fewer at the end. Raises BytesLost."""
        found = bytearray()
        end = min(offset + most, self._size)
        while offset < end:
            number, within = divmod(offset, BLOCK_BYTES)
            taken = self._block(number)[within : within + end - offset]
            if not taken:
                raise BytesLost("the file ends early")
            found += taken
            offset += len(taken)
        return bytes(found)

    def _block(self, number: int) -> bytes:
        block = self._kept.pop(number, None)
        if block is None:
            block = self._fetch(number * BLOCK_BYTES)
        self._kept[number] = block  # the last used is at the end
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return block

    def _fetch(self, offset: int) -> bytes:
        length = min(BLOCK_BYTES, self._size - offset)
        self._sock.sendall(_ASK.pack(offset, length))
        (count,) = _ANSWER.unpack(self._exactly(_ANSWER.size))
        if count == _FAILED:
            raise BytesLost("the repository cannot read the file")
        return self._exactly(count)

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            piece = self._sock.recv(count - len(found))
            if not piece:
                raise BytesLost("the control plane is gone")
            found += piece
        return bytes(found)
