"""Moving a leaf: packets are cloned to both places, then the old path is gone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.overlay import FUNCTION, OUTSIDE, STREAM, Overlay, emitting, path, receiver, rollout
from umbel.kit.errors import Conflict
from umbel.network.drivers.fake.switch import Plug
from umbel.network.overlay import compiler, moves
from umbel.network.overlay.moves import InvalidMove
from umbel.network.overlay.spanning import Drawing, Role, span
from umbel.network.overlay.streams import Path, Receiver, RoutedStream

ROLES = {
    "r": Role.ROOT,
    "a": Role.RELAY,
    "b": Role.RELAY,
    "x": Role.LEAF,
    "y": Role.LEAF,
    "z": Role.LEAF,
}
DRAWING = Drawing(roles=ROLES, links=(("r", "a"), ("r", "b"), ("a", "x"), ("b", "y"), ("y", "z")))
TO_X = Counter({("x", receiver("x").address): 1})
AT_Y = Counter({("y", receiver("x").address): 1})


def still(*, function: bool) -> RoutedStream:
    """One path, to x, where a function may run."""
    functions = {"x": FUNCTION} if function else {}
    return RoutedStream(stream=STREAM, tree=span(DRAWING), paths=(path("x"),), functions=functions)


def test_a_function_gets_clones_before_it_runs_there() -> None:
    overlay = Overlay.of(DRAWING)
    overlay.functions(["x"])
    moving = moves.prepare(still(function=True), "x", "y", FUNCTION)
    overlay.install(moving)
    assert overlay.send("r") == (TO_X, Counter(["x", "y"]))
    overlay.functions(["y"])  # it runs there now, while the old one does not answer any more
    overlay.net.attach(Plug(node="x", port=FUNCTION), lambda _packet: None)
    assert overlay.send("r") == (AT_Y, Counter(["x", "y"]))
    overlay.install(moves.commit(moving))
    assert overlay.send("r") == (AT_Y, Counter(["y"]))
    assert overlay.crossed("r") == [("r", "b"), ("b", "y")]


def test_without_a_function_the_clones_sink_until_the_move_is_done() -> None:
    overlay = Overlay.of(DRAWING)
    moving = moves.prepare(still(function=False), "x", "y")
    overlay.install(moving)
    assert overlay.send("r") == (TO_X, Counter())
    assert set(overlay.crossed("r")) == {("r", "a"), ("a", "x"), ("r", "b"), ("b", "y")}
    overlay.install(moves.commit(moving))
    assert overlay.send("r") == (AT_Y, Counter())


def test_where_others_get_the_stream_they_go_on() -> None:
    """A function moves to y, through which z is served, or to z, where a path ends already."""
    overlay = Overlay.of(DRAWING)
    overlay.functions(["x"])
    both = RoutedStream(
        stream=STREAM,
        tree=span(DRAWING),
        paths=(path("x"), path("z")),
        functions={"x": FUNCTION},
    )
    at_z = Counter({("z", receiver("z").address): 1})
    overlay.install(moves.prepare(both, "x", "y", FUNCTION))
    assert overlay.send("r") == (TO_X + at_z, Counter(["x", "y"]))
    overlay.install(moves.prepare(both, "x", "z", FUNCTION))
    assert overlay.send("r") == (TO_X + at_z, Counter(["x"]))
    overlay.functions(["z"])
    overlay.install(moves.commit(moves.prepare(both, "x", "z", FUNCTION)))
    moved = Counter({("z", receiver("x").address): 1})
    assert overlay.send("r") == (moved + at_z, Counter(["z"]))


def test_an_aborted_move_leaves_nothing_behind() -> None:
    before = still(function=True)
    assert moves.abort(moves.prepare(before, "x", "y", FUNCTION)) == before


@examples(60)
@given(st.sampled_from("ybaz"), st.booleans())
def test_no_step_of_a_move_loses_a_packet(target: str, function: bool) -> None:
    """Neither preparing nor committing, change by change, cuts the receiver off."""
    overlay = Overlay.of(DRAWING)
    old = still(function=function)
    overlay.functions(["x"])
    overlay.install(old)
    moving = moves.prepare(old, "x", target, FUNCTION if function else 0)
    to = receiver("x").address
    for want in (moving, moves.commit(moving)):
        programs = compiler.programs([want], overlay.switches)
        for node, step in rollout(overlay.held(), programs, old):
            for change in step:
                overlay.net.switches[node].apply([change])
                out, _ = overlay.send("r")
                assert {(("x", to)), ((target, to))} & set(out)
                assert set(out.values()) == {1}
        assert overlay.held() == programs
        overlay.net.attach(Plug(node=target, port=FUNCTION), lambda _packet: emitting(target))
    assert overlay.send("r")[0] == Counter({(target, to): 1})


def test_what_cannot_move() -> None:
    before = still(function=True)
    moving = moves.prepare(before, "x", "y", FUNCTION)
    assert moves.prepare(moving, "x", "y", FUNCTION) is moving
    for held, source, target in (
        (moving, "x", "z"),
        (before, "y", "z"),
        (before, "x", "x"),
        (before, "x", "r"),
        (before, "x", "nowhere"),
    ):
        with pytest.raises(InvalidMove):
            moves.prepare(held, source, target)
    for end in (moves.commit, moves.abort):
        with pytest.raises(InvalidMove) as caught:
            end(before)
        assert isinstance(caught.value, Conflict)


def test_paths_that_meet_where_they_move_are_one() -> None:
    twice = RoutedStream(
        stream=STREAM,
        tree=span(DRAWING),
        paths=(path("x"), Path(leaf="y", receiver=receiver("x"))),
    )
    moved = moves.commit(moves.prepare(twice, "x", "y"))
    assert moved.paths == (Path(leaf="y", receiver=receiver("x")),)
    assert OUTSIDE not in moved.functions.values()


@pytest.mark.parametrize(
    ("address", "mac", "expected"),
    [
        ("224.1.2.3", "", "01:00:5e:01:02:03"),
        ("239.255.129.7", "", "01:00:5e:7f:81:07"),
        ("255.255.255.255", "", "ff:ff:ff:ff:ff:ff"),
        ("192.0.2.255", "ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"),
        ("192.0.2.1", "", ""),
    ],
)
def test_receivers_of_any_kind_have_an_ethernet_address(
    address: str, mac: str, expected: str
) -> None:
    assert Receiver(address=address, mac=mac).ethernet == expected
