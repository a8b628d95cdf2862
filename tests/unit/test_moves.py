"""Which functions move where: as good as trying everything, in an order that works."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from umbel.planner.moves import check, order
from umbel.planner.moves.model import (
    BadMoves,
    Host,
    HostedFunction,
    MoveEffort,
    MoveGoal,
    MovePlan,
    MoveProblem,
    NoMoves,
    travelling_mb,
)
from umbel.planner.moves.program import allowed
from umbel.planner.moves.solve import plan, standing

EXACT = MoveEffort(time_s=20.0, gap_share=1e-6)
SMALL = Host(name="a", cores=4, memory_mb=4096, idle_w=50, full_w=100)


def host(name: str, **changes: object) -> Host:
    return replace(SMALL, name=name, **changes)  # type: ignore[arg-type]


def function(
    name: str, at: str, cores: float = 1.0, memory_mb: float = 1024.0, **more: object
) -> HostedFunction:
    return HostedFunction(name=name, host=at, cores=cores, memory_mb=memory_mb, **more)  # type: ignore[arg-type]


@st.composite
def problems(draw: st.DrawFn) -> MoveProblem:
    """Three nodes, up to five functions that fit now, and some that must be apart or together."""
    hosts = tuple(
        host(
            name,
            cores=draw(st.sampled_from([2, 4, 8])),
            idle_w=draw(st.sampled_from([0, 40, 80])),
            drained=name == "a" and draw(st.booleans()),
            closed=name == "b" and draw(st.booleans()),
            images=frozenset(draw(st.sets(st.sampled_from("xy")))),
            storage=draw(st.sampled_from(["", "s"])),
        )
        for name in "abc"
    )
    functions = tuple(
        function(
            f"g{number}",
            draw(st.sampled_from("abc")),
            cores=draw(st.sampled_from([0.5, 1, 2])),
            memory_mb=draw(st.sampled_from([256, 512, 1024])),
            disk_mb=2000,
            changed_mb=draw(st.integers(0, 50)),
            image=draw(st.sampled_from(["", "x", "y"])),
            pinned=draw(st.sampled_from([False, False, False, True])),
        )
        for number in range(draw(st.integers(1, 5)))
    )
    names = [g.name for g in functions]
    some = st.frozensets(st.sampled_from(names), min_size=2, max_size=3)
    groups = draw(st.lists(some, max_size=1)) if len(names) > 1 else []
    is_apart = draw(st.booleans())
    made = MoveProblem(
        hosts=hosts,
        functions=functions,
        goal=draw(st.sampled_from(MoveGoal)),
        apart=tuple(groups if is_apart else ()),
        together=tuple(() if is_apart else groups),
        most_moves=draw(st.sampled_from([None, None, 2])),
        most_mb=draw(st.sampled_from([None, None, 4000.0])),
    )
    now = standing(made, {g.name: g.host for g in functions})
    assume(now.fullest <= 1)
    return made


def is_good(problem: MoveProblem, places: dict[str, str]) -> bool:
    """Whether the functions may run at these places."""
    hosts = {h.name: h for h in problem.hosts}
    if standing(problem, places).fullest > 1 + 1e-9:
        return False
    if not all(allowed(problem, g, hosts[places[g.name]]) for g in problem.functions):
        return False
    if any(len({places[name] for name in group}) < len(group) for group in problem.apart):
        return False
    if any(len({places[name] for name in group}) > 1 for group in problem.together):
        return False
    moves = [g for g in problem.functions if places[g.name] != g.host]
    mb = sum(travelling_mb(g, hosts[g.host], hosts[places[g.name]]) for g in moves)
    return not (
        (problem.most_moves is not None and len(moves) > problem.most_moves)
        or (problem.most_mb is not None and mb > problem.most_mb)
    )


def cost(problem: MoveProblem, places: dict[str, str]) -> tuple[float, float]:
    """The goal, and the bytes."""
    hosts = {h.name: h for h in problem.hosts}
    mb = sum(travelling_mb(g, hosts[g.host], hosts[places[g.name]]) for g in problem.functions)
    found = standing(problem, places)
    goal = {
        MoveGoal.DRAIN: mb,
        MoveGoal.BALANCE: found.fullest,
        MoveGoal.POWER: found.watts,
    }[problem.goal]
    return goal, mb


def best(problem: MoveProblem) -> tuple[float, float] | None:
    """Try everything."""
    names = [h.name for h in problem.hosts]
    ways = itertools.product(names, repeat=len(problem.functions))
    all_places = (dict(zip([g.name for g in problem.functions], way, strict=True)) for way in ways)
    costs = [cost(problem, places) for places in all_places if is_good(problem, places)]
    return min(costs, default=None)


def walk(problem: MoveProblem, made: MovePlan) -> dict[str, str]:
    """Where the moves lead; each target has room when its turn comes, and nobody meets."""
    hosts, functions = {h.name: h for h in problem.hosts}, {g.name: g for g in problem.functions}
    places = {g.name: g.host for g in problem.functions}
    for move in made.moves:
        assert places[move.function] == move.source
        places[move.function] = move.target
        used = standing(problem, places).used[move.target]
        target = hosts[move.target]
        assert used[0] <= target.cores + 1e-9
        assert used[1] <= target.memory_mb + 1e-9
        assert allowed(problem, functions[move.function], target)
        assert move.mb == travelling_mb(functions[move.function], hosts[move.source], target)
    return places


@given(problems())
def test_it_is_as_good_as_trying_everything(problem: MoveProblem) -> None:
    wanted = best(problem)
    try:
        made = plan(problem, EXACT)
    except NoMoves as error:
        assert wanted is None or "waits for another" in error.message
        return
    assert wanted is not None
    places = walk(problem, made)
    assert is_good(problem, places) or len(made.moves) > len({m.function for m in made.moves})
    goal, mb = cost(problem, places)
    assert goal == pytest.approx(wanted[0], rel=1e-4, abs=1e-4)
    assert mb == pytest.approx(wanted[1], rel=1e-3, abs=1.0)
    assert made.bound <= goal + 1e-6
    assert made.after == standing(problem, places)


def test_a_node_is_emptied_with_the_fewest_bytes() -> None:
    hosts = (host("a", drained=True), host("b", images=frozenset({"edge"})), host("c"))
    moved = function("g", "a", disk_mb=2000, changed_mb=30, image="edge")
    made = plan(MoveProblem(hosts=hosts, functions=(moved,), goal=MoveGoal.DRAIN), EXACT)
    (move,) = made.moves
    assert (move.target, move.mb) == ("b", 1054)
    assert move.seconds == pytest.approx(1054 * 8 / 1000)


def test_for_less_power_a_node_is_left() -> None:
    functions = (function("g1", "a", 2.0), function("g2", "b"))
    problem = MoveProblem(hosts=(SMALL, host("b")), functions=functions, goal=MoveGoal.POWER)
    made = plan(problem, EXACT)
    assert [(move.function, move.target) for move in made.moves] == [("g2", "a")]
    assert (made.before.watts, made.after.watts) == (137.5, 87.5)


@pytest.mark.parametrize("goal", MoveGoal)
def test_nothing_runs_and_nothing_moves(goal: MoveGoal) -> None:
    made = plan(MoveProblem(hosts=(host("a", drained=True), host("b")), functions=(), goal=goal))
    assert (made.moves, made.after.watts, made.objective, made.bound) == ((), 0, 0, 0)


@pytest.mark.parametrize("goal", MoveGoal)
def test_the_bound_holds_where_a_node_is_too_full(goal: MoveGoal) -> None:
    """It may stay as full as it is."""
    functions = tuple(function(f"g{n}", "a", 2.0) for n in range(4))
    problem = MoveProblem(hosts=(host("a"), host("b")), functions=functions, goal=goal)
    made = plan(problem, EXACT)
    assert made.bound <= made.objective + 1e-6


def test_two_that_wait_for_each_other_go_by_way_of_a_third() -> None:
    functions = (
        function("g1", "a", 4.0, hosts=frozenset({"b", "c"})),
        function("g2", "b", 4.0, hosts=frozenset({"a", "c"})),
    )
    hosts = (host("a", drained=False), host("b"), host("c", cores=4))
    swapped = MoveProblem(hosts=hosts, functions=functions, apart=(frozenset({"g1", "g2"}),))

    moves = order.ordered(swapped, {"g1": "b", "g2": "a"})
    assert len(moves) == 3
    assert {move.function for move in moves[:1]} == {moves[-1].function}
    with pytest.raises(NoMoves, match="waits for another"):
        order.ordered(replace(swapped, hosts=hosts[:2]), {"g1": "b", "g2": "a"})


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (
            MoveProblem(
                hosts=(host("a", drained=True),),
                functions=(function("g", "a"),),
                goal=MoveGoal.DRAIN,
            ),
            "No node may take g: all others are closed or are to be empty",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b"), host("c")),
                functions=(function("g", "a", hosts=frozenset({"a"})),),
            ),
            "it may run only on a",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b")),
                functions=(function("g", "a", within_s=0.5),),
            ),
            "cannot be moved within 0.5 s",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b")),
                functions=(function("g", "a"),),
                rate_mbps=0,
            ),
            "no rate is free from a",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b")),
                functions=(function("g", "a", pinned=True),),
                goal=MoveGoal.DRAIN,
            ),
            "it is pinned to a, which is to be empty",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b", cores=0.5)),
                functions=(function("g", "a"),),
            ),
            "No node has room for g",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b")),
                functions=tuple(function(f"g{n}", "a", 2.0) for n in range(3)),
            ),
            "The functions need 6 cores; the nodes that stay have 4",
        ),
        (
            MoveProblem(
                hosts=(host("a", drained=True), host("b")),
                functions=(function("g", "a"),),
                most_moves=0,
            ),
            "allow more moves",
        ),
    ],
)
def test_what_cannot_be_done_has_a_reason(problem: MoveProblem, reason: str) -> None:
    with pytest.raises(NoMoves, match=reason):
        plan(problem, EXACT)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = MoveProblem(
        hosts=(host("a", cores=0), host("a"), host("b", full_w=10)),
        functions=(function("g", "nowhere"), function("g", "a", cores=float("nan"))),
        apart=(frozenset({"g", "h"}),),
        mbps={("a", "z"): 1.0},
        most_mb=-1,
    )
    with pytest.raises(BadMoves) as caught:
        check.check(wrong)
    text = "\n".join(caught.value.details["problems"])  # type: ignore[arg-type]
    for part in (
        "node a: cores is 0",
        "two nodes are called a",
        "node b: full_w is less than idle_w",
        "there is no node nowhere",
        "two functions are called g",
        "function g: cores is nan",
        "apart: there is no function h",
        "mbps: there is no node z",
        "limit: most_mb is -1",
    ):
        assert part in text
