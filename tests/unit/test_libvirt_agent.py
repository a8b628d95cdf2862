"""What a guest's agent says is the guest's own: whatever it is, reading it fails for nobody."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.drivers.libvirt import agent

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
DEEP = "[" * 100_000


@given(said=st.text(max_size=200) | values.map(json.dumps))
def test_whatever_an_agent_answers_is_read(said: str) -> None:
    assert isinstance(agent.content(agent.returned(said)), str)
    agent.ports(said)


@given(value=values)
def test_whatever_a_command_returns_is_read(value: object) -> None:
    returned = agent.returned(json.dumps({"return": {"buf-b64": value}}))
    assert isinstance(agent.content(returned), str)
    found = agent.ports(json.dumps({"ports": value}))
    assert found is None or found == value


@pytest.mark.parametrize("said", ["", "x", "[]", '"return"', DEEP, '{"return":' + DEEP])
def test_what_is_no_answer_returns_nothing(said: str) -> None:
    assert agent.returned(said) is None
    assert agent.ports(said) is None


@given(text=st.text(max_size=300))
def test_a_file_is_read_as_it_is(text: str) -> None:
    coded = base64.b64encode(text.encode()).decode()
    said = json.dumps({"return": {"count": len(text), "buf-b64": coded, "eof": True}})
    assert agent.content(agent.returned(said)) == text


@pytest.mark.parametrize("coded", ["a", "é", 7, None, ["YQ=="]])
def test_what_is_no_base64_is_no_text(coded: object) -> None:
    assert agent.content({"buf-b64": coded}) == ""


def test_a_reason_is_short() -> None:
    assert agent.reason(" ended with status 2\n") == "ended with status 2"
    assert len(agent.reason("x" * agent.MOST_BYTES)) == 200


@pytest.mark.parametrize("port", [0, -1, 65536, True, 1.5, "80", None, [80]])
def test_only_ports_are_ports(port: object) -> None:
    assert agent.ports(json.dumps({"ports": {"udp": 5004, "control": 20000}})) == {
        "udp": 5004,
        "control": 20000,
    }
    assert agent.ports(json.dumps({"ports": {"udp": 5004, "control": port}})) is None


def test_ports_are_few_and_have_short_names() -> None:
    assert agent.ports(json.dumps({"ports": {str(number): 1 for number in range(65)}})) is None
    assert agent.ports(json.dumps({"ports": {"x" * 65: 1}})) is None
