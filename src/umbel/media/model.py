"""What media talks about: streams, what a function carries, who watches."""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """What a worker may use: pixels of a picture, and memory of its own in MiB."""

    most_pixels: int = 4096 * 2304
    memory_mb: int = 1536


WORKER_LIMITS = WorkerLimits()
"""What holds unless the operator says otherwise."""


class StreamRole(Enum):
    """What a function does with a stream; the recipe in media/roles.py is named the same."""

    ACQUIRER = "acquirer"
    FORWARDER = "forwarder"
    EDGE = "edge"
    TRANSCODER = "transcoder"
    RECORDER = "recorder"


class PayloadType:
    """Payload types inside the platform: fixed, so that one port carries a whole stream."""

    H264 = 96
    VP8 = 97
    VP9 = 98
    AV1 = 99
    OPUS = 111


class VideoCodec(Enum):
    """How the pictures of a stream are coded inside the platform; named as in SDP."""

    H264 = "H264"
    VP8 = "VP8"

    @property
    def payload_type(self) -> int:
        """That of its packets."""
        return PayloadType.H264 if self is VideoCodec.H264 else PayloadType.VP8

    @property
    def label(self) -> str:
        """As people write it."""
        return "H.264" if self is VideoCodec.H264 else self.value


class MediaType(Enum):
    """A medium of a stream, as Kurento's API names it."""

    AUDIO = "AUDIO"
    VIDEO = "VIDEO"
    DATA = "DATA"


ALL_MEDIA = frozenset(MediaType)

INGEST_PORTS = ("srt", "rtp", "mpegts")
"""The ways in with a port of their own per stream, in the order of `StreamSpec.ports`."""

MOST_REVOKED = 20_000
"""Revoked sessions that an edge keeps of one stream; the oldest are forgotten first."""

VIDEO_CLOCK_HZ = 90_000
AUDIO_CLOCK_HZ = 48_000

SRTP_KEY_BYTES = 32

