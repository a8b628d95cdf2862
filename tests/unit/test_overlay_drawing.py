"""Drawings of any kind are read, or refused with each of their problems by name."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from umbel.network.model import Link, Pair, Topology, pair
from umbel.network.overlay import drawing as drawings
from umbel.network.overlay import spanning
from umbel.network.overlay.spanning import Drawing, InvalidDrawing, Role
from umbel.portal.api.network_shapes import TopologyIn

NAMES = ("a", "b", "c", "d", "e")
TOPOLOGY = Topology(
    nodes=NAMES,
    links=tuple(
        Link(a=a, b=b, mbps=100.0) for a, b in zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True)
    ),
)
JOINED = frozenset(pair(link.a, link.b) for link in TOPOLOGY.links)
DRAWN = {
    "nodes": [
        {"name": "a", "role": "root"},
        {"name": "b", "role": "relay"},
        {"name": "c", "role": "leaf"},
        {"name": "d"},
    ],
    "links": [{"a": "a", "b": "b"}, {"a": "b", "b": "c"}, {"a": "c", "b": "d"}],
}

anyone = st.sampled_from((*NAMES, "moon"))
nodes_ = st.lists(st.tuples(anyone, st.sampled_from(Role)), max_size=7)
links_ = st.lists(st.tuples(anyone, anyone), max_size=9)


def wrong(nodes: list[tuple[str, Role]], links: list[Pair]) -> set[str]:
    """What each problem has to begin with, found one by one."""
    roles = dict(nodes)
    roots = [name for name, role in roles.items() if role is Role.ROOT]
    drawn = [pair(*link) for link in links]
    found = {f"node {name}: drawn" for name in roles if [n for n, _ in nodes].count(name) > 1}
    found |= {f"node {name}: the network has no such node" for name in roles if name == "moon"}
    found |= {f"node {name}: a second root" for name in roots[1:]}
    found |= {f"link {a}-{b}: " for a, b in links if a == b or not {a, b} <= roles.keys()}
    found |= {f"link {a}-{b}: drawn" for a, b in links if a != b and drawn.count(pair(a, b)) > 1}
    known = roles.keys() & set(NAMES)
    found |= {f"link {a}-{b}: the network" for a, b in drawn if {a, b} <= known and a != b}
    found -= {f"link {a}-{b}: the network" for a, b in JOINED}
    if not roots:
        return found | {"no node is the root"}
    reached = {roots[0]}
    for _ in roles:
        reached |= {n for link in drawn if set(link) & reached for n in link if n in roles}
    lost = {name for name, role in roles.items() if role is Role.LEAF} - reached
    return found | {f"leaf {name}: no links lead to it" for name in lost}


@given(nodes_, links_)
def test_a_drawing_is_read_or_refused_with_every_problem(
    nodes: list[tuple[str, Role]], links: list[Pair]
) -> None:
    expected = wrong(nodes, links)
    try:
        drawing = drawings.read(nodes, links, TOPOLOGY)
    except InvalidDrawing as error:
        told = error.details["problems"]
        assert isinstance(told, list)
        for start in expected:
            alike = (start, _turned(start))
            assert any(problem.startswith(alike) for problem in told), (start, told)
        for problem in told:
            starts = {one for start in expected for one in (start, _turned(start))}
            assert problem.startswith(tuple(starts)), (problem, expected)
        assert len(told) == len(set(told))
        return
    assert expected == set()
    tree = spanning.span(drawing)
    leaves = {name for name, role in nodes if role is Role.LEAF}
    assert leaves <= set(tree.nodes)
    assert {pair(*link) for link in (*tree.links, *tree.redundant)} <= JOINED


def _turned(start: str) -> str:
    """The same of a link whose ends are told the other way round."""
    word, _, rest = start.partition(" ")
    ends, colon, more = rest.partition(":")
    return f"{word} {'-'.join(reversed(ends.split('-')))}{colon}{more}" if word == "link" else start


def read(raw: bytes) -> None:
    """A request's body as REST reads it; what cannot be a drawing is refused by our errors."""
    try:
        given_ = TopologyIn.model_validate_json(raw)
    except ValidationError:
        return
    try:
        drawings.read(
            [(node.name, node.role) for node in given_.nodes],
            [(link.a, link.b) for link in given_.links],
            TOPOLOGY,
        )
    except InvalidDrawing as error:
        assert error.details["problems"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_drawing_or_refused(raw: bytes) -> None:
    read(raw)


@given(st.data())
def test_a_damaged_drawing_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(DRAWN).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        raw = raw or bytearray(b"{")
    read(bytes(raw))


json_ = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | anyone,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(st.sampled_from(("nodes", "links")), st.integers(0, 2), json_)
def test_a_drawing_with_anything_in_a_place_is_read_or_refused(
    where: str, index: int, what: object
) -> None:
    changed: dict[str, list[Any]] = {key: list(items) for key, items in DRAWN.items()}
    changed[where][index] = what
    read(json.dumps(changed).encode())


def test_the_drawing_that_is_damaged_is_a_good_one() -> None:
    given_ = TopologyIn.model_validate(DRAWN)
    drawing = drawings.read(
        [(node.name, node.role) for node in given_.nodes],
        [(link.a, link.b) for link in given_.links],
        TOPOLOGY,
    )
    assert spanning.span(drawing).cut == ("d",)
    with pytest.raises(ValidationError):
        TopologyIn.model_validate({**DRAWN, "color": "red"})


def test_a_drawing_follows_nodes_that_come_and_go() -> None:
    names = ("a", "b", "c")
    before = Topology(nodes=names, links=(Link(a="a", b="b"), Link(a="b", b="c")))
    drawn = Drawing(
        roles={"a": Role.ROOT, "b": Role.RELAY, "c": Role.LEAF}, links=(("a", "b"), ("b", "c"))
    )
    without = Topology(nodes=("a", "c"), links=())
    left = drawings.follow(drawn, before, without, drawn.roles)
    assert left == Drawing(roles={"a": Role.ROOT, "c": Role.LEAF}, links=())
    again = replace(before, nodes=("a", "c", "b"))
    back = drawings.follow(left, without, again, drawn.roles)
    assert (back.roles, back.links) == (drawn.roles, drawn.links)
    rootless = drawings.follow(drawn, before, Topology(nodes=("b", "c"), links=()), drawn.roles)
    assert Role.ROOT not in rootless.roles.values()
    returned = drawings.follow(rootless, Topology(nodes=("b", "c"), links=()), before, drawn.roles)
    assert returned.roles["a"] is Role.LEAF, "an operator draws roots"


def test_what_an_operator_left_out_stays_out() -> None:
    before = Topology(nodes=("a", "b", "c"), links=(Link(a="a", b="b"), Link(a="b", b="c")))
    drawn = Drawing(roles={"a": Role.ROOT, "b": Role.LEAF}, links=(("a", "b"),))
    now = replace(before, nodes=("a", "b", "c", "d"), links=(*before.links, Link(a="d", b="c")))
    found = drawings.follow(drawn, before, now, {"d": Role.RELAY})
    assert found.roles == {**drawn.roles, "d": Role.RELAY}
    assert found.links == drawn.links
