"""Slices: what is admitted, what changes of ways make of it, and the queues that follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.network.model import Link, Pair, Topology
from umbel.network.slices import admission
from umbel.network.slices.admission import (
    CONTROL,
    CONTROL_DSCP,
    DEFAULT,
    DSCP,
    LINK,
    TERMS,
    Grade,
    Granted,
    NoRoomForSlice,
    Offer,
    SliceExists,
    SliceRequest,
    StreamDestination,
    Terms,
)
from umbel.network.topology.paths import NotInTopology

# c1-pe4 promises 0.9 * 200 = 180 Mbit/s each way: three GOLD and two BRONZE, and 5 left.
NET = Topology(
    nodes=("pe1", "c1", "pe4", "pe5"),
    links=(
        Link(a="pe1", b="c1", mbps=1000),
        Link(a="c1", b="pe4", mbps=200),
        Link(a="c1", b="pe5", mbps=60),
    ),
)
OFFER = Offer(topology=NET)
LINKS = [pair for link in NET.links for pair in ((link.a, link.b), (link.b, link.a))]
UP, DOWN = ("pe1", "c1"), ("c1", "pe4")


def wants(grade: Grade = Grade.GOLD, stream: str = "ev") -> SliceRequest:
    return SliceRequest(grade=grade, stream=stream)


def held(number: int, *links: Pair, grade: Grade = Grade.GOLD) -> Granted:
    request = wants(grade, f"ev{number}")
    return Granted(
        id=f"sl{number}", number=number, request=request, links=links, opened_s=float(number)
    )


def promised(have: list[Granted] | tuple[Granted, ...], link: Pair) -> float:
    return sum(TERMS[one.request.grade].min_mbps for one in have if link in one.links)


def test_the_first_is_number_1_and_a_freed_number_is_used_again() -> None:
    assert admission.admit(OFFER, [], wants(), [UP, DOWN]) == 1
    have = [held(1, UP), held(3, UP)]
    assert admission.admit(OFFER, have, wants(), [UP, DOWN]) == 2


def test_a_refusal_names_the_link_and_what_is_left() -> None:
    have = [held(n, UP, DOWN) for n in (1, 2, 3)]
    with pytest.raises(NoRoomForSlice) as refused:
        admission.admit(OFFER, have, wants(), [UP, DOWN])
    assert refused.value.details == {
        "link": ["c1", "pe4"],
        "left_mbps": 30.0,
        "asked_mbps": 50.0,
    }
    assert "c1-pe4 has 30 Mbit/s left" in refused.value.message
    assert admission.admit(OFFER, have, wants(Grade.SILVER), [UP, DOWN]) == 4
    assert admission.admit(OFFER, have, wants(), [UP, ("pe4", "c1")]) == 4


def test_a_subject_has_one_slice() -> None:
    with pytest.raises(SliceExists):
        admission.admit(OFFER, [held(1)], wants(Grade.BRONZE, "ev1"), [])


def test_a_route_over_no_link_is_refused() -> None:
    with pytest.raises(NotInTopology):
        admission.admit(OFFER, [], wants(), [("pe1", "pe4")])


grades = st.sampled_from(Grade)
routes = st.lists(st.sampled_from(LINKS), max_size=6)
steps = st.lists(st.tuples(st.booleans(), grades, routes, st.integers(0, 30)), max_size=60)


@given(steps)
def test_no_order_of_admissions_and_releases_promises_more_than_there_is(
    asked: list[tuple[bool, Grade, list[Pair], int]],
) -> None:
    have: list[Granted] = []
    for turn, (opens, grade, route, which) in enumerate(asked):
        if opens:
            request = wants(grade, f"ev{turn}")
            try:
                number = admission.admit(OFFER, have, request, route)
            except NoRoomForSlice as refused:
                full = refused.details["link"]
                assert isinstance(full, list)
                room = 0.9 * next(k.mbps for k in NET.links if {k.a, k.b} == set(full))
                link = (full[0], full[1])
                assert promised(have, link) + TERMS[grade].min_mbps > room
                continue
            one = Granted(
                id=f"sl{turn}", number=number, request=request, links=tuple(dict.fromkeys(route))
            )
            have.append(one)
        elif have:
            have.pop(which % len(have))
        assert len({one.number for one in have}) == len(have)
        for link in LINKS:
            capacity = next(k.mbps for k in NET.links if {k.a, k.b} == set(link))
            assert promised(have, link) <= capacity


@given(st.lists(st.tuples(grades, routes, routes), max_size=12))
def test_whatever_ways_become_no_link_promises_more_than_it_has(
    moved: list[tuple[Grade, list[Pair], list[Pair]]],
) -> None:
    have = [held(n, *dict.fromkeys(was), grade=g) for n, (g, was, _) in enumerate(moved, 1)]
    have = list(admission.reassign(OFFER, have, {}))
    became = {f"sl{n}": new for n, (_, _, new) in enumerate(moved, 1)}
    after = admission.reassign(OFFER, have, became)
    for before, one in zip(have, after, strict=True):
        assert {*one.links, *one.unguaranteed} == set(became[one.id])
        assert not set(one.links) & set(one.unguaranteed)
        assert set(before.links) & set(became[one.id]) <= set(one.links), "it kept what it had"
    for link in LINKS:
        assert promised(after, link) <= 0.9 * next(
            k.mbps for k in NET.links if {k.a, k.b} == set(link)
        )
        for one in after:
            if link in one.unguaranteed:
                need = TERMS[one.request.grade].min_kbps
                assert admission.left_kbps(OFFER, after, link) < need, "it lacks what was free"
    assert admission.reassign(OFFER, after, became) == after


def test_a_link_that_is_gone_is_lacked_and_an_unknown_way_stays() -> None:
    (one,) = admission.reassign(OFFER, [held(1, UP)], {"sl1": [UP, ("pe1", "pe5")]})
    assert (one.links, one.unguaranteed) == ((UP,), (("pe1", "pe5"),))
    assert admission.reassign(OFFER, [one], {})[0].links == (UP,)


def test_the_way_between_two_nodes_of_a_tree() -> None:
    tree = [UP, DOWN, ("c1", "pe5")]
    assert admission.between(tree, "pe1", "pe4") == (UP, DOWN)
    assert admission.between(tree, "c1", "pe5") == (("c1", "pe5"),)
    assert admission.between(tree, "pe4", "pe1") == ()
    assert admission.between([("a", "b"), ("b", "a")], "c", "b") == ()
    assert admission.between(tree, "pe1", "pe1") == ()


def test_meters_hold_to_the_greatest_rate() -> None:
    kind = admission.metered(held(7, grade=Grade.SILVER), OFFER)
    assert (kind.number, kind.kbps, kind.burst_kb, kind.dscp) == (7, 50_000, 5_000, 24)


def test_the_grades_are_told_apart_by_their_mark() -> None:
    assert len({*DSCP.values(), CONTROL_DSCP, 0}) == len(Grade) + 2


def test_a_link_end_has_a_class_for_each_slice() -> None:
    flow = StreamDestination(address="10.203.0.1", port=5001)
    have = [held(1, UP, DOWN), held(2, DOWN, grade=Grade.BRONZE)]
    plan = admission.plan(OFFER, have, {"sl1": [flow]})
    assert set(plan) == set(LINKS)
    by_number = {one.number: one for one in plan[DOWN]}
    assert set(by_number) == {LINK, CONTROL, admission.class_of(1), admission.class_of(2), DEFAULT}
    gold, bronze = by_number[admission.class_of(1)], by_number[admission.class_of(2)]
    assert gold.flows == (flow,)
    assert (gold.rate_kbps, gold.ceil_kbps, gold.dscp) == (52_500, 200_000, 32)
    assert (bronze.rate_kbps, bronze.dscp) == (13_125, 26)
    assert gold.priority < bronze.priority < by_number[DEFAULT].priority
    assert [one.number for one in plan[DOWN[::-1]]] == [LINK, CONTROL, DEFAULT]


def test_queues_in_use_are_looked_at_always_and_the_others_in_turn() -> None:
    have, others = [held(1, UP)], LINKS[1:]
    looks = [admission.links_to_read(LINKS, have, turn) for turn in range(len(others))]
    assert all(look[0] == UP and len(look) == 2 for look in looks)
    assert [look[1] for look in looks] == others
    assert admission.links_to_read([UP], have, 5) == [UP]
    assert admission.links_to_read([], [], 5) == []


@given(st.lists(st.tuples(grades, routes), max_size=30))
def test_classes_never_own_more_than_the_link_and_each_slice_owns_its_least(
    asked: list[tuple[Grade, list[Pair]]],
) -> None:
    wanted = [held(n, grade=g) for n, (g, _) in enumerate(asked, 1)]
    have = admission.reassign(OFFER, wanted, {f"sl{n}": r for n, (_, r) in enumerate(asked, 1)})
    plan = admission.plan(OFFER, have, {})
    assert set(plan) == set(LINKS)
    for link, classes in plan.items():
        whole, *rest = classes
        assert sum(one.rate_kbps for one in rest) <= whole.rate_kbps
        assert all(one.rate_kbps > 0 and one.depth > 0 for one in rest)
        for one in have:
            if link in one.links:
                (made,) = (c for c in rest if c.number == admission.class_of(one.number))
                assert made.rate_kbps >= TERMS[one.request.grade].min_kbps


def test_terms_may_be_set_and_every_mistake_is_told() -> None:
    terms, problems = admission.inspect({"slices": {"gold": {"min_mbps": 5, "max_mbps": 10}}})
    assert problems == []
    assert terms[Grade.GOLD] == Terms(min_mbps=5, max_mbps=10)
    assert terms[Grade.BRONZE] == TERMS[Grade.BRONZE]
    _, problems = admission.inspect(
        {
            "slices": {
                "gold": {"min_mbps": 5, "max_mbps": 1},
                "silver": {"min_mbps": 0, "max_mbps": 1, "colour": "grey"},
                "platinum": {},
                "bronze": {"max_mbps": "much", "min_mbps": 1},
            }
        }
    )
    text = "\n".join(problems)
    for said in ("gold: min_mbps is greater", "silver: min_mbps", "silver: colour", "platinum"):
        assert said in text
    assert "bronze: max_mbps" in text
    assert admission.inspect({"slices": [1]})[1] == ["slices is not a mapping of grades"]
    assert admission.inspect({}) == (dict(TERMS), [])
    assert admission.inspect(7) == (dict(TERMS), [])


json_like = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["gold", "min_mbps", "max_mbps", "x"]) | st.integers(), inner
        )
    ),
    max_leaves=8,
)


@given(json_like)
def test_any_document_gives_terms_or_problems(part: object) -> None:
    terms, problems = admission.inspect({"slices": part})
    assert set(terms) == set(Grade)
    assert all(isinstance(problem, str) for problem in problems)
    if not problems:
        assert all(0 < t.min_mbps <= t.max_mbps for t in terms.values())
