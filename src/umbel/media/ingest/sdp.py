"""The SDP of an RTP publisher (RFC 8866, RFC 3551): text in, formats out, and the answer's text.

It says what the packets on the stream's RTP port are: at most one video and one audio format.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from umbel.media.ingest import codecs
from umbel.media.rtp.errors import MalformedSdp, UnsupportedCodec

_MOST_BYTES = 20_000
_MOST_PARAMETER = 2_000
_STATIC = {0: ("PCMU", 8000, 1), 8: ("PCMA", 8000, 1), 9: ("G722", 8000, 1)}
_STATIC |= {10: ("L16", 44100, 2), 11: ("L16", 44100, 1), 14: ("MPA", 90000, 1)}
_STATIC |= {32: ("MPV", 90000, 1), 33: ("MP2T", 90000, 1)}
_LINE = re.compile(r"([a-z])=(.*)")
_MEDIA = re.compile(r"(\S+) (\d{1,5})(?:/\d+)? (\S+) (\d{1,3}(?: \d{1,3})*)")
_RTPMAP = re.compile(r"rtpmap:(\d{1,3}) ([\w.+-]+)/(\d{1,6})(?:/(\d{1,2}))?")
_FMTP = re.compile(r"fmtp:(\d{1,3}) (.*)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_MOST_CHANNELS = 8
_LARGEST_CLOCK_HZ = 192_000


@dataclass(frozen=True, kw_only=True)
class RtpFormat:
    """How one medium's packets are to be read. `codec` is a name of codecs.py."""

    medium: str
    payload_type: int
    encoding: str
    clock_hz: int
    channels: int
    codec: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Section:
    medium: str
    number: int
    text: str
    payload_types: list[int]
    maps: dict[int, tuple[str, int, int]]
    parameters: dict[int, dict[str, str]]


def parse(text: str) -> tuple[RtpFormat, ...]:
    """The first format of each medium that can be taken.

    Raises MalformedSdp, and UnsupportedCodec when a medium has no format that can.
    """
    if len(text) > _MOST_BYTES:
        raise _malformed(1, text[:40], "too long")
    sections: list[_Section] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            _read_line(number, line.rstrip(), sections)
    if not lines or lines[0].rstrip() != "v=0":
        raise _malformed(1, lines[0] if lines else "", "SDP starts with v=0")
    formats = [_choose(section) for section in _firsts(sections)]
    if not formats:
        raise _malformed(len(lines), lines[-1], "no m=video or m=audio line")
    if len({item.payload_type for item in formats}) < len(formats):
        second = sections[-1]
        raise _malformed(second.number, second.text, "both media use one payload type")
    return tuple(formats)


def answer(formats: Sequence[RtpFormat], address: str, port: int) -> str:
    """Where to send and what: both media to one port, distinguished by payload type."""
    lines = ["v=0", f"o=- 0 0 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    for item in formats:
        channels = f"/{item.channels}" if item.channels > 1 else ""
        lines += [
            f"m={item.medium} {port} RTP/AVP {item.payload_type}",
            f"a=rtpmap:{item.payload_type} {item.encoding}/{item.clock_hz}{channels}",
        ]
        if item.parameters:
            pairs = ";".join(f"{name}={value}" for name, value in item.parameters.items())
            lines.append(f"a=fmtp:{item.payload_type} {pairs}")
        lines += ["a=recvonly", "a=rtcp-mux", f"a=rtcp:{port}"]
    return "\r\n".join(lines) + "\r\n"


def _malformed(number: int, text: str, why: str) -> MalformedSdp:
    return MalformedSdp(f"line {number}: {why}", line=number, text=text[:200])


def _read_line(number: int, line: str, sections: list[_Section]) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _malformed(number, line, "not of the form x=value")
    kind, value = match.groups()
    if kind == "m":
        sections.append(_section(number, line, value))
    elif kind == "a" and sections:
        _attribute(number, line, value, sections[-1])


def _section(number: int, line: str, value: str) -> _Section:
    match = _MEDIA.fullmatch(value)
    if match is None:
        raise _malformed(number, line, "not `m=MEDIA PORT PROTOCOL FORMATS`")
    medium, port, protocol, formats = match.groups()
    payload_types = [int(item) for item in formats.split()]
    if int(port) > 65535 or max(payload_types) > 127:
        raise _malformed(number, line, "a port or payload type out of range")
    if medium in {"video", "audio"} and not protocol.startswith("RTP/AVP"):
        raise _malformed(number, line, "only RTP/AVP and RTP/AVPF are taken")
    return _Section(medium, number, line, payload_types, {}, {})


def _attribute(number: int, line: str, value: str, section: _Section) -> None:
    if value.startswith("rtpmap:"):
        match = _RTPMAP.fullmatch(value)
        if match is None or not 0 < int(match[3]) <= _LARGEST_CLOCK_HZ:
            raise _malformed(number, line, "not `a=rtpmap:TYPE NAME/CLOCK`")
        channels = int(match[4] or 1)
        if not 1 <= channels <= _MOST_CHANNELS:
            raise _malformed(number, line, "an impossible number of channels")
        section.maps[int(match[1])] = (match[2], int(match[3]), channels)
    elif value.startswith("fmtp:"):
        match = _FMTP.fullmatch(value)
        if match is None:
            raise _malformed(number, line, "not `a=fmtp:TYPE NAME=VALUE;...`")
        section.parameters[int(match[1])] = _parameters(match[2])


def _parameters(text: str) -> dict[str, str]:
    pairs = (item.strip().partition("=") for item in text.split(";"))
    return {
        name.lower(): value
        for name, _, value in pairs
        if _NAME.fullmatch(name) and value.isprintable() and len(value) <= _MOST_PARAMETER
    }


def _firsts(sections: Sequence[_Section]) -> list[_Section]:
    """The first section of each medium; more of them cannot be carried and are not answered."""
    firsts: dict[str, _Section] = {}
    for section in sections:
        if section.medium in {"video", "audio"}:
            firsts.setdefault(section.medium, section)
    return list(firsts.values())


def _choose(section: _Section) -> RtpFormat:
    names = []
    for payload_type in section.payload_types:
        name, clock_hz, channels = section.maps.get(
            payload_type, _STATIC.get(payload_type, ("", 0, 1))
        )
        if not name:
            raise _malformed(section.number, section.text, f"no rtpmap for {payload_type}")
        names.append(name)
        codec = codecs.in_sdp(name, section.medium)
        if codec is not None:
            plain = RtpFormat(
                medium=section.medium,
                payload_type=payload_type,
                encoding=name,
                clock_hz=clock_hz,
                channels=channels,
                codec=codec.name,
            )
            return replace(plain, parameters=section.parameters.get(payload_type, {}))
    raise UnsupportedCodec(f"{', '.join(names)} is not supported", codec=names[0])
