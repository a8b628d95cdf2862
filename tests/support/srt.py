"""A stranger that calls an SRT port: the handshake alone, without a library.

In: addresses, a stream id. Out: whether the listener let the caller in. The packets are those of
the SRT draft (draft-sharabayko-srt, sections 3.2.1 and 4.3.1): induction, then conclusion.
"""

import socket
import struct

_HEADER = struct.Struct("!HHIII")
_HANDSHAKE = struct.Struct("!IHHIIIIII16s")
_CONTROL = 0x8000
_INDUCTION, _CONCLUSION = 1, 0xFFFF_FFFF
_HS_REQUEST, _STREAM_ID = 1, 5
_HAS_HS_REQUEST, _HAS_CONFIG = 1, 4
_MTU, _WINDOW = 1500, 8192
_VERSION, _FLAGS, _LATENCY_MS = 0x0001_0500, 0xBF, 60


def call(source: str, listener: tuple[str, int], stream_id: str, deadline_s: float) -> bool:
    """Shake hands from that address. Raises TimeoutError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect(listener)
        sock.settimeout(deadline_s)
        own = sock.getsockname()[1]
        sock.send(_packet(4, (0, 2), _INDUCTION, own, cookie=0))
        cookie = _answer(sock)[8]
        extensions = struct.pack("!HHIII", _HS_REQUEST, 3, _VERSION, _FLAGS, _LATENCY_MS << 16)
        extensions += _stream_id(stream_id)
        flags = (0, _HAS_HS_REQUEST | _HAS_CONFIG)
        sock.send(_packet(5, flags, _CONCLUSION, own, cookie=cookie) + extensions)
        return bool(_answer(sock)[6] == _CONCLUSION)


def _packet(version: int, flags: tuple[int, int], kind: int, own: int, *, cookie: int) -> bytes:
    body = (version, *flags, 0, _MTU, _WINDOW, kind, own, cookie, socket.inet_aton("127.0.0.1"))
    return _HEADER.pack(_CONTROL, 0, 0, 0, 0) + _HANDSHAKE.pack(*body)


def _stream_id(text: str) -> bytes:
    """Each word of the text is turned round."""
    data = text.encode()
    words = (len(data) + 3) // 4
    padded = data.ljust(4 * words, b"\0")
    turned = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    return struct.pack("!HH", _STREAM_ID, words) + turned


def _answer(sock: socket.socket) -> tuple[int, ...]:
    """The next handshake's fields from the listener."""
    while True:
        data = sock.recv(2048)
        if data[:2] == b"\x80\x00":
            fields: tuple[int, ...] = _HANDSHAKE.unpack_from(data, _HEADER.size)
            return fields
