"""What a file may be: containers and codecs as tables, and how each goes into a transport stream.

In: caps as GStreamer finds them. Out: elements by name, or what was found instead. Pure: the worker
alone gives the names meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.media.ingest import codecs
from umbel.media.rtp.errors import UnsupportedCodec
from umbel.playout.model import FileRefused

WANTED = "Upload MP4, MOV, Matroska, WebM, MPEG-TS, FLV or AVI with video or audio."
PICTURE_WIDTH, PICTURE_HEIGHT = 640, 360


@dataclass(frozen=True, kw_only=True)
class Container:
    """A kind of file, and the element that reads it."""

    name: str
    demuxer: str


_MP4 = Container(name="MP4", demuxer="qtdemux")
_MATROSKA = Container(name="Matroska", demuxer="matroskademux")
_WEBM = Container(name="WebM", demuxer="matroskademux")
CONTAINERS: Mapping[str, Container] = {
    "video/quicktime": _MP4,
    "audio/x-m4a": _MP4,
    "application/x-3gp": _MP4,
    "video/x-matroska": _MATROSKA,
    "audio/x-matroska": _MATROSKA,
    "video/webm": _WEBM,
    "audio/webm": _WEBM,
    "video/mpegts": Container(name="MPEG-TS", demuxer="tsdemux"),
    "video/x-flv": Container(name="FLV", demuxer="flvdemux"),
    "video/x-msvideo": Container(name="AVI", demuxer="avidemux"),
}
_AU = "stream-format=byte-stream,alignment=au"
# What a transport stream carries as it is; all else is decoded and encoded again.
_CARRIED: Mapping[str, str] = {
    "H.264": f"h264parse config-interval=-1 ! video/x-h264,{_AU}",
    "HEVC": f"h265parse config-interval=-1 ! video/x-h265,{_AU}",
    "MPEG-2": "mpegvideoparse",
    "MPEG-4 part 2": "mpeg4videoparse config-interval=-1",
    "AAC": "aacparse ! audio/mpeg,stream-format=adts",
    "Opus": "opusparse",
    "MPEG audio": "mpegaudioparse",
    "AC-3": "ac3parse",
}
_MORE: Mapping[str, codecs.Codec] = {
    "audio/x-vorbis": codecs.Codec(
        name="Vorbis", medium="audio", caps="audio/x-vorbis", decode="vorbisdec"
    ),
    "audio/x-flac": codecs.Codec(
        name="FLAC", medium="audio", caps="audio/x-flac", decode="flacparse ! flacdec"
    ),
}
_ENCODE_VIDEO = (
    "videoconvert ! deinterlace fields=top ! video/x-raw,format=I420 ! x264enc tune=zerolatency"
    " speed-preset=veryfast bframes=0 key-int-max=50 bitrate=4000"
    " ! video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1"
    f" ! video/x-h264,{_AU}"
)
_ENCODE_AUDIO = (
    "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! opusenc bitrate=128000"
)


def container(caps: str) -> Container:
    """What reads a file of these caps; empty where nothing is known of it. Raises FileRefused."""
    found = CONTAINERS.get(caps)
    if found is None:
        known = f"This file is {caps}, which cannot be streamed." if caps else "No video was found."
        raise FileRefused(f"{known} {WANTED}", found=caps)
    return found


def codec(caps: str, fields: Mapping[str, object]) -> codecs.Codec | None:
    """The codec of a track; None for one that is neither video nor audio. Raises FileRefused."""
    if caps in _MORE:
        return _MORE[caps]
    try:
        return codecs.on_pad(caps, fields)
    except UnsupportedCodec as error:
        name = str(error.details["codec"])
        message = f"The file has {name}, which cannot be streamed. Export it with H.264 and AAC."
        raise FileRefused(message, found=name) from error


def parsed(of: codecs.Codec) -> str:
    """What tells the track's size and rate."""
    if of.name == "Opus":
        return "opusparse"
    return of.parse


def carried(of: codecs.Codec) -> str:
    """What makes of a track what a transport stream carries."""
    if of.name in _CARRIED:
        return _CARRIED[of.name]
    encode = _ENCODE_VIDEO if of.medium == "video" else _ENCODE_AUDIO
    return f"{of.decode} ! {encode}"
