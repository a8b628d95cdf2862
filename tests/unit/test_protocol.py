"""The media protocol on the server's side: texts in, calls and texts out."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import documents
from umbel.kit.errors import Conflict, Exhausted, NotFound, UmbelError, Unavailable
from umbel.media.rpc import envelope, faults, transaction
from umbel.media.rpc.faults import TransactionMalformed
from umbel.media.rpc.requester import Notification, Requester
from umbel.media.rpc.sessions import Call, Delivery, Sessions


def sessions() -> Sessions:
    numbers = itertools.count(1)
    return Sessions("server", lambda: f"uuid-{next(numbers)}")


def text(method: str, params: object = None, id_: object = 0) -> str:
    body: dict[str, object] = {"jsonrpc": "2.0", "method": method, "id": id_}
    return json.dumps(body if params is None else {**body, "params": params})


def ask(server: Sessions, method: str, params: object = None, id_: object = 0, **at: int) -> dict:
    """The answer to a request that is answered at once."""
    outcome = server.receive(at.get("link", 1), text(method, params, id_), at.get("now_s", 0))
    assert isinstance(outcome, Delivery)
    return json.loads(outcome.text)


def call(server: Sessions, method: str, params: object, id_: object = 0, **at: int) -> Call:
    outcome = server.receive(at.get("link", 1), text(method, params, id_), at.get("now_s", 0))
    assert isinstance(outcome, Call)
    return outcome


def test_ping_needs_no_session_and_no_params() -> None:
    assert ask(sessions(), "ping", {"interval": 5000}) == {
        "id": 0,
        "jsonrpc": "2.0",
        "result": {"value": "pong"},
    }
    assert ask(sessions(), "ping")["result"] == {"value": "pong"}


def test_ping_tells_the_session_once_there_is_one() -> None:
    server = sessions()
    ask(server, "connect", {})
    assert ask(server, "ping", {}, 1)["result"] == {"value": "pong", "sessionId": "uuid-1"}


def test_connect_gives_a_session_that_can_be_taken_up_again() -> None:
    server = sessions()
    assert ask(server, "connect")["result"] == {"serverId": "server", "sessionId": "uuid-1"}
    server.lost(1, 0)
    again = ask(server, "connect", {"sessionId": "uuid-1"}, 1, link=2)
    assert again["result"]["sessionId"] == "uuid-1"
    unknown = ask(server, "connect", {"sessionId": "other"}, 2, link=2)
    assert unknown["error"]["code"] == 40007
    assert unknown["error"]["data"]["type"] == "INVALID_SESSION"


def test_requests_without_a_session_share_their_links() -> None:
    server = sessions()
    first = call(server, "create", {"type": "MediaPipeline"})
    second = call(server, "create", {"type": "MediaPipeline"}, 1)
    other = call(server, "create", {"type": "MediaPipeline"}, 2, link=2)
    assert first.session == second.session == "uuid-1"
    assert other.session == "uuid-2"


def test_an_answer_carries_the_session() -> None:
    server = sessions()
    made = call(server, "create", {"type": "MediaPipeline"}, "x")
    answer = server.finish(made, {"value": "p1"}, 0)
    assert answer is not None
    assert json.loads(answer.text) == {
        "id": "x",
        "jsonrpc": "2.0",
        "result": {"value": "p1", "sessionId": "uuid-1"},
    }


def test_a_repeated_request_gets_the_same_answer_and_is_not_run_again() -> None:
    server = sessions()
    made = call(server, "create", {"type": "X", "sessionId": "s"})
    assert server.receive(1, text("create", {"type": "X", "sessionId": "s"}), 0) is None
    first = server.finish(made, {"value": "p1"}, 0)
    assert first is not None
    again = server.receive(2, text("create", {"type": "X", "sessionId": "s"}), 19)
    assert again == Delivery(link=2, text=first.text)
    assert isinstance(server.receive(1, text("create", {"type": "X", "sessionId": "s"}), 21), Call)


def test_errors_are_remembered_too() -> None:
    server = sessions()
    failed = call(server, "invoke", {"object": "x", "operation": "y", "sessionId": "s"})
    first = server.finish(failed, NotFound("gone"), 0)
    again = server.receive(
        1, text("invoke", {"object": "x", "operation": "y", "sessionId": "s"}), 1
    )
    assert first is not None
    assert again == first
    assert json.loads(first.text)["error"]["code"] == 40101


def test_an_answer_follows_its_session_to_a_new_link() -> None:
    server = sessions()
    slow = call(server, "create", {"type": "X", "sessionId": "s"})
    server.lost(1, 0)
    ask(server, "connect", {"sessionId": "s"}, 7, link=2)
    answer = server.finish(slow, {"value": 1}, 0)
    assert answer is not None
    assert answer.link == 2


def test_a_notification_is_run_but_not_answered() -> None:
    server = sessions()
    body = {"jsonrpc": "2.0", "method": "release", "params": {"object": "x"}}
    released = server.receive(1, json.dumps(body), 0)
    assert isinstance(released, Call)
    assert server.finish(released, {}, 0) is None


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ("{", -32700),
        ("[" * 100_000, -32700),
        ('{"jsonrpc":"2.0","method":"ping","id":NaN}', -32700),
        ("[]", -32600),
        (json.dumps([{"jsonrpc": "2.0", "method": "ping", "id": 1}]), -32600),
        ("3", -32600),
        ('{"method":"ping","id":1}', -32600),
        ('{"jsonrpc":"1.0","method":"ping","id":1}', -32600),
        ('{"jsonrpc":"2.0","id":1}', -32600),
        ('{"jsonrpc":"2.0","method":"ping","id":[1]}', -32600),
        ('{"jsonrpc":"2.0","method":"ping","id":{}}', -32600),
        ('{"jsonrpc":"2.0","method":"ping","id":1e999}', -32600),
        ('{"jsonrpc":"2.0","method":"fly","id":1}', -32601),
        ('{"jsonrpc":"2.0","method":"create","id":1}', -32602),
        ('{"jsonrpc":"2.0","method":"create","params":[],"id":1}', -32602),
        ('{"jsonrpc":"2.0","method":"create","params":{"type":3},"id":1}', -32602),
        ('{"jsonrpc":"2.0","method":"create","params":{"type":"X","sessionId":3},"id":1}', -32602),
        ('{"jsonrpc":"2.0","method":"keepAlive","params":{"sessionId":"x"},"id":1}', 40007),
        ('{"jsonrpc":"2.0","method":"closeSession","params":{},"id":1}', 40007),
    ],
)
def test_what_is_not_a_good_request_is_refused_by_number(body: str, number: int) -> None:
    outcome = sessions().receive(1, body, 0)
    assert isinstance(outcome, Delivery)
    assert json.loads(outcome.text)["error"]["code"] == number


def test_an_unreadable_id_is_answered_with_null() -> None:
    outcome = sessions().receive(1, '{"jsonrpc":"2.0","method":"ping","id":[1]}', 0)
    assert isinstance(outcome, Delivery)
    assert json.loads(outcome.text)["id"] is None


def test_two_subscriptions_deliver_one_event_until_the_last_is_gone() -> None:
    server = sessions()
    session = call(server, "create", {"type": "X"}).session
    first = server.subscribe(session, "o", "Went")
    second = server.subscribe(session, "o", "Went")
    (told,) = server.event("o", "Went", {"why": "bored"}, wall_s=1.5)
    value = json.loads(told.text)["params"]["value"]
    assert told.link == 1
    assert value["object"] == "o"
    assert value["data"] == {
        "source": "o",
        "type": "Went",
        "timestampMillis": "1500",
        "tags": [],
        "why": "bored",
    }
    server.subscriptions.remove(first, session)
    assert len(server.event("o", "Went", {}, wall_s=2)) == 1
    server.subscriptions.remove(second, "another")
    assert len(server.event("o", "Went", {}, wall_s=2)) == 1
    server.subscriptions.remove(second, session)
    assert server.event("o", "Went", {}, wall_s=2) == []


def test_subscriptions_end_with_their_object_and_its_children() -> None:
    server = sessions()
    session = call(server, "create", {"type": "X"}).session
    server.subscribe(session, "p", "Went")
    server.subscribe(session, "p/c", "Went")
    server.subscribe(session, "p2", "Went")
    server.subscriptions.drop_object("p")
    assert server.event("p", "Went", {}, wall_s=0) == []
    assert server.event("p/c", "Went", {}, wall_s=0) == []
    assert len(server.event("p2", "Went", {}, wall_s=0)) == 1


def test_close_session_is_answered_and_forgets_everything() -> None:
    server = sessions()
    made = call(server, "create", {"type": "X"})
    server.subscribe(made.session, "o", "Went")
    closing = call(server, "closeSession", {}, 5)
    answer = server.finish(closing, {}, 0)
    assert answer is not None
    assert json.loads(answer.text)["result"] == {}
    assert server.names() == []
    assert server.event("o", "Went", {}, wall_s=0) == []


def test_a_session_without_a_link_is_forgotten_after_minutes() -> None:
    server = sessions()
    ask(server, "connect")
    server.lost(1, 10)
    ask(server, "ping", link=2, now_s=240)
    assert server.names() == ["uuid-1"]
    ask(server, "ping", link=2, now_s=251)
    assert server.names() == []


@given(st.one_of(st.binary(), st.text()))
def test_any_text_is_survived(garbage: str | bytes) -> None:
    outcome = sessions().receive(1, garbage, 0)
    assert isinstance(outcome, Delivery)
    assert json.loads(outcome.text)["error"]["code"] < 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_FIELD = st.sampled_from(["jsonrpc", "id", "method", "params"])
_METHOD = st.sampled_from(["ping", "connect", "create", "invoke", "closeSession", "transaction"])
_NAME = st.sampled_from(["object", "operation", "type", "sessionId", "operations"])


@given(_METHOD, st.dictionaries(_NAME, _JSON), st.dictionaries(_FIELD, _JSON, max_size=2))
def test_a_mutated_request_is_survived(method: str, params: object, changed: object) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | dict(changed)  # type: ignore[call-overload]
    server = sessions()
    outcome = server.receive(1, json.dumps(body), 0)
    if isinstance(outcome, Call):
        answer = server.finish(outcome, {"value": None}, 0)
        assert answer is not None or not outcome.wants_answer
    else:
        assert isinstance(outcome, Delivery)
        assert "jsonrpc" in json.loads(outcome.text)


def test_operations_refer_to_earlier_results() -> None:
    listed = [
        {"id": 0, "jsonrpc": "2.0", "method": "create", "params": {"type": "MediaPipeline"}},
        {"id": 1, "jsonrpc": "2.0", "method": "create", "params": {"a": ["newref:0", {"b": "x"}]}},
    ]
    steps = transaction.parse_operations(listed)
    assert [step.to_json(index) for index, step in enumerate(steps)] == listed
    assert transaction.resolve(steps[1].params, [{"value": "p1"}]) == {"a": ["p1", {"b": "x"}]}


@pytest.mark.parametrize("text", ["newref:1", "newref:", "newref:x", "newref:-1", "newref:²"])
def test_a_reference_to_a_later_operation_is_malformed(text: str) -> None:
    with pytest.raises(TransactionMalformed):
        transaction.resolve(text, [{"value": 1}])


@pytest.mark.parametrize(
    "operations",
    [
        None,
        {},
        ["x"],
        [{"id": 1, "method": "create", "params": {}}],
        [{"id": False, "method": "create", "params": {}}],
        [{"id": 0, "method": "transaction", "params": {}}],
        [{"id": 0, "method": "create", "params": []}],
        [{"id": 0, "method": ["create"], "params": {}}],
    ],
)
def test_a_malformed_transaction_is_refused(operations: object) -> None:
    with pytest.raises(TransactionMalformed):
        transaction.parse_operations(operations)


TRANSACTED = ["create", "invoke", "release", "describe", "subscribe", "unsubscribe"]
OPERATIONS = [
    {"id": 0, "method": "create", "params": {"type": "A"}},
    {"id": 1, "method": "invoke", "params": {}},
]


@given(_JSON | documents.damaged(OPERATIONS, _JSON))
@example([{"id": 0, "method": "create"}])
@example([OPERATIONS[1]])
def test_any_operations_are_what_they_say_or_refused(operations: Any) -> None:
    if isinstance(operations, list) and all(
        isinstance(entry, dict)
        and (type(entry.get("id")), entry.get("id")) in ((int, index), (float, index))
        and entry.get("method") in TRANSACTED
        and isinstance(entry.get("params", {}), dict)
        for index, entry in enumerate(operations)
    ):
        assert transaction.parse_operations(operations) == tuple(
            transaction.Operation(method=entry["method"], params=entry.get("params", {}))
            for entry in operations
        )
        return
    with pytest.raises(TransactionMalformed):
        transaction.parse_operations(operations)


class StreamKeyOdd(Conflict):
    code = "umbel.stream_key_odd"


@pytest.mark.parametrize("kind", [NotFound, StreamKeyOdd, Exhausted, Unavailable])
def test_an_error_means_the_same_on_the_other_side(kind: type[UmbelError]) -> None:
    answer = envelope.response_text(3, kind("because", port=3))
    message = envelope.parse_message(answer)
    assert isinstance(message, envelope.Response)
    assert isinstance(message.error, Conflict if kind is StreamKeyOdd else kind)
    assert message.error.http_status == kind.http_status
    assert (message.error.code, message.error.message) == (kind.code, "because")
    assert message.error.details == {"port": 3}


def test_every_fault_has_a_number() -> None:
    for fault in faults.Fault.__subclasses__():
        assert faults.to_json(fault())["code"] == faults.NUMBERS[fault.type]


def test_the_requester_numbers_its_requests_and_keeps_its_session() -> None:
    client, server = Requester(), sessions()
    id_, first = client.request("connect", {})
    answered = server.receive(1, first, 0)
    assert isinstance(answered, Delivery)
    response = client.receive(answered.text)
    assert isinstance(response, envelope.Response)
    assert response.id == id_
    _, second = client.request("invoke", {"object": "o", "operation": "f"})
    assert json.loads(second)["params"]["sessionId"] == "uuid-1"
    assert json.loads(second)["id"] != id_


def test_the_requester_reads_events() -> None:
    server = sessions()
    made = call(server, "create", {"type": "X"})
    server.subscribe(made.session, "o", "Went")
    (told,) = server.event("o", "Went", {"why": "x"}, wall_s=0)
    event = Requester().receive(told.text)
    assert isinstance(event, Notification)
    assert (event.source, event.type, event.data["why"]) == ("o", "Went", "x")


@given(st.one_of(st.binary(), st.text(), _JSON.map(json.dumps)))
@example('{"jsonrpc": "2.0", "id": 7, "result": {"sessionId": "s", "value": 1}}')
def test_the_requester_reads_from_any_text_what_it_says(garbage: str | bytes) -> None:
    found = Requester().receive(garbage)
    if found is not None:
        said = json.loads(garbage)
        assert found == Requester().receive(json.dumps(said))
        assert said["jsonrpc"] == "2.0"
        assert said["id"] == found.id if isinstance(found, envelope.Response) else said["params"]
