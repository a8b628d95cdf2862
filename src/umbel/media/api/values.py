"""The table's structured values as the model's, and back: what a stream is, on the wire.

In: StreamState on the server's side, JSON on the client's. Out: the other. Tested as inverses.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from umbel.kit.errors import Unavailable
from umbel.media.api import SCHEMA, check
from umbel.media.model import (
    SRTP_KEY_BYTES,
    CaptionTrack,
    CueBatch,
    IngestState,
    NumberedCue,
    StreamRole,
    StreamState,
    Target,
    Thumbnail,
)
from umbel.media.rpc.faults import ParamIllegal

Json = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class StreamInfo:
    """A stream's state with the ids of the objects that carry it (`parts`: by type)."""

    state: StreamState
    pipeline: str
    parts: Mapping[str, str]


def targets_to_json(targets: Iterable[Target]) -> list[Json]:
    """Destinations as Target values."""
    return [
        {"address": t.address, "port": t.port, **({"burst": True} if t.burst else {})}
        for t in targets
    ]


def targets_from_json(values: object) -> tuple[Target, ...]:
    """Destinations from Target values that were checked. Raises ParamIllegal for a bad port."""
    return tuple(_target(value) for value in _list(values))


def info_to_json(info: StreamInfo) -> Json:
    """A StreamInfo value."""
    state = info.state
    return {
        "stream": state.stream,
        "role": state.role.value,
        "pipeline": info.pipeline,
        "parts": dict(info.parts),
        "port": state.port,
        "sources": list(state.sources),
        "hops": targets_to_json(state.hops),
        "urls": urls_to_json(state.urls),
        "ingest": None if state.ingest is None else ingest_to_json(state.ingest),
        "viewers": list(state.viewers),
        "hlsViewers": list(state.hls_viewers),
        "mbpsIn": round(state.mbps_in, 6),
        "mbpsOut": round(state.mbps_out, 6),
        "flowing": state.flowing,
        "rtpAnswer": state.rtp_answer,
        "picturesRequested": state.pictures_requested,
        "srtpKeyId": state.srtp_key_id,
        "unpulled": state.unpulled,
        "over": state.is_over,
        "held": state.is_held,
    }


def ingest_to_json(state: IngestState) -> Json:
    """An IngestInfo value."""
    fields = asdict(state)
    names = {
        "key_interval_s": "keyIntervalS",
        "packet_loss": "packetLoss",
        "frame_loss": "frameLoss",
    }
    renamed = {new: round(fields.pop(old), 4) for old, new in names.items()}
    return {**fields, **renamed}


def thumbnail_to_json(thumbnail: Thumbnail) -> Json:
    """A Thumbnail value."""
    jpeg = base64.b64encode(thumbnail.jpeg).decode()
    return {"jpeg": jpeg, "ageS": round(thumbnail.age_s, 3)}


def cues_to_json(batch: CueBatch) -> Json:
    """A CueBatch value."""
    return {
        "boot": batch.boot,
        "cues": _cues_to_json(batch.cues),
        "droppedS": batch.dropped_s,
        "problem": batch.problem,
    }


def cues_from_json(value: object) -> CueBatch | None:
    """What getCues answered. Raises Unavailable when it is not what was agreed."""
    if value is None:
        return None
    try:
        check.check_value(SCHEMA, "CueBatch", value, "getCues")
        fields = value if isinstance(value, dict) else {}
        cues = cues_of(fields["cues"])
    except (ParamIllegal, KeyError, ValueError) as error:
        raise Unavailable("the media server speaks otherwise: no cues") from error
    return CueBatch(
        boot=str(fields["boot"]),
        cues=cues,
        dropped_s=_float(fields["droppedS"]),
        problem=str(fields["problem"]),
    )


def track_to_json(track: CaptionTrack) -> Json:
    """A CaptionTrack as `putCaptions` takes it."""
    return {"language": track.language, "cues": _cues_to_json(track.cues)}


def cues_of(entries: object) -> tuple[NumberedCue, ...]:
    """Cues from Cue values that were checked."""
    return tuple(_cue(one) for one in _list(entries))


def _cues_to_json(cues: Iterable[NumberedCue]) -> list[Json]:
    return [
        {"number": one.number, "text": one.text, "startS": one.start_s, "endS": one.end_s}
        for one in cues
    ]


