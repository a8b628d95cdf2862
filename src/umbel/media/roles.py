"""What each role is made of: element types, how they are connected, what sets hops and keys.

In: a StreamSpec, and what the server has of the stream. Out: the operations of one transaction
that makes it so and ends by asking for the state. Neighbour: drivers/jsonrpc.py sends them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from umbel.kit.errors import Conflict, Invalid
from umbel.media.elements.values import StreamInfo, targets_to_json
from umbel.media.model import StreamRole, StreamSpec
from umbel.media.protocol.transaction import Operation, reference

MANAGER = "manager_ServerManager"
_STREAM_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY_HASH = re.compile(r"[0-9a-f]{64}")


class SpecInvalid(Invalid):
    """A stream's name, a hop or a key hash cannot be used."""

    code = "umbel.stream_spec_invalid"


class RoleFixed(Conflict):
    """The stream is here in another role; remove it first."""

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
}

# Which operation takes what of the spec.
_SETTERS: Mapping[str, tuple[str, str]] = {
    "RtpSender": ("setHops", "hops"),
    "IngestEndpoint": ("setKeyHashes", "keyHashes"),
}


def check(spec: StreamSpec) -> None:
    """Refuse what no server would take. Raises SpecInvalid."""
    check_name(spec.stream)
    for hop in spec.hops:
        if not 0 < hop.port < 65536:
            raise SpecInvalid(f"{hop.port} is not a UDP port")
    for digest in spec.key_hashes:
        if not _KEY_HASH.fullmatch(digest):
            raise SpecInvalid("a key hash is 64 lower-case hex digits")


def check_name(stream: str) -> None:
    """A stream's name appears in URLs. Raises SpecInvalid."""
    if not _STREAM_NAME.fullmatch(stream):
        raise SpecInvalid("a stream's name has 1 to 64 letters, digits, - or _")


def build(spec: StreamSpec) -> tuple[Operation, ...]:
    """Make the stream from nothing. Operation 0 answers with the pipeline's id."""
    recipe = RECIPES[spec.role]
    pipeline = {"stream": spec.stream, "role": spec.role.value}
    made = [_create("MediaPipeline", pipeline)]
    ids = {kind: reference(index) for index, kind in enumerate(recipe.parts, start=1)}
    for kind in recipe.parts:
        made.append(_create(kind, {"mediaPipeline": reference(0), **_setting(kind, spec)}))
    linked = [_invoke(ids[a], "connect", {"sink": ids[b]}) for a, b in recipe.links]
    return (*made, *linked, look(spec.stream))


def adjust(spec: StreamSpec, info: StreamInfo) -> tuple[Operation, ...]:
    """Bring a stream that is there to what the spec says; nothing is made anew."""
    steps = [
        _invoke(info.parts[kind], _SETTERS[kind][0], _setting(kind, spec))
        for kind in RECIPES[spec.role].parts
        if kind in _SETTERS
    ]
    return (*steps, look(spec.stream))


def is_whole(info: StreamInfo) -> bool:
    """Whether every element of the role is there: a transaction may have been cut short."""
    return set(RECIPES[info.state.role].parts) <= set(info.parts)


def look(stream: str) -> Operation:
    """Ask for the stream's state."""
    return _invoke(MANAGER, "getStreams", {"stream": stream})


def release(info: StreamInfo) -> Operation:
    """Drop the stream and all that carries it."""
    return Operation(method="release", params={"object": info.pipeline})


def _setting(kind: str, spec: StreamSpec) -> dict[str, object]:
    values: dict[str, object] = {
        "hops": targets_to_json(spec.hops),
        "keyHashes": list(spec.key_hashes),
    }
    name = _SETTERS[kind][1] if kind in _SETTERS else ""
    return {name: values[name]} if name else {}


def _create(kind: str, params: Mapping[str, object]) -> Operation:
    return Operation(method="create", params={"type": kind, "constructorParams": dict(params)})


def _invoke(target: str, operation: str, params: Mapping[str, object]) -> Operation:
    body = {"object": target, "operation": operation, "operationParams": dict(params)}
    return Operation(method="invoke", params=body)
