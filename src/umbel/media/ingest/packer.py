"""Pictures and Opus frames into the platform's RTP (RFC 6184 mode 1, RFC 7741, RFC 7587).

In: NAL units or a frame, and its time. Out: packets of at most 1200 bytes of payload.
"""

from collections.abc import Iterator, Sequence

from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, PayloadType, VideoCodec
from umbel.media.rtp import h264, vp8
from umbel.media.rtp import packet as rtp

MOST_PAYLOAD_BYTES = 1200
_UNWANTED = {h264.DELIMITER, h264.END_OF_SEQUENCE, h264.END_OF_STREAM, h264.FILLER}
_FU_A = 28
_STEADY_SAMPLES = 96  # 2 ms: what containers with a coarse clock round away


def rtp_time(pts_ns: int, clock_hz: int, offset: int) -> int:
    """A time on the stream's line as an RTP timestamp."""
    return (offset + (pts_ns * clock_hz + 500_000_000) // 1_000_000_000) & 0xFFFFFFFF


class _Flow:
    """Numbers the packets of one SSRC."""

    def __init__(self, payload_type: int, ssrc: int) -> None:
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._sequence = ssrc & 0x7FFF

    def packet(self, payload: bytes, timestamp: int, *, marker: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        second = self._payload_type | (0x80 if marker else 0)
        return rtp.build_header(second, self._sequence, timestamp, self._ssrc) + payload


class VideoPacker:
    """One codec's pictures. `offset` is the RTP timestamp of the time line's zero."""

    def __init__(self, *, ssrc: int, offset: int, codec: VideoCodec = VideoCodec.H264) -> None:
        self._flow = _Flow(codec.payload_type, ssrc)
        self._payloads = _h264_payloads if codec is VideoCodec.H264 else _vp8_payloads
        self._offset = offset

    def packets(self, units: Sequence[bytes], pts_ns: int) -> list[bytes]:
        """One picture's packets; the last has the marker. `units`: of H.264 its NAL units, of VP8
        the frame."""
        timestamp = rtp_time(pts_ns, VIDEO_CLOCK_HZ, self._offset)
        payloads = list(self._payloads(units))
        last = len(payloads) - 1
        return [
            self._flow.packet(payload, timestamp, marker=index == last)
            for index, payload in enumerate(payloads)
        ]


class AudioPacker:
    """Opus, payload type 111, one frame a packet."""

    def __init__(self, *, ssrc: int, offset: int) -> None:
        self._flow = _Flow(PayloadType.OPUS, ssrc)
        self._offset = offset
        self._expected: int | None = None
        self._silent = True

    def packets(self, frame: bytes, pts_ns: int) -> list[bytes]:
        """The frame's packet; the marker says that talk starts after a gap (RFC 3551)."""
        timestamp = self._steady(rtp_time(pts_ns, AUDIO_CLOCK_HZ, self._offset))
        self._expected = (timestamp + opus_samples(frame)) & 0xFFFFFFFF
        marker, self._silent = self._silent, False
        return [self._flow.packet(frame, timestamp, marker=marker)]

    def _steady(self, timestamp: int) -> int:
        if self._expected is None:
            return timestamp
        away = rtp.timestamp_ahead(timestamp, self._expected)
        return self._expected if abs(away) <= _STEADY_SAMPLES else timestamp


def _h264_payloads(nals: Sequence[bytes]) -> Iterator[bytes]:
    for nal in nals:
        if h264.nal_type(nal) not in _UNWANTED:
            yield from fragments(nal)


def _vp8_payloads(frames: Sequence[bytes]) -> Iterator[bytes]:
    for frame in frames:
        yield from vp8.payloads(frame, MOST_PAYLOAD_BYTES)


def fragments(nal: bytes) -> list[bytes]:
    """The payloads that carry a NAL unit: itself, or FU-A fragments (RFC 6184 section 5.8)."""
    if len(nal) <= MOST_PAYLOAD_BYTES:
        return [nal]
    indicator, kind = (nal[0] & 0xE0) | _FU_A, nal[0] & 0x1F
    step = MOST_PAYLOAD_BYTES - 2
    pieces = [nal[at : at + step] for at in range(1, len(nal), step)]
    heads = [kind] * len(pieces)
    heads[0] |= 0x80
    heads[-1] |= 0x40
    return [bytes((indicator, head)) + piece for head, piece in zip(heads, pieces, strict=True)]


def opus_samples(frame: bytes) -> int:
    """How long an Opus packet lasts, in samples at 48 kHz (RFC 6716 section 3.1)."""
    if not frame:
        return 0
    config = frame[0] >> 3
    if config < 12:
        size = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        size = (480, 960)[config & 1]
    else:
        size = (120, 240, 480, 960)[config & 3]
    count = (1, 2, 2, frame[1] & 0x3F if len(frame) > 1 else 0)[frame[0] & 3]
    return size * count
