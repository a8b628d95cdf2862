"""RTCP (RFC 3550 section 6, RFC 4585, RFC 5104): compound packets in, values out, and back.

Kinds that are not listed here are skipped; bytes that are not RTCP raise MalformedPacket.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from umbel.media.rtp import packet as rtp
from umbel.media.rtp.packet import MalformedPacket

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 205, 206
_NACK, _PLI, _FIR = 1, 1, 4
_CNAME = 1
_SENDER = struct.Struct("!IQIII")
_REPORT = struct.Struct("!IIIIII")
_PAIR = struct.Struct("!II")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """What a receiver saw of one source. `fraction_lost` in 1/256 since the last report,
    `last_sr` the middle 32 bits of an NTP time, `delay_since_sr` in 1/65536 s."""

    ssrc: int
    fraction_lost: int = 0
    packets_lost: int = 0
    highest_sequence: int = 0
    jitter: int = 0
    last_sr: int = 0
    delay_since_sr: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderReport:
    """A source's two clocks at one instant: `ntp` in 1/2**32 s, `timestamp` as in its packets."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int = 0
    octets: int = 0
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReport:
    """What the receiver `ssrc` saw."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """The canonical name of each source: streams of one name share a clock."""

    cnames: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """These sources end."""

    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack:
    """The receiver misses these packets of `media_ssrc` (RFC 4585 section 6.2.1)."""

    sender_ssrc: int
    media_ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLoss:
    """The receiver cannot decode `media_ssrc` without a key picture (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FullIntraRequest:
    """A key picture is asked of each (SSRC, request number) (RFC 5104 section 4.3.1)."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]


Rtcp = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Nack
    | PictureLoss
    | FullIntraRequest
)


def parse(data: bytes) -> tuple[Rtcp, ...]:
    """Read a compound packet; unknown kinds are left out. Raises MalformedPacket."""
    found: list[Rtcp] = []
    at = 0
    while at < len(data):
        if len(data) - at < 4 or data[at] >> 6 != 2:
            raise MalformedPacket("not RTCP: cut short, or not version 2")
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise MalformedPacket("the RTCP packet is longer than its datagram")
        one = _parse_one(data[at] & 0x1F, data[at + 1], _without_padding(data[at:end]))
        if one is not None:
            found.append(one)
        at = end
    return tuple(found)


def build(packets: Iterable[Rtcp]) -> bytes:
    """The bytes of a compound packet."""
    return b"".join(_BUILDERS[type(one)](one) for one in packets)


def _without_padding(data: bytes) -> bytes:
    if not data[0] & 0x20:
        return data[4:]
    if not 0 < data[-1] <= len(data) - 4:
        raise MalformedPacket("the RTCP padding is longer than its packet")
    return data[4 : len(data) - data[-1]]


def _parse_one(count: int, kind: int, body: bytes) -> Rtcp | None:
    parser = _PARSERS.get((kind, count)) if kind in _FEEDBACK else _PARSERS.get((kind, None))
    if parser is None:
        return None
    try:
        return parser(count, body)
    except (struct.error, IndexError) as error:
        raise MalformedPacket(f"RTCP packet of type {kind} is cut short") from error


def _parse_sender(count: int, body: bytes) -> Rtcp:
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(
        ssrc=ssrc,
        ntp=ntp,
        timestamp=timestamp,
        packets=packets,
        octets=octets,
        blocks=_parse_blocks(count, body, 24),
    )


def _parse_receiver(count: int, body: bytes) -> Rtcp:
    return ReceiverReport(ssrc=_word(body, 0), blocks=_parse_blocks(count, body, 4))


def _parse_blocks(count: int, body: bytes, at: int) -> tuple[ReportBlock, ...]:
    return tuple(_parse_block(_REPORT.unpack_from(body, at + 24 * n)) for n in range(count))


def _parse_block(words: tuple[int, ...]) -> ReportBlock:
    lost = words[1] & 0xFFFFFF
    return ReportBlock(
        ssrc=words[0],
        fraction_lost=words[1] >> 24,
        packets_lost=lost - 0x1000000 if lost & 0x800000 else lost,
        highest_sequence=words[2],
        jitter=words[3],
        last_sr=words[4],
        delay_since_sr=words[5],
    )


def _parse_description(count: int, body: bytes) -> Rtcp:
    cnames: list[tuple[int, str]] = []
    at = 0
    for _ in range(count):
        ssrc = _word(body, at)
        at += 4
        while body[at]:
            text = body[at + 2 : at + 2 + body[at + 1]]
            if body[at] == _CNAME:
                cnames.append((ssrc, text.decode("utf-8", "replace")))
            at += 2 + body[at + 1]
        at += 4 - at % 4
    return SourceDescription(cnames=tuple(cnames))


def _parse_goodbye(count: int, body: bytes) -> Rtcp:
    return Goodbye(ssrcs=tuple(_word(body, 4 * n) for n in range(count)))


def _parse_nack(_count: int, body: bytes) -> Rtcp:
    sender_ssrc, media_ssrc = _PAIR.unpack_from(body)
    sequences: list[int] = []
    for at in range(8, len(body), 4):
        first, more = struct.unpack_from("!HH", body, at)
        sequences.append(first)
        sequences.extend((first + n + 1) & 0xFFFF for n in range(16) if more >> n & 1)
    return Nack(sender_ssrc=sender_ssrc, media_ssrc=media_ssrc, sequences=tuple(sequences))


def _parse_picture_loss(_count: int, body: bytes) -> Rtcp:
    sender_ssrc, media_ssrc = _PAIR.unpack_from(body)
    return PictureLoss(sender_ssrc=sender_ssrc, media_ssrc=media_ssrc)


def _parse_full_intra(_count: int, body: bytes) -> Rtcp:
    requests = tuple((_word(body, at), body[at + 4]) for at in range(8, len(body), 8))
    return FullIntraRequest(sender_ssrc=_word(body, 0), requests=requests)


def _word(body: bytes, at: int) -> int:
    word: int = struct.unpack_from("!I", body, at)[0]
    return word


_FEEDBACK = frozenset({TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK})
_PARSERS: Mapping[tuple[int, int | None], Callable[[int, bytes], Rtcp]] = {
    (SENDER_REPORT, None): _parse_sender,
    (RECEIVER_REPORT, None): _parse_receiver,
    (SOURCE_DESCRIPTION, None): _parse_description,
    (GOODBYE, None): _parse_goodbye,
    (TRANSPORT_FEEDBACK, _NACK): _parse_nack,
    (PAYLOAD_FEEDBACK, _PLI): _parse_picture_loss,
    (PAYLOAD_FEEDBACK, _FIR): _parse_full_intra,
}


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _build_sender(one: SenderReport) -> bytes:
    counts = one.packets & 0xFFFFFFFF, one.octets & 0xFFFFFFFF
    head = _SENDER.pack(one.ssrc, one.ntp, one.timestamp, *counts)
    return _packet(len(one.blocks), SENDER_REPORT, head + _build_blocks(one.blocks))


def _build_receiver(one: ReceiverReport) -> bytes:
    body = one.ssrc.to_bytes(4, "big") + _build_blocks(one.blocks)
    return _packet(len(one.blocks), RECEIVER_REPORT, body)


def _build_blocks(blocks: Iterable[ReportBlock]) -> bytes:
    return b"".join(map(_build_block, blocks))


def _build_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(0x7FFFFF, block.packets_lost)) & 0xFFFFFF
    return _REPORT.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest_sequence,
        block.jitter,
        block.last_sr,
        block.delay_since_sr,
    )


def _build_description(one: SourceDescription) -> bytes:
    body = b"".join(_build_chunk(ssrc, name) for ssrc, name in one.cnames)
    return _packet(len(one.cnames), SOURCE_DESCRIPTION, body)


def _build_chunk(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    chunk = ssrc.to_bytes(4, "big") + bytes((_CNAME, len(text))) + text
    # The list of items ends with at least one zero byte, on a word's end.
    return chunk + bytes(4 - len(chunk) % 4)


def _build_goodbye(one: Goodbye) -> bytes:
    body = b"".join(ssrc.to_bytes(4, "big") for ssrc in one.ssrcs)
    return _packet(len(one.ssrcs), GOODBYE, body)


def _build_nack(one: Nack) -> bytes:
    pairs = b"".join(struct.pack("!HH", *pair) for pair in _nack_pairs(one.sequences))
    body = _PAIR.pack(one.sender_ssrc, one.media_ssrc) + pairs
    return _packet(_NACK, TRANSPORT_FEEDBACK, body)


def _nack_pairs(sequences: Iterable[int]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for sequence in sequences:
        behind = rtp.sequence_ahead(sequence, pairs[-1][0]) if pairs else 0
        if 1 <= behind <= 16:
            pairs[-1] = (pairs[-1][0], pairs[-1][1] | 1 << behind - 1)
        else:
            pairs.append((sequence, 0))
    return pairs


def _build_picture_loss(one: PictureLoss) -> bytes:
    return _packet(_PLI, PAYLOAD_FEEDBACK, _PAIR.pack(one.sender_ssrc, one.media_ssrc))


def _build_full_intra(one: FullIntraRequest) -> bytes:
    rows = b"".join(struct.pack("!IB3x", ssrc, number) for ssrc, number in one.requests)
    return _packet(_FIR, PAYLOAD_FEEDBACK, _PAIR.pack(one.sender_ssrc, 0) + rows)


_BUILDERS: Mapping[type, Callable[..., bytes]] = {
    SenderReport: _build_sender,
    ReceiverReport: _build_receiver,
    SourceDescription: _build_description,
    Goodbye: _build_goodbye,
    Nack: _build_nack,
    PictureLoss: _build_picture_loss,
    FullIntraRequest: _build_full_intra,
}
