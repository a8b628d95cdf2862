"""The element API as a table: requests against it, its reference, and the recipes made of it."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import documents
from umbel.kit.errors import Unavailable
from umbel.media import roles
from umbel.media.api import SCHEMA, check, values
from umbel.media.api.values import StreamInfo
from umbel.media.model import IngestState, StreamRole, StreamSpec, StreamState, Target, VideoCodec
from umbel.media.rpc.faults import (
    EventUnknown,
    OperationUnknown,
    ParamIllegal,
    TypeAbstract,
    TypeUnknown,
)
from umbel.media.rpc.transaction import resolve

SPEC = StreamSpec(
    stream="ev1",
    role=StreamRole.EDGE,
    hops=(Target(address="127.0.3.1", port=5004),),
    key_hashes=("ab" * 32,),
)


def test_every_type_named_in_the_table_exists() -> None:
    plain = {"String", "boolean", "int", "int64", "float", "double", "void"}
    known = plain | set(SCHEMA.elements) | set(SCHEMA.values)
    for entry in SCHEMA.elements.values():
        signatures = [*entry.operations, *entry.events, *([entry.new] if entry.new else [])]
        named = {p.type for s in signatures for p in s.params} | {s.result for s in signatures}
        named |= {p.type for p in entry.properties}
        assert {n.removesuffix("[]").removesuffix("<>") for n in named} <= known, entry.name
        assert not entry.extends or entry.extends in SCHEMA.elements


@pytest.mark.parametrize("name", ["IngestEndpoint", "kurento.IngestEndpoint"])
def test_types_are_named_with_or_without_their_module(name: str) -> None:
    found, new = check.constructor(SCHEMA, name)
    assert found.name == "IngestEndpoint"
    names = ["mediaPipeline", "keyHashes", "rtpOffer", "ports", "sources"]
    assert [p.name for p in new.params] == names


def test_unknown_and_abstract_types_are_not_made() -> None:
    with pytest.raises(TypeUnknown):
        check.constructor(SCHEMA, "Teapot")
    with pytest.raises(TypeAbstract):
        check.constructor(SCHEMA, "MediaElement")
    with pytest.raises(TypeAbstract):
        check.constructor(SCHEMA, "ServerManager")


def test_operations_are_inherited_and_properties_are_got_and_set() -> None:
    assert check.operation(SCHEMA, "RtpSender", "connect").params[0].type == "MediaElement"
    assert check.operation(SCHEMA, "RtpSender", "getHops").result == "Target[]"
    assert [p.name for p in check.operation(SCHEMA, "RtpSender", "setHops").params] == ["hops"]


@pytest.mark.parametrize("name", ["fly", "setPort", "", "hops", "__init__"])
def test_what_the_table_does_not_name_cannot_be_invoked(name: str) -> None:
    with pytest.raises(OperationUnknown):
        check.operation(SCHEMA, "RtpReceiver", name)


def test_events_are_checked() -> None:
    check.event(SCHEMA, "IngestEndpoint", "IngestStateChanged")
    check.event(SCHEMA, "IngestEndpoint", "ElementConnected")
    with pytest.raises(EventUnknown):
        check.event(SCHEMA, "RtpSender", "IngestStateChanged")


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"hops": None},
        {"hops": {}},
        {"hops": ["127.0.0.1:3"]},
        {"hops": [{"address": "127.0.0.1"}]},
        {"hops": [{"address": "127.0.0.1", "port": "3"}]},
        {"hops": [{"address": "127.0.0.1", "port": True}]},
        {"hops": [{"address": "127.0.0.1", "port": 2**40}]},
        {"hops": [], "more": 1},
        [],
    ],
)
def test_bad_parameters_are_refused(given_: object) -> None:
    signature = check.operation(SCHEMA, "RtpSender", "setHops")
    with pytest.raises(ParamIllegal):
        check.arguments(SCHEMA, signature, given_)


def test_optional_parameters_may_be_absent_or_null() -> None:
    _, new = check.constructor(SCHEMA, "MediaPipeline")
    assert check.arguments(SCHEMA, new, None) == {}
    assert check.arguments(SCHEMA, new, {"role": None}) == {}
    with pytest.raises(ParamIllegal):
        check.arguments(SCHEMA, new, {"role": "king"})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_TYPES = st.sampled_from([*SCHEMA.values, "String", "int", "int64", "Target[]", "String<>"])


def fits(kind: str, value: object) -> bool:
    """The model: whether a JSON value is of a type."""
    if kind.endswith("[]"):
        return isinstance(value, list) and all(fits(kind[:-2], one) for one in value)
    if kind.endswith("<>"):
        return isinstance(value, dict) and all(fits(kind[:-2], one) for one in value.values())
    if kind in ("int", "int64"):
        return type(value) is int and abs(value + 0.5) < 2 ** (31 if kind == "int" else 63)
    if kind not in SCHEMA.values:
        return isinstance(value, bool if kind == "boolean" else str)
    wanted = SCHEMA.values[kind]
    if wanted.words:
        return value in wanted.words
    return isinstance(value, dict) and all(
        field.optional if value.get(field.name) is None else fits(field.type, value[field.name])
        for field in wanted.fields
    )


@given(_TYPES, _JSON | documents.damaged([{"address": "a", "port": 1}], _JSON))
@example("int", 2**31)
@example("int", -(2**31))
@example("Target[]", [{"address": "a", "port": 1}, {"address": "a", "port": True}])
@example("String<>", {"a": "b", "c": 1})
def test_any_value_either_fits_or_is_illegal(kind: str, value: object) -> None:
    if fits(kind, value):
        check.check_value(SCHEMA, kind, value, "it")
        return
    with pytest.raises(ParamIllegal):
        check.check_value(SCHEMA, kind, value, "it")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_hop_needs_a_real_port(port: int) -> None:
    with pytest.raises(ParamIllegal):
        values.targets_from_json([{"address": "127.0.0.1", "port": port}])


_NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
_TARGETS = st.builds(Target, address=_NAMES, port=st.integers(1, 65535))
_INGEST = st.builds(
    IngestState,
    protocol=_NAMES,
    video=_NAMES,
    audio=_NAMES,
    width=st.integers(0, 9999),
    height=st.integers(0, 9999),
    transcoding=_NAMES,
    error=_NAMES,
    key_interval_s=st.integers(0, 60_000).map(lambda n: n / 1000),
    fps=st.integers(0, 12_000).map(lambda n: n / 100),
    packet_loss=st.integers(0, 10_000).map(lambda n: n / 10_000),
    frame_loss=st.integers(0, 10_000).map(lambda n: n / 10_000),
)
_STATES = st.builds(
    StreamState,
    stream=_NAMES,
    role=st.sampled_from(StreamRole),
    port=st.integers(0, 65535),
    sources=st.lists(_NAMES, max_size=3).map(tuple),
    hops=st.lists(_TARGETS, max_size=3).map(tuple),
    urls=st.lists(st.tuples(_NAMES, _NAMES), max_size=3).map(tuple),
    ingest=st.none() | _INGEST,
    viewers=st.lists(_NAMES, max_size=3).map(tuple),
    hls_viewers=st.lists(_NAMES, max_size=3).map(tuple),
    mbps_in=st.integers(0, 10**6).map(lambda n: n / 1000),
    mbps_out=st.integers(0, 10**6).map(lambda n: n / 1000),
    flowing=st.booleans(),
)


@given(_STATES)
def test_a_state_survives_the_wire(state: StreamState) -> None:
    info = StreamInfo(state=state, pipeline="p", parts={"RtpSender": "p/s"})
    assert values.infos_from_json([values.info_to_json(info)]) == [info]


ANSWER = [
    values.info_to_json(
        StreamInfo(
            state=StreamState(
                stream="ev", role=StreamRole.ACQUIRER, hops=(Target(address="a", port=7),)
            ),
            pipeline="p",
            parts={"RtpSender": "p/s"},
        )
    )
]


@given(_JSON | documents.damaged(ANSWER, _JSON))
@example([ANSWER[0] | {"hops": [{"address": "a", "port": 0}]}])
def test_a_server_that_speaks_otherwise_is_unavailable(answer: Any) -> None:
    try:
        found = values.infos_from_json(answer)
    except Unavailable:
        return
    assert [info.state.stream for info in found] == [entry["stream"] for entry in answer]
    assert values.infos_from_json([values.info_to_json(info) for info in found]) == found


@pytest.mark.parametrize(
    ("role", "codec"),
    [
        *((role, VideoCodec.H264) for role in StreamRole),
        (StreamRole.TRANSCODER, VideoCodec.VP8),
        (StreamRole.EDGE, VideoCodec.VP8),
    ],
)
def test_every_step_of_a_recipe_is_in_the_table(role: StreamRole, codec: VideoCodec) -> None:
    spec = StreamSpec(
        stream="ev1", role=role, hops=SPEC.hops, key_hashes=SPEC.key_hashes, codec=codec
    )
    results: list[object] = []
    kinds: dict[str, str] = {roles.MANAGER: "ServerManager"}
    for index, step in enumerate(roles.build(spec)):
        params = resolve(dict(step.params), results)
        assert isinstance(params, dict)
        if step.method == "create":
            _, signature = check.constructor(SCHEMA, params["type"])
            check.arguments(SCHEMA, signature, params["constructorParams"])
            kinds[f"id{index}"] = params["type"]
        else:
            signature = check.operation(SCHEMA, kinds[params["object"]], params["operation"])
            check.arguments(SCHEMA, signature, params["operationParams"])
        results.append({"value": f"id{index}"})


def test_an_adjustment_makes_nothing_and_sets_what_may_change() -> None:
    state = StreamState(stream="ev1", role=StreamRole.ACQUIRER)
    parts = {"IngestEndpoint": "p/i", "RtpSender": "p/s"}
    info = StreamInfo(state=state, pipeline="p", parts=parts)
    spec = StreamSpec(
        stream="ev1", role=StreamRole.ACQUIRER, hops=SPEC.hops, key_hashes=SPEC.key_hashes
    )
    steps = roles.adjust(spec, info)
    assert {step.method for step in steps} == {"invoke"}
    said = {(s.params["object"], s.params["operation"]): s.params["operationParams"] for s in steps}
    assert said["p/s", "setHops"] == {"hops": [{"address": "127.0.3.1", "port": 5004}]}
    assert said["p/i", "setKeyHashes"] == {"keyHashes": ["ab" * 32]}
    assert said[roles.MANAGER, "getStreams"] == {"stream": "ev1"}


@pytest.mark.parametrize(
    ("key", "key_there", "is_set"),
    [(b"", "", False), (b"k" * 32, "", True), (b"", "9f", True), (b"k" * 32, "9f", True)],
)
def test_a_server_that_knows_no_srtp_is_not_asked_for_it(
    key: bytes, key_there: str, is_set: bool
) -> None:
    """One that started before an update refuses what it does not know."""
    spec = StreamSpec(stream="ev1", role=StreamRole.EDGE, srtp_key=key)
    state = StreamState(stream="ev1", role=StreamRole.EDGE, srtp_key_id=key_there)
    parts = {part: f"p/{part}" for part in roles.recipe_of(spec).parts}
    adjusted = roles.adjust(spec, StreamInfo(state=state, pipeline="p", parts=parts))
    assert [s.params["operation"] for s in adjusted].count("setSrtpKey") == 2 * is_set
    built = [
        cast(dict[str, object], s.params.get("constructorParams", {})) for s in roles.build(spec)
    ]
    assert sum("srtpKey" in given for given in built) == (2 if key else 0)


def test_a_stream_cut_short_is_not_whole() -> None:
    state = StreamState(stream="ev1", role=StreamRole.FORWARDER)
    whole = {"RtpReceiver": "p/r", "RtpSender": "p/s"}
    spec = StreamSpec(stream="ev1", role=StreamRole.FORWARDER)
    assert roles.is_whole(spec, StreamInfo(state=state, pipeline="p", parts=whole))
    cut = StreamInfo(state=state, pipeline="p", parts={"RtpReceiver": "p/r"})
    assert not roles.is_whole(spec, cut)


def test_an_edge_cuts_no_hls_of_vp8_and_is_whole_without() -> None:
    spec = StreamSpec(stream="ev1-vp8", role=StreamRole.EDGE, codec=VideoCodec.VP8)
    made: dict[object, Any] = {
        step.params["type"]: step.params["constructorParams"]
        for step in roles.build(spec)
        if step.method == "create"
    }
    assert list(made) == ["MediaPipeline", "RtpReceiver", "WhepEndpoint", "RtpSender"]
    assert made["WhepEndpoint"] == {"mediaPipeline": "newref:0", "codec": "VP8"}
    assert "codec" not in made["RtpReceiver"]
    state = StreamState(stream="ev1-vp8", role=StreamRole.EDGE)
    parts = {"RtpReceiver": "p/r", "WhepEndpoint": "p/w", "RtpSender": "p/s"}
    info = StreamInfo(state=state, pipeline="p", parts=parts)
    assert roles.is_whole(spec, info)
    assert not roles.is_whole(replace(spec, codec=VideoCodec.H264), info)


@pytest.mark.parametrize("role", [StreamRole.ACQUIRER, StreamRole.FORWARDER])
def test_who_only_passes_pictures_on_has_no_codec(role: StreamRole) -> None:
    with pytest.raises(roles.SpecInvalid, match="transcoder or an edge"):
        roles.check(StreamSpec(stream="ev1", role=role, codec=VideoCodec.VP8))