AAC_BPS = 128_000
"""The rate of the sound that is encoded for HLS players without Opus."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A UDP destination. With a `burst` it begins with pictures that were sent before (compare RFC
    6285); whether it did so once is no part of what it is."""

    address: str
    port: int
    burst: bool = field(default=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Server:
    """How to reach a media server's control channel. `secret` opens it; never log it. `tls_port`
    is 0 for a server of an earlier version, which is driven in plain text."""

    function_id: str
    address: str
    control_port: int
    secret: str
    tls_port: int = 0

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what it is sent."""
        return bool(self.tls_port) or ipaddress.ip_address(self.address).is_loopback

    def __repr__(self) -> str:
        port = self.tls_port or self.control_port
        return f"Server({self.function_id} at {self.address}:{port})"


@dataclass(frozen=True, kw_only=True)
class StreamSpec:
    """What a function is to do with a stream (name: the event's id; a rendition's own name).

    An acquirer accepts the keys whose SHA-256 is in `key_hashes`, and RTP as `rtp_offer` (SDP)
    describes it; `ports` (as INGEST_PORTS) are those its encoders know already. A transcoder
    takes another stream's RTP and makes `stream` of it, pictures at most `height` pixels high, in
    `codec`, which an edge knows before any packet comes. An edge refuses the `revoked` sessions
    (each with the epoch second at which its token expires), and goes on to refuse those that a
    later spec leaves out. What takes RTP takes it from the `sources` alone (IP addresses; an
    acquirer's, which are for RTP and MPEG-TS, may be prefixes), from any host where there are none.
    With an `srtp_key` (32 bytes, never logged) packets between functions are protected; forwarders
    need none. A recorder gives what it has to any caller with the `record_token` (32 to 128
    letters, digits, - or _; never logged). When its stream `is_over` it takes no more packets. One
    that `is_held` keeps no more than the open segment, until it takes over from another.
    """

    stream: str
    role: StreamRole
    hops: tuple[Target, ...] = ()
    key_hashes: tuple[str, ...] = ()
    rtp_offer: str = ""
    ports: tuple[int, ...] = ()
    height: int = 0
    codec: VideoCodec = VideoCodec.H264
    revoked: tuple[tuple[str, int], ...] = ()
    sources: tuple[str, ...] = ()
    srtp_key: bytes = field(default=b"", repr=False)
    record_token: str = field(default="", repr=False)
    is_over: bool = False
    is_held: bool = False


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of a stream as JPEG, and how old it was when it was read."""

    jpeg: bytes
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedCue:
    """A cue of a stream: from when until when it was said, in epoch seconds of the stream's own
    clock. Numbers count from 1 in each life of what recognises."""

    number: int
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class WantedCues:
    """Which cues a reader wants: in this language, those after number `after` of the life `boot`
    (empty: not known yet)."""

    language: str
    boot: str = ""
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class CueBatch:
    """What was recognised. `boot` names the life of what recognises; `dropped_s`: how much sound
    it left out in this life, because it came faster than the engine works; `problem`: why nothing
    comes, empty while all is well."""

    boot: str
    cues: tuple[NumberedCue, ...]
    dropped_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class CaptionTrack:
    """What was said in a stream lately, at most MOST_CUES_SENT cues, and in which language: a tag
    such as en-US."""

    language: str
    cues: tuple[NumberedCue, ...]


MOST_CUES_SENT = 64
"""Of one message."""


@dataclass(frozen=True, kw_only=True)
class PulledSegment:
    """A whole segment of a recording: one or more fragments of MP4, which follow the initialisation
    section `map_number`. `wall_s` is when it began by the calendar, `keyframes` how many of its
    pictures a player can start at. `discontinuity`: it does not follow on from the one before."""

    number: int
    duration_s: float
    wall_s: float
    discontinuity: bool
    map_number: int
    keyframes: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What a recorder gave. `boot` names its life: numbers of segments and `maps` (initialisation
    sections) count from 0 in each. `dropped`: how many segments nobody pulled in time, in this
    life. `ended`: the stream is over, and this is the rest of it."""

    boot: str
    dropped: int
    ended: bool
    maps: Mapping[int, bytes] = field(repr=False)
    segments: tuple[PulledSegment, ...]


@dataclass(frozen=True, kw_only=True)
class IngestState:
    """What an acquirer takes in: `protocol` is empty while nobody publishes. `key_interval_s`: how
    many seconds lie between two key pictures, `fps`: how many pictures come in a second, each 0
    while it is not known. Of the last ten seconds: `packet_loss`, the share of packets that were
    lost on the way, and `frame_loss`, that of pictures which the encoder left out (0 to 1)."""

    protocol: str = ""
    video: str = ""
    audio: str = ""
    width: int = 0
    height: int = 0
    transcoding: str = ""
    error: str = ""
    key_interval_s: float = 0.0
    fps: float = 0.0
    packet_loss: float = 0.0
    frame_loss: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """What a function does with a stream, as observed.

    `port` is where it takes RTP (0 for an acquirer) from `sources` (none: any host), `urls` where
    clients reach it (`rtmp`, `srt`, `whip`, `whep`, `hls`, `hls_subtitled`, `record`; an acquirer's
    `rtp` and `mpegts` are `ADDRESS:PORT` texts), `viewers` the sessions that watch now, of which
    `hls_viewers` do so over HLS, `mbps_in` the measured rate, `rtp_answer` the SDP that tells a
    described RTP publisher where to send.
    `flowing`: packets come in, at a transcoder come out. `pictures_requested`: how many requests
    for a key picture went to what feeds the function. `srtp_key_id`: which key protects its
    packets, empty for none. A recorder has `unpulled` whole segments; when it `is_over` there will
    be no more, while it `is_held` there are none.
    """

    stream: str
    role: StreamRole
    port: int = 0
    sources: tuple[str, ...] = ()
    hops: tuple[Target, ...] = ()
    urls: tuple[tuple[str, str], ...] = ()
    ingest: IngestState | None = None
    viewers: tuple[str, ...] = ()
    hls_viewers: tuple[str, ...] = ()
    mbps_in: float = 0.0
    mbps_out: float = 0.0
    flowing: bool = False
    rtp_answer: str = ""
    pictures_requested: int = 0
    srtp_key_id: str = ""
    unpulled: int = 0
    is_over: bool = False
    is_held: bool = False


def srtp_key_id(key: bytes) -> str:
    """What tells a stream's key from others and does not give it away; empty for no key."""
    return hashlib.sha256(b"umbel srtp key id" + key).hexdigest()[:16] if key else ""
