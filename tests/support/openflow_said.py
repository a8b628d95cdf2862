"""OpenFlow messages as a switch lays them out, by hand."""

import struct


def header(version: int, kind: int, xid: int, body: bytes) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def port_13(number: int, state: int) -> bytes:
    return struct.pack("!I4x6s2x16sIIIIIIII", number, b"\2" * 6, b"gAB", 0, state, 0, 0, 0, 0, 0, 0)
