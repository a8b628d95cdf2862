"""The table's elements as the server makes them: calls in, outcomes and events out."""

import asyncio
import inspect
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from umbel.kit.clock import SystemClock
from umbel.kit.errors import NotFound
from umbel.media import roles
from umbel.media.api import SCHEMA, check
from umbel.media.io.webrtc_port import WebRtcPort
from umbel.media.model import StreamRole, StreamSpec, Target
from umbel.media.rpc.sessions import Call, Delivery, Sessions
from umbel.media.server.dispatch import Dispatcher
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.pipeline import MediaPipeline
from umbel.media.server.elements.rtp import RtpReceiver
from umbel.media.server.manager import ServerManager
from umbel.media.server.registry import ELEMENTS, Registry, snake
from umbel.media.workers.pool import WorkerPool


@dataclass
class Bench:
    """A server without listeners, and a client that speaks its protocol in one breath."""

    sessions: Sessions
    registry: Registry
    dispatcher: Dispatcher
    events: list[dict] = field(default_factory=list)
    ids: itertools.count = field(default_factory=itertools.count)

    async def ask(self, method: str, **params: object) -> dict:
        body = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        heard = self.sessions.receive(1, json.dumps(body), 0)
        if isinstance(heard, Call):
            heard = self.sessions.finish(heard, await self.dispatcher.run(heard), 0)
        assert isinstance(heard, Delivery)
        return json.loads(heard.text)

    async def value(self, method: str, **params: object) -> Any:
        answer = await self.ask(method, **params)
        assert "error" not in answer, answer
        return answer["result"].get("value")

    async def fault(self, method: str, **params: object) -> int:
        return (await self.ask(method, **params))["error"]["code"]

    async def create(self, kind: str, **params: object) -> str:
        made = await self.value("create", type=kind, constructorParams=params)
        assert isinstance(made, str)
        return made

    async def invoke(self, target: str, operation: str, **params: object) -> Any:
        return await self.value(
            "invoke", object=target, operation=operation, operationParams=params
        )

    def listen(self, deliveries: list[Delivery]) -> None:
        for one in deliveries:
            self.events.append(json.loads(one.text)["params"]["value"])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = SystemClock()
    webrtc = await WebRtcPort.open("127.0.0.1", 0, clock=clock)
    host = ServerContext(
        function_id="edge-1",
        address="127.0.0.1",
        http_port=8080,
        workers=WorkerPool(clock),
        webrtc=webrtc,
        desk=None,
    )
    numbers = itertools.count()
    sessions = Sessions("edge-1", lambda: f"s{next(numbers)}")
    benches: list[Bench] = []

    def emit(object_id: str, event: str, data: Mapping[str, object]) -> None:
        benches[0].listen(sessions.event(object_id, event, data, wall_s=0))

    registry = Registry(host, emit)
    registry.add(ServerManager(host, registry, sessions.names, emit))
    benches.append(Bench(sessions, registry, Dispatcher(registry, sessions)))
    yield benches[0]
    await registry.close()
    await webrtc.close()


CLASSES: dict[str, type] = {
    "MediaPipeline": MediaPipeline,
    "ServerManager": ServerManager,
    **{name: made for name, made in ELEMENTS.items() if isinstance(made, type)},
}


@pytest.mark.parametrize("name", CLASSES)
def test_every_operation_of_the_table_is_a_method(name: str) -> None:
    for entry in SCHEMA.lineage(name):
        for operation in check.operations(entry):
            method = getattr(CLASSES[name], snake(operation.name))
            taken = list(inspect.signature(method).parameters.values())[1:]
            assert [p.name for p in taken] == [snake(p.name) for p in operation.params], name
            for given_, param in zip(operation.params, taken, strict=True):
                assert given_.optional == (param.default is not param.empty), (name, given_.name)


def test_every_type_that_can_be_made_has_a_class() -> None:
    assert set(CLASSES) - {"ServerManager"} == {e.name for e in SCHEMA.elements.values() if e.new}


