"""An encoder's side of RTMP: what it writes, made by hand from the specification."""

import struct

from umbel.media.ingest import chunks
from umbel.media.ingest.chunks import Message

HELLO = b"\x03" + bytes(1536)
ECHO = bytes(1536)


def chunked(message: Message, size: int, number: int, *, stamps: bool = True) -> bytes:
    """An encoder's chunks of a message, with a full header."""
    basic = bytes((number,)) if number < 64 else bytes((0, number - 64))
    extended = message.timestamp_ms >= 0xFFFFFF
    stamp = message.timestamp_ms.to_bytes(4, "big") if extended else b""
    field = b"\xff\xff\xff" if extended else message.timestamp_ms.to_bytes(3, "big")
    head = basic + field + len(message.payload).to_bytes(3, "big") + bytes((message.kind,))
    head += message.stream_id.to_bytes(4, "little") + stamp
    parts = [message.payload[at : at + size] for at in range(0, len(message.payload), size)] or [
        b""
    ]
    rest = bytes((basic[0] | 0xC0,)) + basic[1:] + (stamp if stamps else b"")
    return head + rest.join(parts)


def written(value: object) -> bytes:
    """AMF0 of a value, as encoders write it."""
    if isinstance(value, bool):
        return bytes((1, value))
    if isinstance(value, float):
        return b"\0" + struct.pack("!d", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\2" + len(text).to_bytes(2, "big") + text
    if isinstance(value, list):
        return b"\x0a" + len(value).to_bytes(4, "big") + b"".join(map(written, value))
    if isinstance(value, dict):
        members = b"".join(written(name)[1:] + written(item) for name, item in value.items())
        return b"\3" + members + b"\0\0\x09"
    return b"\5"


def command(*values: object, stream_id: int = 0) -> bytes:
    """A command's chunks, before the chunk size is changed."""
    payload = b"".join(map(written, values))
    message = Message(kind=chunks.COMMAND, stream_id=stream_id, timestamp_ms=0, payload=payload)
    return chunked(message, 128, 3)


CONNECT = command("connect", 1.0, {"app": "live", "type": "nonprivate"})


def publish(key: str) -> bytes:
    """The command with this stream key."""
    return command("publish", 5.0, None, key, "live", stream_id=1)


def media(kind: int, timestamp_ms: int, payload: bytes) -> bytes:
    """An audio or video message's chunks."""
    message = Message(kind=kind, stream_id=1, timestamp_ms=timestamp_ms, payload=payload)
    return chunked(message, 128, 4)
