"""What each role is made of: element types, how they are connected, what sets hops and keys.

In: a StreamSpec, and what the server has of the stream. Out: the operations of one transaction
that makes it so and ends by asking for the state. Neighbour: drivers/jsonrpc.py sends them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from umbel.kit.errors import Conflict, Invalid
from umbel.media.api.values import StreamInfo, srtp_key_to_json, targets_to_json, track_to_json
from umbel.media.model import (
    MOST_REVOKED,
    SRTP_KEY_BYTES,
    CaptionTrack,
    StreamRole,
    StreamSpec,
    VideoCodec,
    WantedCues,
)
from umbel.media.rpc.transaction import Operation, reference

MANAGER = "manager_ServerManager"
_STREAM_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY_HASH = re.compile(r"[0-9a-f]{64}")
_RECORD_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_LEAST_HEIGHT, _MOST_HEIGHT = 16, 4320


class SpecInvalid(Invalid):
    """A stream's name, a hop, a key hash or a height cannot be used."""

    code = "umbel.stream_spec_invalid"


class RoleFixed(Conflict):
    """The server has this stream in another role; remove it first."""

    code = "umbel.stream_role_fixed"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A role's elements by type, and the connections between them from source to sink."""

    parts: tuple[str, ...]
    links: tuple[tuple[str, str], ...]


RECIPES: Mapping[StreamRole, Recipe] = {
    StreamRole.ACQUIRER: Recipe(
        parts=("IngestEndpoint", "RtpSender"),
        links=(("IngestEndpoint", "RtpSender"),),
    ),
    StreamRole.FORWARDER: Recipe(
        parts=("RtpReceiver", "RtpSender"),
        links=(("RtpReceiver", "RtpSender"),),
    ),
    # An edge may feed others too: a sender without hops costs nothing.
    StreamRole.EDGE: Recipe(
        parts=("RtpReceiver", "WhepEndpoint", "HlsEndpoint", "RtpSender"),
        links=(
            ("RtpReceiver", "WhepEndpoint"),
            ("RtpReceiver", "HlsEndpoint"),
            ("RtpReceiver", "RtpSender"),
        ),
    ),
    # The receiver takes the source's stream, the sender gives the rendition's.
    StreamRole.TRANSCODER: Recipe(
        parts=("RtpReceiver", "Transcoder", "RtpSender"),
        links=(("RtpReceiver", "Transcoder"), ("Transcoder", "RtpSender")),
    ),
    StreamRole.RECORDER: Recipe(
        parts=("RtpReceiver", "SegmentRecorder"),
        links=(("RtpReceiver", "SegmentRecorder"),),
    ),
}
_CODEC_ROLES = frozenset({StreamRole.TRANSCODER, StreamRole.EDGE})
_CODEC_PARTS = frozenset({"Transcoder", "WhepEndpoint"})

# Which properties of which part the spec sets. The last may be refused, so it comes last.
_SETTINGS: tuple[tuple[str, str], ...] = (
    ("RtpReceiver", "sources"),
    ("IngestEndpoint", "sources"),
    ("RtpReceiver", "srtpKey"),
    ("RtpSender", "srtpKey"),
    ("RtpSender", "hops"),
    ("Transcoder", "height"),
    ("SegmentRecorder", "recordToken"),
    ("SegmentRecorder", "held"),
    ("SegmentRecorder", "over"),
    ("IngestEndpoint", "keyHashes"),
    ("IngestEndpoint", "rtpOffer"),
)


def check(spec: StreamSpec) -> None:
    """Refuse what no server would take. Raises SpecInvalid."""
    check_name(spec.stream)
    for hop in spec.hops:
        if not 0 < hop.port < 65536:
            raise SpecInvalid(f"{hop.port} is not a UDP port")
    _check_keys(spec)
    if spec.role is StreamRole.TRANSCODER:
        check_height(spec.height)
    elif spec.height:
        raise SpecInvalid("only a transcoder has a height")
    if spec.codec is not VideoCodec.H264 and spec.role not in _CODEC_ROLES:
        raise SpecInvalid("only a transcoder or an edge has a codec other than H.264")
    _check_revoked(spec)
    _check_recorder(spec)


def _check_keys(spec: StreamSpec) -> None:
    for digest in spec.key_hashes:
        if not _KEY_HASH.fullmatch(digest):
            raise SpecInvalid("a key hash is 64 lower-case hex digits")
    if len(spec.srtp_key) not in {0, SRTP_KEY_BYTES}:
        raise SpecInvalid(f"an SRTP key has {SRTP_KEY_BYTES} bytes")


def _check_revoked(spec: StreamSpec) -> None:
    if spec.revoked and spec.role is not StreamRole.EDGE:
        raise SpecInvalid("only an edge has viewers to refuse")
    if len(spec.revoked) > MOST_REVOKED:
        raise SpecInvalid(f"an edge keeps {MOST_REVOKED} revoked sessions of a stream")


def _check_recorder(spec: StreamSpec) -> None:
    if spec.role is StreamRole.RECORDER:
        check_record_token(spec.record_token)
    elif spec.record_token or spec.is_over or spec.is_held:
        raise SpecInvalid("only a recorder has a token for its segments, is held or is over")


def check_record_token(token: str) -> None:
    """What opens a recorder. Raises SpecInvalid, which does not repeat the token."""
    if not _RECORD_TOKEN.fullmatch(token):
        raise SpecInvalid("a record token has 32 to 128 letters, digits, - or _")


