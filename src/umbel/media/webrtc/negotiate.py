"""What of an offer is taken: which sections, which payload types, which transport.

In: a parsed offer. Out: a `Plan`, which answer.py writes down and the peers follow, or an Invalid
error that says what is missing. Payload types and profiles are the client's: never assumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Invalid
from umbel.media.model import AUDIO_CLOCK_HZ, VIDEO_CLOCK_HZ, PayloadType
from umbel.media.rtp.errors import UnsupportedCodec
from umbel.media.webrtc.sdp import Offer, PayloadFormat, Section

_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"})
_VIDEO_PREFERENCE = (
    ("H264", PayloadType.H264),
    ("VP8", PayloadType.VP8),
    ("VP9", PayloadType.VP9),
    ("AV1", PayloadType.AV1),
)
_DEFAULT_PROFILE = "42e01f"


class UnsupportedOffer(Invalid):
    """The offer lacks something this server needs."""

    code = "umbel.unsupported_offer"


class Profile(Enum):
    """H.264 profiles as far as they matter to a decoder (RFC 6184 section 8.1, table 5)."""

    CONSTRAINED_BASELINE = "constrained baseline"
    BASELINE = "baseline"
    MAIN = "main"
    CONSTRAINED_HIGH = "constrained high"
    HIGH = "high"


# Which decoders show a profile, the closest first.
_DECODERS: Mapping[Profile, tuple[Profile, ...]] = {
    Profile.CONSTRAINED_BASELINE: (
        Profile.CONSTRAINED_BASELINE,
        Profile.BASELINE,
        Profile.MAIN,
        Profile.CONSTRAINED_HIGH,
        Profile.HIGH,
    ),
    Profile.BASELINE: (Profile.BASELINE, Profile.CONSTRAINED_BASELINE),
    Profile.MAIN: (Profile.MAIN, Profile.HIGH),
    Profile.CONSTRAINED_HIGH: (Profile.CONSTRAINED_HIGH, Profile.HIGH),
    Profile.HIGH: (Profile.HIGH, Profile.CONSTRAINED_HIGH),
}


@dataclass(frozen=True, kw_only=True)
class Medium:
    """A section that was taken: the client's payload types and the platform's."""

    kind: str
    codec: PayloadFormat
    platform_type: int
    rtx_type: int | None
    active: bool


@dataclass(frozen=True, kw_only=True)
class Remote:
    """The client's end of the transport. `setup` is the role it wants in DTLS."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, bytes], ...]
    setup: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One entry of `media` per section of the offer; None is a refused section."""

    offer: Offer
    media: tuple[Medium | None, ...]
    remote: Remote

    def medium(self, kind: str) -> Medium | None:
        """The section of the kind on which packets flow."""
        active = (one for one in self.media if one is not None and one.active)
        return next((one for one in active if one.kind == kind), None)


def for_viewer(
    offer: Offer, profile_level_id: str | None, video_type: int | None = PayloadType.H264
) -> Plan:
    """Plan to send a stream's video and Opus. `video_type` is the video's payload type in the
    platform, H.264 while it is not known; `profile_level_id` is that of H.264, when it is known.

    Raises UnsupportedCodec, UnsupportedOffer.
    """
    if video_type == PayloadType.VP8:
        return _plan(offer, _sent_vp8)
    return _plan(offer, lambda section: _sent(section, profile_level_id))


def for_publisher(offer: Offer) -> Plan:
    """Plan to receive video (H.264 rather than VP8, VP9, AV1) and Opus.

    Raises UnsupportedCodec, UnsupportedOffer.
    """
    return _plan(offer, _received)


def profile_of(profile_level_id: str) -> Profile | None:
    """The profile that the first four of six hexadecimal digits name; None for others."""
    try:
        number, flags = bytes.fromhex(profile_level_id)[:2]
    except ValueError:
        return None
    if number == 0x42:
        return Profile.CONSTRAINED_BASELINE if flags & 0x40 else Profile.BASELINE
    if number == 0x4D:
        return Profile.CONSTRAINED_BASELINE if flags & 0x80 else Profile.MAIN
    if number == 0x64:
        return Profile.CONSTRAINED_HIGH if flags & 0x0C == 0x0C else Profile.HIGH
    return None


def choose_h264(
    codecs: tuple[PayloadFormat, ...], profile_level_id: str | None
) -> PayloadFormat | None:
    """The entry of packetization mode 1 whose decoder is closest to the stream's profile.

    When none is close the nearest to the default is taken: decoders do more than they say, and
    a refusal would be certain where a picture is likely.
    """
    usable = [one for one in codecs if _is_video(one, "H264") and _mode(one) == "1"]
    wanted = profile_of(profile_level_id or _DEFAULT_PROFILE) or Profile.HIGH
    order = (*_DECODERS[wanted], *_DECODERS[Profile.CONSTRAINED_BASELINE])
    for profile in order:
        for codec in usable:
            if profile_of(codec.parameter("profile-level-id", "42000a")) is profile:
                return codec
    return None


def _mode(codec: PayloadFormat) -> str:
    return codec.parameter("packetization-mode", "0")


def _is_video(codec: PayloadFormat, name: str) -> bool:
    return codec.name == name and codec.clock_hz == VIDEO_CLOCK_HZ


def _opus(section: Section, *, active: bool) -> Medium | None:
    for codec in section.codecs:
        if codec.name == "OPUS" and codec.clock_hz == AUDIO_CLOCK_HZ:
            return _medium(section, codec, PayloadType.OPUS, active=active)
    return None


def _sent(section: Section, profile_level_id: str | None) -> Medium | None:
    active = section.direction in ("recvonly", "sendrecv")
    if section.kind == "audio":
        return _opus(section, active=active)
    codec = choose_h264(section.codecs, profile_level_id)
    return _medium(section, codec, PayloadType.H264, active=active) if codec else None


def _sent_vp8(section: Section) -> Medium | None:
    active = section.direction in ("recvonly", "sendrecv")
    if section.kind == "audio":
        return _opus(section, active=active)
    codec = next((one for one in section.codecs if _is_video(one, "VP8")), None)
    return _medium(section, codec, PayloadType.VP8, active=active) if codec else None


def _received(section: Section) -> Medium | None:
    active = section.direction in ("sendonly", "sendrecv")
    if section.kind == "audio":
        return _opus(section, active=active)
    codec = choose_h264(section.codecs, None)
    if codec is not None:
        return _medium(section, codec, PayloadType.H264, active=active)
    # H.264 of packetization mode 0 is still H.264: mode 1 may hold all that mode 0 may.
    for name, platform_type in _VIDEO_PREFERENCE:
        for codec in section.codecs:
            if _is_video(codec, name):
                return _medium(section, codec, platform_type, active=active)
    return None


def _medium(section: Section, codec: PayloadFormat, platform_type: int, *, active: bool) -> Medium:
    wanted = str(codec.payload_type)
    repairs = (one for one in section.codecs if one.name == "RTX")
    rtx = next((one for one in repairs if one.parameter("apt", "") == wanted), None)
    return Medium(
        kind=section.kind,
        codec=codec,
        platform_type=platform_type,
        rtx_type=rtx.payload_type if rtx is not None and "nack" in codec.feedback else None,
        active=active,
    )


def _plan(offer: Offer, choose: Callable[[Section], Medium | None]) -> Plan:
    media: list[Medium | None] = []
    taken: list[Section] = []
    for section in offer.sections:
        medium = choose(section) if _is_candidate(section, taken) else None
        media.append(medium)
        if medium is not None:
            taken.append(section)
    _check_something_flows(offer, media)
    _check_one_transport(offer, taken)
    return Plan(offer=offer, media=tuple(media), remote=_remote(taken[0]))


def _is_candidate(section: Section, taken: list[Section]) -> bool:
    return (
        section.kind in ("audio", "video")
        and section.protocol in _PROTOCOLS
        and all(one.kind != section.kind for one in taken)
        and section.port != 0
    )


def _check_something_flows(offer: Offer, media: list[Medium | None]) -> None:
    kinds = {one.kind for one in media if one is not None}
    wanted = {one.kind for one in offer.sections if one.direction != "inactive" and one.port}
    if "video" in wanted - kinds:
        names = sorted({c.name for s in offer.sections if s.kind == "video" for c in s.codecs})
        message = f"no video codec of the offer can be used: it has {', '.join(names) or 'none'}"
        raise UnsupportedCodec(message, codecs=names)
    if not any(one is not None and one.active for one in media):
        raise UnsupportedCodec("the offer has no audio or video that could flow")


def _check_one_transport(offer: Offer, taken: list[Section]) -> None:
    if not all(section.rtcp_mux for section in taken):
        raise UnsupportedOffer("the offer must have a=rtcp-mux in every section")
    if len(taken) > 1 and not all(section.mid in offer.bundle for section in taken):
        raise UnsupportedOffer("the offer must put its sections into one a=group:BUNDLE")


def _remote(section: Section) -> Remote:
    if not section.ufrag or not section.password:
        raise UnsupportedOffer("the offer must have a=ice-ufrag and a=ice-pwd")
    if not section.fingerprints:
        raise UnsupportedOffer("the offer must have an a=fingerprint")
    if section.setup == "holdconn":
        raise UnsupportedOffer("the offer must not be a=setup:holdconn")
    return Remote(
        ufrag=section.ufrag,
        password=section.password,
        fingerprints=section.fingerprints,
        setup=section.setup,
    )
