"""Every codec an acquirer takes, as one table: how it is named on each way in, and what reads it.

GStreamer's element and caps names are data here; the worker alone gives them meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from umbel.media.rtp.errors import UnsupportedCodec


@dataclass(frozen=True, kw_only=True)
class Codec:
    """`caps` and `fields` recognise it on a demuxer's pad; `parse` frames it so that `framing`
    holds, `decode` makes raw media of that. `rtp` is its name in SDP and `depay` its reader.
    `raw_caps` is how the worker announces frames that came without GStreamer (FLV)."""

    name: str
    medium: str
    caps: str
    decode: str
    fields: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parse: str = "identity"
    framing: str = ""
    rtp: str = ""
    depay: str = ""
    raw_caps: str = ""


_AU = "stream-format=byte-stream,alignment=au"
_OBU = "video/x-av1,stream-format=obu-stream,alignment=tu"

CODECS = (
    Codec(
        name="H.264",
        medium="video",
        caps="video/x-h264",
        parse="h264parse",
        framing=f"video/x-h264,{_AU}",
        decode="avdec_h264 max-threads=2 thread-type=slice",
        rtp="H264",
        depay="rtph264depay",
        raw_caps=f"video/x-h264,{_AU}",
    ),
    Codec(
        name="HEVC",
        medium="video",
        caps="video/x-h265",
        parse="h265parse",
        framing=f"video/x-h265,{_AU}",
        decode="h265parse ! avdec_h265 max-threads=2 thread-type=slice",
        rtp="H265",
        depay="rtph265depay",
        raw_caps="video/x-h265,stream-format=hvc1,alignment=au",
    ),
    Codec(
        name="MPEG-2",
        medium="video",
        caps="video/mpeg",
        fields={"mpegversion": (1, 2)},
        parse="mpegvideoparse",
        decode="avdec_mpeg2video",
        rtp="MPV",
        depay="rtpmpvdepay",
    ),
    Codec(
        name="MPEG-4 part 2",
        medium="video",
        caps="video/mpeg",
        fields={"mpegversion": (4,)},
        parse="mpeg4videoparse",
        decode="avdec_mpeg4",
        rtp="MP4V-ES",
        depay="rtpmp4vdepay",
    ),
    Codec(
        name="VP8",
        medium="video",
        caps="video/x-vp8",
        decode="vp8dec",
        rtp="VP8",
        depay="rtpvp8depay",
        raw_caps="video/x-vp8",
    ),
    Codec(
        name="VP9",
        medium="video",
        caps="video/x-vp9",
        decode="vp9dec",
        rtp="VP9",
        depay="rtpvp9depay",
        raw_caps="video/x-vp9",
    ),
    Codec(
        name="AV1",
        medium="video",
        caps="video/x-av1",
        parse="av1parse",
        framing=_OBU,
        decode="av1parse ! av1dec",
        rtp="AV1",
        raw_caps=_OBU,
    ),
    Codec(
        name="Opus",
        medium="audio",
        caps="audio/x-opus",
        decode="opusdec",
        rtp="OPUS",
        depay="rtpopusdepay",
        raw_caps="audio/x-opus,channel-mapping-family=0",
    ),
    Codec(
        name="AAC",
        medium="audio",
        caps="audio/mpeg",
        fields={"mpegversion": (2, 4)},
        parse="aacparse",
        decode="aacparse ! avdec_aac",
        rtp="MPEG4-GENERIC",
        depay="rtpmp4gdepay",
        raw_caps="audio/mpeg,mpegversion=4,stream-format=raw,framed=true",
    ),
    Codec(
        name="AAC (LATM)",
        medium="audio",
        caps="",
        parse="aacparse",
        decode="aacparse ! avdec_aac",
        rtp="MP4A-LATM",
        depay="rtpmp4adepay",
    ),
    Codec(
        name="MPEG audio",
        medium="audio",
        caps="audio/mpeg",
        fields={"mpegversion": (1,)},
        parse="mpegaudioparse",
        decode="mpegaudioparse ! mpg123audiodec",
        rtp="MPA",
        depay="rtpmpadepay",
        raw_caps="audio/mpeg,mpegversion=1,layer=3,parsed=true",
    ),
    Codec(
        name="AC-3",
        medium="audio",
        caps="audio/x-ac3",
        parse="ac3parse",
        decode="ac3parse ! avdec_ac3",
        rtp="AC3",
        depay="rtpac3depay",
        raw_caps="audio/x-ac3,framed=true",
    ),
    Codec(
        name="E-AC-3",
        medium="audio",
        caps="audio/x-eac3",
        parse="ac3parse",
        decode="ac3parse ! avdec_eac3",
        raw_caps="audio/x-eac3,framed=true",
    ),
    Codec(
        name="PCMU",
        medium="audio",
        caps="audio/x-mulaw",
        decode="mulawdec",
        rtp="PCMU",
        depay="rtppcmudepay",
        raw_caps="audio/x-mulaw,rate=8000,channels=1",
    ),
    Codec(
        name="PCMA",
        medium="audio",
        caps="audio/x-alaw",
        decode="alawdec",
        rtp="PCMA",
        depay="rtppcmadepay",
        raw_caps="audio/x-alaw,rate=8000,channels=1",
    ),
    Codec(
        name="G.722",
        medium="audio",
        caps="audio/G722",
        decode="avdec_g722",
        rtp="G722",
        depay="rtpg722depay",
    ),
    Codec(
        name="L16",
        medium="audio",
        caps="audio/x-raw",
        decode="identity",
        rtp="L16",
        depay="rtpL16depay",
    ),
)

_BY_NAME = {codec.name: codec for codec in CODECS}
_BY_RTP = {codec.rtp: codec for codec in CODECS if codec.rtp}
_FLV_NAMES = {"MP3": "MPEG audio"}


def named(name: str) -> Codec:
    """The codec of this table. Raises UnsupportedCodec."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnsupportedCodec(f"{name} is not supported", codec=name) from None


def in_flv(name: str) -> Codec:
    """The codec with this name in flv.py. Raises UnsupportedCodec."""
    codec = _BY_NAME.get(_FLV_NAMES.get(name, name))
    if codec is None or not codec.raw_caps:
        raise UnsupportedCodec(f"{name} is not supported", codec=name)
    return codec


def in_sdp(encoding: str, medium: str) -> Codec | None:
    """The codec that SDP calls so, None when it is not taken as this medium."""
    codec = _BY_RTP.get(encoding.upper())
    return codec if codec is not None and codec.medium == medium else None


def on_pad(caps: str, fields: Mapping[str, object]) -> Codec | None:
    """The codec a demuxer found; None for data that is neither video nor audio.

    Raises UnsupportedCodec for video or audio that is not in the table.
    """
    for codec in CODECS:
        if codec.caps == caps and all(fields.get(k) in v for k, v in codec.fields.items()):
            return codec
    if caps.startswith(("video/", "audio/")):
        name = caps.partition("/")[2].removeprefix("x-")
        raise UnsupportedCodec(f"{name} is not supported", codec=name)
    return None