def check_name(stream: str) -> None:
    """A stream's name appears in URLs. Raises SpecInvalid."""
    if not _STREAM_NAME.fullmatch(stream):
        raise SpecInvalid("a stream's name has 1 to 64 letters, digits, - or _")


def check_height(height: int) -> None:
    """Pictures in the tree have even sizes. Raises SpecInvalid."""
    if not _LEAST_HEIGHT <= height <= _MOST_HEIGHT or height % 2:
        raise SpecInvalid(f"a height is an even number from {_LEAST_HEIGHT} to {_MOST_HEIGHT}")


def recipe_of(spec: StreamSpec) -> Recipe:
    """What the stream is made of there. HLS is cut of H.264 alone: its players know no VP8."""
    whole = RECIPES[spec.role]
    if spec.codec is VideoCodec.H264:
        return whole
    return Recipe(
        parts=tuple(part for part in whole.parts if part != "HlsEndpoint"),
        links=tuple(link for link in whole.links if "HlsEndpoint" not in link),
    )


def build(spec: StreamSpec) -> tuple[Operation, ...]:
    """Make the stream from nothing. Operation 0 answers with the pipeline's id."""
    recipe = recipe_of(spec)
    pipeline = {"stream": spec.stream, "role": spec.role.value}
    made = [_create("MediaPipeline", pipeline)]
    ids = {kind: reference(index) for index, kind in enumerate(recipe.parts, start=1)}
    for kind in recipe.parts:
        own = {name: value for part, name, value in _settings(spec) if part == kind}
        if kind == "IngestEndpoint":
            own["ports"] = list(spec.ports)
        # A media server that started before an update knows H.264 only, and not this argument.
        if kind in _CODEC_PARTS and spec.codec is not VideoCodec.H264:
            own["codec"] = spec.codec.value
        made.append(_create(kind, {"mediaPipeline": reference(0), **own}))
    linked = [_invoke(ids[a], "connect", {"sink": ids[b]}) for a, b in recipe.links]
    return (*made, *linked, *_revoke(spec, reference(0)), get_streams(spec.stream))


def adjust(spec: StreamSpec, info: StreamInfo) -> tuple[Operation, ...]:
    """Bring a stream that is there to what the spec says; nothing is created again."""
    steps = [
        _invoke(info.parts[kind], f"set{name[0].upper()}{name[1:]}", {name: value})
        for kind, name, value in _settings(spec, info.state.srtp_key_id)
    ]
    return (*steps, *_revoke(spec, info.pipeline), get_streams(spec.stream))


def is_whole(spec: StreamSpec, info: StreamInfo) -> bool:
    """Whether every element of the role is there: a transaction may have been cut short."""
    wanted = recipe_of(replace(spec, role=info.state.role))
    return set(wanted.parts) <= set(info.parts)


def get_streams(stream: str) -> Operation:
    """Ask for the stream's state."""
    return _invoke(MANAGER, "getStreams", {"stream": stream})


def get_thumbnail(info: StreamInfo) -> Operation | None:
    """Ask for a picture of the stream; None where nothing comes in from a provider."""
    part = info.parts.get("IngestEndpoint")
    return None if part is None else _invoke(part, "getThumbnail", {})


def get_cues(info: StreamInfo, wanted: WantedCues) -> Operation | None:
    """Ask for what is said in what comes in; None where the stream does not come from a
    provider."""
    part = info.parts.get("IngestEndpoint")
    given = {"language": wanted.language, "boot": wanted.boot, "after": wanted.after}
    return None if part is None else _invoke(part, "getCues", given)


def put_captions(info: StreamInfo, track: CaptionTrack) -> Operation | None:
    """Give what was said to where the stream is served by HLS; None where it is not."""
    part = info.parts.get("HlsEndpoint")
    return None if part is None else _invoke(part, "putCaptions", track_to_json(track))


def release(info: StreamInfo) -> Operation:
    """Drop the stream and all that carries it."""
    return Operation(method="release", params={"object": info.pipeline})


def _settings(spec: StreamSpec, srtp_key_id: str = "") -> Iterator[tuple[str, str, object]]:
    """What the spec says, as (part, property, value); nothing about RTP without a description.
    A media server that started before an update knows no SRTP, so none is spoken of where there is
    no key and `srtp_key_id` shows none there."""
    left_out = set() if spec.rtp_offer else {"rtpOffer"}
    if not spec.srtp_key and not srtp_key_id:
        left_out.add("srtpKey")
    values: dict[str, object] = {
        "sources": list(spec.sources),
        "hops": targets_to_json(spec.hops),
        "srtpKey": srtp_key_to_json(spec.srtp_key),
        "height": spec.height,
        "recordToken": spec.record_token,
        "held": spec.is_held,
        "over": spec.is_over,
        "keyHashes": list(spec.key_hashes),
        "rtpOffer": spec.rtp_offer,
    }
    for kind, name in _SETTINGS:
        if kind in RECIPES[spec.role].parts and name not in left_out:
            yield kind, name, values[name]


def _revoke(spec: StreamSpec, pipeline: str) -> list[Operation]:
    """Refuse the spec's revoked sessions, if there are any."""
    sessions = dict(spec.revoked)
    return [_invoke(pipeline, "revokeSessions", {"sessions": sessions})] if sessions else []


def _create(kind: str, params: Mapping[str, object]) -> Operation:
    return Operation(method="create", params={"type": kind, "constructorParams": dict(params)})


def _invoke(target: str, operation: str, params: Mapping[str, object]) -> Operation:
    body = {"object": target, "operation": operation, "operationParams": dict(params)}
    return Operation(method="invoke", params=body)