def _cue(value: object) -> NumberedCue:
    fields = value if isinstance(value, dict) else {}
    start_s, end_s = _float(fields["startS"]), _float(fields["endS"])
    return NumberedCue(
        number=int(_float(fields["number"])), text=str(fields["text"]), start_s=start_s, end_s=end_s
    )


def thumbnail_from_json(value: object) -> Thumbnail | None:
    """What getThumbnail answered. Raises Unavailable when it is not what was agreed."""
    if value is None:
        return None
    try:
        check.check_value(SCHEMA, "Thumbnail", value, "getThumbnail")
        fields = value if isinstance(value, dict) else {}
        jpeg = base64.b64decode(fields["jpeg"], validate=True)
    except (ParamIllegal, ValueError) as error:
        raise Unavailable("the media server speaks otherwise: no thumbnail") from error
    return Thumbnail(jpeg=jpeg, age_s=_float(fields["ageS"]))


def srtp_key_to_json(key: bytes) -> str:
    """A key as `setSrtpKey` takes it."""
    return base64.b64encode(key).decode()


def srtp_key_from_json(text: str) -> bytes:
    """The key, empty for none. Raises ParamIllegal, which does not repeat the text."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b"?"
    if len(key) not in {0, SRTP_KEY_BYTES}:
        raise ParamIllegal(f"an SRTP key has {SRTP_KEY_BYTES} bytes in base64")
    return key


def urls_to_json(urls: Iterable[tuple[str, str]]) -> list[Json]:
    """StreamUrl values."""
    return [{"protocol": protocol, "url": url} for protocol, url in urls]


def infos_from_json(value: object) -> list[StreamInfo]:
    """What getStreams answered. Raises Unavailable when it is not what was agreed."""
    try:
        check.check_value(SCHEMA, "StreamInfo[]", value, "getStreams")
        return [_info(entry) for entry in _list(value)]
    except ParamIllegal as error:
        raise Unavailable(f"the media server speaks otherwise: {error.message}") from error


def _info(entry: Json) -> StreamInfo:
    state = StreamState(
        stream=str(entry["stream"]),
        role=StreamRole(entry["role"]),
        port=_int(entry["port"]),
        sources=tuple(str(source) for source in _texts(entry["sources"])),
        hops=targets_from_json(entry["hops"]),
        urls=tuple((str(u["protocol"]), str(u["url"])) for u in _list(entry["urls"])),
        ingest=_ingest(entry.get("ingest")),
        viewers=tuple(str(viewer) for viewer in _texts(entry["viewers"])),
        hls_viewers=tuple(str(viewer) for viewer in _texts(entry.get("hlsViewers", []))),
        mbps_in=_float(entry["mbpsIn"]),
        mbps_out=_float(entry["mbpsOut"]),
        flowing=entry["flowing"] is True,
        rtp_answer=str(entry["rtpAnswer"]),
        pictures_requested=_int(entry["picturesRequested"]),
        # A media server that started before an update has none.
        srtp_key_id=str(entry.get("srtpKeyId") or ""),
        unpulled=_int(entry.get("unpulled")),
        is_over=entry.get("over") is True,
        is_held=entry.get("held") is True,
    )
    parts = entry["parts"]
    ids = {str(k): str(v) for k, v in parts.items()} if isinstance(parts, dict) else {}
    return StreamInfo(state=state, pipeline=str(entry["pipeline"]), parts=ids)


def _ingest(value: object) -> IngestState | None:
    if not isinstance(value, dict):
        return None
    names = ("protocol", "video", "audio", "transcoding", "error")
    texts = {name: str(value[name]) for name in names}
    return IngestState(
        **texts,
        width=_int(value["width"]),
        height=_int(value["height"]),
        # A media server that started before an update does not measure these.
        key_interval_s=_float(value.get("keyIntervalS")),
        fps=_float(value.get("fps")),
        packet_loss=_float(value.get("packetLoss")),
        frame_loss=_float(value.get("frameLoss")),
    )


def _target(value: Json) -> Target:
    port = _int(value["port"])
    if not 0 < port < 65536:
        raise ParamIllegal(f"{port} is not a UDP port")
    burst = value.get("burst") is True
    return Target(address=str(value["address"]), port=port, burst=burst)


def _list(value: object) -> list[Json]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