async def test_ids_tell_what_is_in_what(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    sender = await bench.create("kurento.RtpSender", mediaPipeline=pipeline)
    assert pipeline.endswith("_kurento.MediaPipeline")
    assert sender.startswith(pipeline + "/")
    assert sender.endswith("_kurento.RtpSender")
    assert await bench.invoke(sender, "getMediaPipeline") == pipeline
    assert await bench.invoke(pipeline, "getChildren") == [sender]


async def test_what_a_plain_client_asks_first(bench: Bench) -> None:
    described = await bench.ask("describe", object=roles.MANAGER)
    assert described["result"]["qualifiedType"] == "kurento.ServerManager"
    assert described["result"]["hierarchy"] == ["kurento.MediaObject"]
    info = await bench.invoke(roles.MANAGER, "getInfo")
    assert isinstance(info, dict)
    assert {"core", "elements", "filters"} <= {module["name"] for module in info["modules"]}
    made = await bench.ask("create", type="MediaPipeline", properties={})
    assert set(made["result"]) == {"value", "sessionId"}


async def test_faults_have_kurentos_numbers(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    sender = await bench.create("RtpSender", mediaPipeline=pipeline)
    assert await bench.fault("create", type="Teapot") == 40100
    assert await bench.fault("create", type="MediaElement") == 40104
    assert await bench.fault("create", type="RtpSender") == 40107
    assert await bench.fault("describe", object="nothing") == 40101
    assert await bench.fault("invoke", object="nothing", operation="getName") == 40101
    assert await bench.fault("invoke", object=sender, operation="fly") == 40105
    assert await bench.fault("invoke", object=sender, operation="setHops") == 40107
    assert await bench.fault("subscribe", object=sender, type="Flew") == 40106
    wrong = {"object": sender, "operation": "connect", "operationParams": {"sink": pipeline}}
    assert await bench.fault("invoke", **wrong) == 40107
    tag = {"object": sender, "operation": "getTag", "operationParams": {"key": "x"}}
    assert await bench.fault("invoke", **tag) == 40110
    assert await bench.fault("create", type="WhepEndpoint", constructorParams={
        "mediaPipeline": pipeline
    }) == 40107  # fmt: skip


async def test_release_is_deep_and_forgiving(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    sender = await bench.create("RtpSender", mediaPipeline=pipeline)
    await bench.value("release", object=pipeline)
    await bench.value("release", object=pipeline)
    assert await bench.fault("describe", object=sender) == 40101


async def test_the_manager_cannot_be_released(bench: Bench) -> None:
    await bench.value("release", object=roles.MANAGER)
    assert await bench.invoke(roles.MANAGER, "getMetadata") == "edge-1"


async def test_tags_and_names(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    await bench.invoke(pipeline, "addTag", key="a", value="1")
    await bench.invoke(pipeline, "setName", name="main")
    assert await bench.invoke(pipeline, "getTags") == [{"key": "a", "value": "1"}]
    assert await bench.invoke(pipeline, "getName") == "main"
    await bench.invoke(pipeline, "removeTag", key="a")
    assert await bench.invoke(pipeline, "getTags") == []


async def test_connections_are_told_and_listed(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    receiver = await bench.create("RtpReceiver", mediaPipeline=pipeline)
    sender = await bench.create("RtpSender", mediaPipeline=pipeline)
    await bench.value("subscribe", object=receiver, type="ElementConnected")
    await bench.invoke(receiver, "connect", sink=sender)
    told = [(e["type"], e["data"]["sink"], e["data"]["mediaType"]) for e in bench.events]
    assert told == [("ElementConnected", sender, m) for m in ("AUDIO", "VIDEO", "DATA")]
    (connection,) = await bench.invoke(sender, "getSourceConnections", mediaType="VIDEO")
    assert connection == {"source": receiver, "sink": sender, "type": "VIDEO"}
    await bench.invoke(receiver, "disconnect", sink=sender)
    assert await bench.invoke(receiver, "getSinkConnections") == []
    backwards = {"object": sender, "operation": "connect", "operationParams": {"sink": receiver}}
    assert await bench.fault("invoke", **backwards) == 40111


async def test_a_sink_has_one_source_for_each_medium(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    first, second = [await bench.create("RtpReceiver", mediaPipeline=pipeline) for _ in range(2)]
    sender = await bench.create("RtpSender", mediaPipeline=pipeline)
    await bench.value("subscribe", object=first, type="ElementDisconnected")
    await bench.invoke(first, "connect", sink=sender)
    await bench.invoke(second, "connect", sink=sender, mediaType="VIDEO")
    assert [e["data"]["mediaType"] for e in bench.events] == ["VIDEO"]

    async def sources() -> dict[str, str]:
        found = await bench.invoke(sender, "getSourceConnections")
        return {one["type"]: one["source"] for one in found}

    assert await sources() == {"AUDIO": first, "VIDEO": second, "DATA": first}
    (video,) = await bench.invoke(second, "getSinkConnections")
    assert video == {"source": second, "sink": sender, "type": "VIDEO"}
    await bench.invoke(second, "connect", sink=sender)
    assert set((await sources()).values()) == {second}
    assert await bench.invoke(first, "getSinkConnections") == []
    await bench.invoke(first, "disconnect", sink=sender)
    assert set((await sources()).values()) == {second}
    await bench.value("release", object=second)
    assert await sources() == {}


async def test_elements_of_two_pipelines_do_not_meet(bench: Bench) -> None:
    first = await bench.create("MediaPipeline")
    second = await bench.create("MediaPipeline")
    receiver = await bench.create("RtpReceiver", mediaPipeline=first)
    sender = await bench.create("RtpSender", mediaPipeline=second)
    params = {"object": receiver, "operation": "connect", "operationParams": {"sink": sender}}
    assert await bench.fault("invoke", **params) == 40111


async def test_a_stream_has_one_pipeline(bench: Bench) -> None:
    first = await bench.create("MediaPipeline", stream="ev1", role="edge")
    again = {"type": "MediaPipeline", "constructorParams": {"stream": "ev1", "role": "edge"}}
    assert await bench.fault("create", **again) == 40108
    half = {"type": "MediaPipeline", "constructorParams": {"stream": "ev1"}}
    assert await bench.fault("create", **half) == 40107
    await bench.value("release", object=first)
    assert await bench.create("MediaPipeline", stream="ev1", role="edge") != first


async def test_a_part_of_a_pipeline_released_meanwhile_does_not_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await bench.create("MediaPipeline")
    opened, closed = asyncio.Event(), []

    async def slow(part: RtpReceiver) -> None:
        await opened.wait()

    async def close(part: RtpReceiver) -> None:
        closed.append(opened.is_set())

    monkeypatch.setattr(RtpReceiver, "open", slow)
    monkeypatch.setattr(RtpReceiver, "close", close)
    params = {"mediaPipeline": pipeline}
    making = asyncio.create_task(bench.registry.create("s", "RtpReceiver", params))
    await asyncio.sleep(0)
    await bench.registry.release(pipeline)
    opened.set()
    with pytest.raises(NotFound):
        await making
    assert closed == [False, True]


async def test_a_bad_hop_leaves_nothing_behind(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    hops = [{"address": "nowhere", "port": 5}]
    params = {"mediaPipeline": pipeline, "hops": hops}
    assert await bench.fault("create", type="RtpSender", constructorParams=params) == 40107
    assert await bench.invoke(pipeline, "getChildren") == []


async def test_only_an_acquirer_takes_encoders_in(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline", stream="ev1", role="acquirer")
    params = {"mediaPipeline": pipeline}
    assert await bench.fault("create", type="IngestEndpoint", constructorParams=params) == 40111


async def test_a_recipe_in_one_transaction(bench: Bench) -> None:
    hop = Target(address="127.0.0.9", port=5004)
    spec = StreamSpec(stream="ev1", role=StreamRole.EDGE, hops=(hop,))
    steps = [step.to_json(index) for index, step in enumerate(roles.build(spec))]
    responses = await bench.value("transaction", operations=steps)
    assert isinstance(responses, list)
    assert all("result" in response for response in responses), responses
    (info,) = responses[-1]["result"]["value"]
    assert info["stream"] == "ev1"
    assert info["port"] > 0
    assert info["hops"] == [{"address": "127.0.0.9", "port": 5004}]
    assert {url["protocol"] for url in info["urls"]} == {"whep", "hls", "hls_subtitled"}
    check.check_value(SCHEMA, "StreamInfo", info, "info")


async def test_an_edge_takes_captions_that_are_few_and_in_a_language(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline", stream="ev1", role="edge")
    edge = await bench.create("HlsEndpoint", mediaPipeline=pipeline)
    cue = {"number": 1, "text": "Hello", "startS": 1.5, "endS": 2.0}

    async def fault(language: str, cues: Sequence[object]) -> int:
        given = {"language": language, "cues": cues}
        return await bench.fault(
            "invoke", object=edge, operation="putCaptions", operationParams=given
        )

    assert await bench.invoke(edge, "putCaptions", language="en-US", cues=[cue] * 64) is None
    refused = await fault("en-US", [cue] * 65)
    for language, cues in (('en",URI="x', [cue]), ("", []), ("en", [{**cue, "startS": "x"}])):
        assert await fault(language, cues) == refused
    url = await bench.invoke(edge, "getSubtitledUrl")
    assert url.endswith("/hls/ev1/subtitled.m3u8")


async def test_a_transaction_stops_at_the_first_failure(bench: Bench) -> None:
    steps = [
        {"id": 0, "method": "create", "params": {"type": "MediaPipeline"}},
        {"id": 1, "method": "describe", "params": {"object": "newref:2"}},
        {"id": 2, "method": "create", "params": {"type": "MediaPipeline"}},
    ]
    responses = await bench.value("transaction", operations=steps)
    assert isinstance(responses, list)
    assert [("result" in r, r["id"]) for r in responses] == [(True, 0), (False, 1)]
    assert responses[1]["error"]["code"] == 40008
    assert await bench.fault("transaction", operations=[{"id": 4}]) == 40008


async def test_streams_outlive_the_session_that_made_them(bench: Bench) -> None:
    await bench.create("MediaPipeline", stream="ev1", role="edge")
    plain = await bench.create("MediaPipeline")
    await bench.ask("closeSession")
    assert await bench.fault("describe", object=plain) == 40101
    streams = await bench.invoke(roles.MANAGER, "getStreams")
    assert isinstance(streams, list)
    assert [info["stream"] for info in streams] == ["ev1"]


async def test_a_crash_in_an_element_is_an_answer(bench: Bench) -> None:
    pipeline = await bench.create("MediaPipeline")
    sender = await bench.create("RtpSender", mediaPipeline=pipeline)
    bench.registry.get(sender).get_tags = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    assert await bench.fault("invoke", object=sender, operation="getTags") == -32603
    assert await bench.invoke(sender, "getHops") == []
