"""H.264 in RTP (RFC 6184): what a payload begins, and the profile that it names.

In: the payload of one packet. Out: values; nothing raises. Neighbours: gop.py; depacketize.py
makes whole pictures.
"""

import struct

from umbel.media.rtp.begins import NOTHING, Begins

_SLICE_IDR, _SPS, _PPS, _STAP_A, _FU_A = 5, 7, 8, 24, 28
_BY_UNIT = {_SPS: Begins(parameters=True), _PPS: Begins(parameters=True)}
_BY_UNIT[_SLICE_IDR] = Begins(key_slice=True)


def scan(payload: bytes) -> Begins:
    """What an H.264 payload begins: single NAL unit, STAP-A, or the first FU-A of a unit."""
    if not payload:
        return NOTHING
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        starts = len(payload) > 1 and payload[1] & 0x80
        return _BY_UNIT.get(payload[1] & 0x1F, NOTHING) if starts else NOTHING
    if kind == _STAP_A:
        units = [_BY_UNIT.get(unit[0] & 0x1F, NOTHING) for unit in aggregated(payload)]
        return Begins(any(one.parameters for one in units), any(one.key_slice for one in units))
    return _BY_UNIT.get(kind, NOTHING)


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
