"""Keyframe cache: every packet since the parameter sets of the last H.264 key picture.

In: plain RTP packets (12-byte header, RFC 6184 payload) in order. Out: a copy of what a decoder
needs to show the present picture. Bounded; a group of pictures that is too long is not kept.
"""

import struct
from enum import Flag

from umbel.media.rtp import packet as rtp

_SLICE_IDR, _SPS, _PPS, _STAP_A, _FU_A = 5, 7, 8, 24, 28


class Nal(Flag):
    """What of a key picture a packet holds or begins."""

    NOTHING = 0
    PARAMETERS = 1
    KEY_SLICE = 2


_KINDS = {_SPS: Nal.PARAMETERS, _PPS: Nal.PARAMETERS, _SLICE_IDR: Nal.KEY_SLICE}


def scan(payload: bytes) -> Nal:
    """What an H.264 payload begins: single NAL unit, STAP-A, or the first FU-A of a unit."""
    if not payload:
        return Nal.NOTHING
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        starts = len(payload) > 1 and bool(payload[1] & 0x80)
        return _KINDS.get(payload[1] & 0x1F, Nal.NOTHING) if starts else Nal.NOTHING
    if kind == _STAP_A:
        found = Nal.NOTHING
        for unit in aggregated(payload):
            found |= _KINDS.get(unit[0] & 0x1F, Nal.NOTHING)
        return found
    return _KINDS.get(kind, Nal.NOTHING)


def aggregated(payload: bytes) -> list[bytes]:
    """The NAL units of a STAP-A payload; one that is cut short ends the list."""
    units = []
    at = 1
    while at + 2 < len(payload):
        (size,) = struct.unpack_from("!H", payload, at)
        unit = payload[at + 2 : at + 2 + size]
        if size == 0 or len(unit) < size:
            break
        units.append(unit)
        at += 2 + size
    return units


def profile_level_id(payload: bytes) -> str | None:
    """The six hexadecimal digits of the SPS in the payload, such as `42e01f`; None without one."""
    units = aggregated(payload) if payload and payload[0] & 0x1F == _STAP_A else [payload]
    for unit in units:
        if len(unit) >= 4 and unit[0] & 0x1F == _SPS:
            return unit[1:4].hex()
    return None


class GopCache:
    """Keeps the packets since the last key picture, at most `most_packets` and `most_bytes`."""

    def __init__(self, *, most_packets: int = 2048, most_bytes: int = 4_000_000) -> None:
        self._most_packets = most_packets
        self._most_bytes = most_bytes
        self._packets: list[bytes] = []
        self._bytes = 0
        self._key_time: bytes | None = None
        self._parameters_time: bytes | None = None
        self._parameters_at = 0

    @property
    def is_filled(self) -> bool:
        """Whether a key picture is kept."""
        return self._key_time is not None

    @property
    def packets(self) -> tuple[bytes, ...]:
        """The packets since the last key picture began; none before the first one."""
        return tuple(self._packets) if self._key_time is not None else ()

    def add(self, packet: bytes) -> Nal:
        """Take the next packet, and tell what of a key picture it begins."""
        if self._is_older(packet):
            return Nal.NOTHING
        time = packet[4:8]
        nal = scan(packet[rtp.HEADER_BYTES :])
        if nal & Nal.PARAMETERS and time != self._parameters_time:
            self._parameters_time = time
            self._parameters_at = len(self._packets)
        if nal & Nal.KEY_SLICE and time != self._key_time:
            self._begin(time)
        elif self._key_time is None and time != self._parameters_time:
            return nal
        self._packets.append(packet)
        self._bytes += len(packet)
        if len(self._packets) > self._most_packets or self._bytes > self._most_bytes:
            self.clear()
        return nal

    def clear(self) -> None:
        """Forget everything; the cache fills again from the next key picture."""
        self._packets.clear()
        self._bytes = 0
        self._key_time = self._parameters_time = None
        self._parameters_at = 0

    def _is_older(self, packet: bytes) -> bool:
        """Whether the network brought the packet after the key picture that follows it."""
        if not self._packets:
            return False
        first = rtp.sequence_of(self._packets[0])
        return rtp.sequence_ahead(rtp.sequence_of(packet), first) < 0

    def _begin(self, time: bytes) -> None:
        # The parameter sets came earlier in the same access unit; without any the slice begins it.
        start = self._parameters_at if self._parameters_time == time else len(self._packets)
        del self._packets[:start]
        self._bytes = sum(map(len, self._packets))
        self._parameters_at = 0
        self._key_time = time
