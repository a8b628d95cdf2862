"""What a machine's session may say, and what becomes of it."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    HealthCheck,
    HostUsage,
    Instance,
    Node,
    NodeKind,
    Port,
    PowerDraw,
    Readiness,
    Reservation,
    Resources,
    Transport,
)
from umbel.compute.ports import CannotRun, FunctionTaken, MachineFull
from umbel.compute.remote.messages import (
    Answer,
    BadMessage,
    Call,
    Changed,
    Done,
    Failed,
    Measure,
    Measured,
    Running,
    Seen,
    Start,
    Stop,
    error_of,
    failure,
    parse_answer,
    parse_call,
    serialize,
)
from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, UmbelError, Unavailable

NODE = Node(
    name="town",
    kind=NodeKind.PROVIDER_EDGE,
    address="192.0.2.11",
    prefixes=("198.51.100.0/24",),
    ports=(20000, 20999),
    watts=PowerDraw(idle=10, busy=20),
)
FUNCTION = Function(
    id="edge-town-1",
    node="town",
    description=Description(
        name="edge",
        command=("python", "-m", "umbel.media", "{ports[udp]}"),
        resources=Resources(cores=0.5, memory_mb=100, mbps=10),
        reservation=Reservation.UNTIL_MEASURED,
        ports=(Port(name="control"), Port(name="udp", transport=Transport.UDP)),
        readiness=Readiness.REPORTED,
        health=HealthCheck(port="control", path="/healthz"),
    ),
    environment={"UMBEL_MEDIA_SECRET": 'sécret "1"\n'},
)
INSTANCE = Instance(
    id="edge-town-1",
    owner="delivery",
    description="edge",
    node="town",
    state=FunctionState.ACTIVE,
    address="192.0.2.11",
    ports={"control": 1234},
    cpu_cores=0.25,
)
CALLS: list[Call] = [
    Start(id=1, owner="delivery", function=FUNCTION, node=NODE),
    Stop(id=2, function_id="edge-town-1"),
    Running(id=3),
    Measure(id=4, nodes=(NODE, replace(NODE, watts=None, ports=None))),
]
ANSWERS: list[Answer] = [
    Done(id=1),
    Seen(id=2, instances={INSTANCE.id: INSTANCE}),
    Measured(id=3, usage={"town": HostUsage(host="town", cores=4, memory_mb=4096)}),
    Failed(id=4, kind="Conflict", code="umbel.function_taken", message="no", details={"a": "b"}),
    Changed(function_id="edge-town-1"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda one: type(one).__name__)
def test_a_call_comes_out_as_it_went_in(call: Call) -> None:
    line = serialize(call)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_call(line) == call


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: type(one).__name__)
def test_an_answer_comes_out_as_it_went_in(answer: Answer) -> None:
    line = serialize(answer)
    assert line.count(b"\n") == 1
    assert parse_answer(line) == answer


def test_a_secret_is_in_no_words_about_a_call() -> None:
    assert "sécret" not in repr(CALLS[0])


ERRORS = [
    FunctionTaken(function="edge-1", owner="mano"),
    CannotRun("no command"),
    MachineFull("no disk"),
    NotFound("a"),
    Conflict("b"),
    Invalid("c"),
    Exhausted("d"),
    Unavailable("e"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: one.code)
def test_an_error_is_the_same_at_the_other_end(error: UmbelError) -> None:
    failed = failure(7, error)
    assert parse_answer(serialize(failed)) == failed
    again = error_of(failed)
    assert (type(again), again.message, again.details) == (
        type(error),
        error.message,
        error.details,
    )


WHOLE = [*map(serialize, CALLS), *map(serialize, ANSWERS)]


@given(st.sampled_from(WHOLE), st.integers(0, 2000), st.binary(max_size=20))
@example(b"", 0, b"[" * 20)
@example(b"{}", 0, b"")
@example(b'{"answer":"failed","id":1,"kind":"Exit","code":"","message":""}', 0, b"")
def test_any_bytes_are_a_message_or_refused(line: bytes, at: int, noise: bytes) -> None:
    """What is read can be written and read again as the same."""
    damaged = line[:at] + noise + line[at + len(noise) :]
    for parse in (parse_call, parse_answer):
        try:
            message = parse(damaged)
        except BadMessage as error:
            assert len(error.message) < 250
            continue
        assert parse(serialize(message)) == message
