"""Answers to offers (RFC 8829 section 5.3, RFC 8839), and answers to ICE restarts (RFC 8840).

In: the plan and this end of the transport. Out: the text. ICE-lite, one host candidate, all of it
at once: nothing is left for this end to trickle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from umbel.media.webrtc.negotiate import Medium, Plan
from umbel.media.webrtc.sdp import Section

_KEPT_FEEDBACK = ("nack", "nack pli", "ccm fir")
# The type preference of a host candidate, the only local preference, component 1 (RFC 8445 5.1.2).
_HOST_PRIORITY = (126 << 24) + (65535 << 8) + 255
_END = "\r\n"


@dataclass(frozen=True, kw_only=True)
class Local:
    """This end. `fingerprint` is `sha-256 AB:CD:...`, `setup` its role in DTLS."""

    ufrag: str
    password: str
    fingerprint: str
    setup: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class SourceAttributes:
    """What is sent in a section: SSRC of the packets and of their retransmissions."""

    ssrc: int
    rtx_ssrc: int
    cname: str


def write(plan: Plan, local: Local, sources: Mapping[str, SourceAttributes], session: int) -> str:
    """The answer. `sources` by kind are what this end sends: without any it receives."""
    taken = [
        section.mid
        for section, medium in zip(plan.offer.sections, plan.media, strict=True)
        if medium is not None and section.mid is not None
    ]
    lines = ["v=0", f"o=- {session} 1 IN {_net(local.address)}", "s=-", "t=0 0", "a=ice-lite"]
    if plan.offer.bundle:
        lines.append("a=group:BUNDLE " + " ".join(taken))
    lines.append("a=msid-semantic: WMS *")
    for section, medium in zip(plan.offer.sections, plan.media, strict=True):
        if medium is None:
            lines.extend(_refusal(section))
        else:
            lines.extend(_section(section, medium, local, sources.get(section.kind)))
    return _END.join(lines) + _END


def write_restart(local: Local, mid: str) -> str:
    """The fragment that answers a restart: new credentials, the same candidate."""
    lines = [*_credentials(local), f"m=audio 9 UDP/TLS/RTP/SAVPF 0{_END}a=mid:{mid}"]
    return _END.join([*lines, *_candidates(local)]) + _END


def _net(address: str) -> str:
    return f"IP6 {address}" if ":" in address else f"IP4 {address}"


def _refusal(section: Section) -> Iterator[str]:
    yield f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=inactive"
    if section.mid is not None:
        yield f"a=mid:{section.mid}"


def _section(
    section: Section, medium: Medium, local: Local, source: SourceAttributes | None
) -> Iterator[str]:
    types = [medium.codec.payload_type]
    if medium.rtx_type is not None:
        types.append(medium.rtx_type)
    formats = " ".join(map(str, types))
    yield f"m={section.kind} {local.port} {section.protocol} {formats}"
    yield f"c=IN {_net(local.address)}"
    yield f"a=rtcp:{local.port} IN {_net(local.address)}"
    if section.mid is not None:
        yield f"a=mid:{section.mid}"
    yield from _credentials(local)
    yield f"a=fingerprint:{local.fingerprint}"
    yield f"a=setup:{local.setup}"
    yield "a=rtcp-mux"
    yield from _candidates(local)
    if not medium.active:
        yield "a=inactive"
    else:
        yield "a=sendonly" if source is not None else "a=recvonly"
    yield from _codec(medium)
    if source is not None and medium.active:
        yield from _sources(section.kind, medium, source)


def _credentials(local: Local) -> Iterator[str]:
    yield f"a=ice-ufrag:{local.ufrag}"
    yield f"a=ice-pwd:{local.password}"


def _candidates(local: Local) -> Iterator[str]:
    yield f"a=candidate:1 1 udp {_HOST_PRIORITY} {local.address} {local.port} typ host"
    yield "a=end-of-candidates"


def _codec(medium: Medium) -> Iterator[str]:
    codec = medium.codec
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    number = codec.payload_type
    # The names of RFC 6184 and its like are capitals, Opus alone is registered in small letters.
    name = "opus" if codec.name == "OPUS" else codec.name
    yield f"a=rtpmap:{number} {name}/{codec.clock_hz}{channels}"
    parameters = _parameters(medium)
    if parameters:
        yield f"a=fmtp:{number} {parameters}"
    for feedback in _KEPT_FEEDBACK:
        if feedback in codec.feedback:
            yield f"a=rtcp-fb:{number} {feedback}"
    if medium.rtx_type is not None:
        yield f"a=rtpmap:{medium.rtx_type} rtx/{codec.clock_hz}"
        yield f"a=fmtp:{medium.rtx_type} apt={number}"


def _parameters(medium: Medium) -> str:
    codec = medium.codec
    if codec.name == "OPUS" and not codec.parameter("stereo", ""):
        return ";".join(filter(None, [codec.parameters, "stereo=1"]))
    return codec.parameters


def _sources(kind: str, medium: Medium, source: SourceAttributes) -> Iterator[str]:
    # One stream name for both media: clients keep the tracks of a stream in sync.
    yield f"a=msid:umbel umbel-{kind}"
    if medium.rtx_type is not None:
        yield f"a=ssrc-group:FID {source.ssrc} {source.rtx_ssrc}"
    # Chromium takes the first line for the medium itself, whatever the group says.
    yield f"a=ssrc:{source.ssrc} cname:{source.cname}"
    if medium.rtx_type is not None:
        yield f"a=ssrc:{source.rtx_ssrc} cname:{source.cname}"
