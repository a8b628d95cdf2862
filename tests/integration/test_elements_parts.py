"""Parts of the elements' server: any operation is answered, flows, fans, peers, the door."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from support.clocks import SetClock
from support.examples import examples
from umbel.kit import tokens
from umbel.kit.clock import SystemClock
from umbel.kit.errors import UmbelError
from umbel.kit.tokens import (
    Claims,
    Signer,
    TokenExpired,
    TokenForeign,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)
from umbel.media import roles
from umbel.media.api import SCHEMA, check
from umbel.media.io.webrtc_port import UnknownResource, WebRtcPort
from umbel.media.model import MOST_REVOKED
from umbel.media.ports import Packets
from umbel.media.rpc.sessions import Call, Sessions
from umbel.media.server.dispatch import Dispatcher
from umbel.media.server.elements.context import ServerContext
from umbel.media.server.elements.fan import Fan, Guard
from umbel.media.server.elements.flow import Count, Flow
from umbel.media.server.elements.peers import Peers, TagStale
from umbel.media.server.elements.revoked import RevokedSessions
from umbel.media.server.manager import ServerManager
from umbel.media.server.registry import Registry
from umbel.media.server.viewer_tokens import ViewerTokens
from umbel.media.workers.pool import WorkerPool

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_OPERATIONS = sorted({o.name for e in SCHEMA.elements.values() for o in check.operations(e)})
_SLOW = {"getUsedCpu"}


@examples(200)
@given(
    kind=st.sampled_from(["ServerManager", "MediaPipeline", "RtpSender", "RtpReceiver"]),
    operation=st.sampled_from([name for name in _OPERATIONS if name not in _SLOW]),
    params=st.dictionaries(
        st.sampled_from(["key", "value", "sink", "hops", "mediaType", "stream", "name"]), _JSON
    ),
)
def test_any_operation_is_answered(kind: str, operation: str, params: dict) -> None:
    async def once() -> None:
        clock = SystemClock()
        webrtc = await WebRtcPort.open("127.0.0.1", 0, clock=clock)
        host = ServerContext(
            function_id="f",
            address="127.0.0.1",
            http_port=1,
            workers=WorkerPool(clock),
            webrtc=webrtc,
            desk=None,
        )
        sessions = Sessions("f", lambda: "s")
        registry = Registry(host, lambda *_: None)
        registry.add(ServerManager(host, registry, sessions.names, lambda *_: None))
        pipeline = await registry.create("s", "MediaPipeline", {})
        ids = {"ServerManager": roles.MANAGER, "MediaPipeline": pipeline.id}
        for name in ("RtpSender", "RtpReceiver"):
            made = await registry.create("s", name, {"mediaPipeline": pipeline.id})
            ids[name] = made.id
        body = {"object": ids[kind], "operation": operation, "operationParams": params}
        outcome = await Dispatcher(registry, sessions).run(
            Call(session="s", method="invoke", params=body)
        )
        await registry.close()
        await webrtc.close()
        refusal = refused(kind, operation, params)
        if isinstance(outcome, UmbelError):
            assert outcome.code == refusal or (
                not refusal and outcome.code != "umbel.media_crashed"
            )
        else:
            assert not refusal
            assert isinstance(outcome, dict)

    asyncio.run(once())


def refused(kind: str, operation: str, params: dict) -> str:
    """The code with which the schema refuses the call; empty where it allows it."""
    try:
        check.arguments(SCHEMA, check.operation(SCHEMA, kind, operation), params)
    except UmbelError as error:
        return error.code
    return ""


def test_a_flow_has_a_rate_and_an_end() -> None:
    flow = Flow()
    for step in range(7):
        flow.sample(Count(packets=10 * step, bytes=125_000 * step), step * 0.5)
    assert flow.mbps() == pytest.approx(2.0)
    assert flow.is_flowing(4.9)
    for step in range(7, 14):
        flow.sample(Count(packets=60, bytes=750_000), step * 0.5)
    assert flow.mbps() == 0
    assert not flow.is_flowing(6.5)


class Collector:
    def __init__(self, fails: bool = False) -> None:
        self.got: list[bytes] = []
        self.fails = fails

    def packets(self, batch: Packets, now_s: float) -> None:
        self.got.extend(batch)
        if self.fails:
            raise ZeroDivisionError


def test_a_fan_gives_to_each_once_and_a_guard_holds_failures_in() -> None:
    fan, good, bad = Fan(), Collector(), Collector(fails=True)
    guard = Guard(bad, "bad one")
    for sink in (guard, guard, good, good):
        fan.attach(sink)
    with capture_logs() as logged:
        for _ in range(3):
            fan.packets([b"ab", b"c"], 0)
        fan.detach(good)
        fan.packets([b"d"], 0)
    assert good.got == [b"ab", b"c"] * 3
    assert bad.got == [*good.got, b"d"]
    assert (fan.packets_seen, fan.bytes_seen) == (7, 10)
    assert guard.failures == 4
    assert [entry["event"] for entry in logged] == ["element failed"]


def test_peers_keep_count_and_tags() -> None:
    counts: dict[str, Count] = {}
    peers = Peers(lambda: counts)
    peers.add("r1", "s1")
    peers.add("r2", "s1")
    counts["r1"] = Count(packets=2, bytes=20)
    assert peers.count() == Count(packets=2, bytes=20)
    assert peers.sessions() == ("s1",)
    before = peers.tag("r1")
    peers.check_tag("r1", before)
    peers.check_tag("r1", None)
    peers.restarted("r1")
    with pytest.raises(TagStale):
        peers.check_tag("r1", before)
    peers.remove("r1")
    del counts["r1"]
    assert peers.count() == Count(packets=2, bytes=20)
    with pytest.raises(UnknownResource):
        peers.owner("r1")


class Counting(frozenset[str]):
    """Sessions that count how often they are looked through, and how often one is looked up."""

    lookups = 0

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("there may be thousands")

    def __contains__(self, session: object) -> bool:
        self.lookups += 1
        return super().__contains__(session)


def test_peers_of_many_sessions_are_found_by_one_look_at_the_peers() -> None:
    peers = Peers(dict)
    for number in range(3):
        peers.add(f"r{number}", f"s{number}")
    revoked = Counting(f"s{number}" for number in range(1, 20_000))
    assert peers.of(revoked) == ["r1", "r2"]
    assert revoked.lookups == 3


def test_the_door_knows_a_token_until_it_ends() -> None:
    signer, clock = Signer(tokens.new_private_key()), SetClock(1000.0)
    door = ViewerTokens(tokens.Verifier(signer.public_key), clock)
    claims = Claims(subject="s1", scope="ev1", expires_s=1010)
    token = signer.sign(claims, tokens.VIEWER)
    for _ in range(2):
        assert door.session(token, "ev1") == "s1"
        with pytest.raises(TokenForeign):
            door.session(token, "ev2")
    with pytest.raises(TokenMissing):
        door.session("", "ev1")
    with pytest.raises(TokenInvalid):
        door.session(token[:-8] + "AAAAAAAA", "ev1")
    with pytest.raises(TokenForeign):
        door.session(signer.sign(claims, tokens.USER), "ev1")
    clock.at_s = 1010
    for _ in range(2):
        with pytest.raises(TokenExpired):
            door.session(token, "ev1")


def test_a_revoked_session_is_refused_until_its_token_ends_and_the_list_is_bounded() -> None:
    revoked = RevokedSessions()
    revoked.add({"s1": 1010, "s2": 990}, 1000)
    revoked.check("s2")
    with pytest.raises(TokenRevoked):
        revoked.check("s1")
    revoked.add({"s3": 2000}, 1010)
    revoked.check("s1")
    revoked.add({f"t{n}": 2000 for n in range(MOST_REVOKED)}, 1010)
    revoked.check("s3")
    with pytest.raises(TokenRevoked):
        revoked.check("t0")
