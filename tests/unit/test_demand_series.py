"""The demand series: bounds, sums and monotony for any input, next to simple oracles."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.delivery.attendance.model import Attendance, Minute, NodeAttendance, Share
from umbel.delivery.demand import series
from umbel.delivery.demand.model import History, Prediction, Profile

NOON_S = 1_800_000_000.0
NODES = ("pe1", "pe2", "pe3")
nodes = st.sampled_from((*NODES, "", "gone"))
reserved = st.dictionaries(nodes, st.integers(0, 5_000))
counts = st.dictionaries(st.sampled_from(NODES), st.integers(0, 2_000))
profiles = st.builds(
    lambda reservations, peak, shares, watched_s: Profile(
        reservations=reservations,
        peak=peak,
        curve=tuple(peak * share for share in shares),
        watched_s=watched_s,
    ),
    st.integers(0, 1_000),
    st.integers(1, 1_000),
    st.lists(st.floats(0, 1), min_size=series.BINS, max_size=series.BINS),
    st.dictionaries(nodes, st.floats(0, 1e6)),
)
histories = st.lists(profiles, max_size=4).map(series.learned)
durations_s = st.floats(60, 1e6)


def attendance(*minutes: tuple[float, float], peak: int, at: str = "pe1") -> Attendance:
    """Minutes after noon, and viewers on average in each."""
    whole = Share(opened=peak, watched_s=sum(60 * v for _, v in minutes), peak=peak)
    return Attendance(
        event_id="ev",
        whole=whole,
        minutes=tuple(
            Minute(at_s=int(NOON_S + 60 * at_min), share=Share(watched_s=60 * v, peak=peak))
            for at_min, v in minutes
        ),
        places=(NodeAttendance(access_node=at, edge_node="pe2", share=whole),),
        reservations=0,
    )


def prediction(
    viewers: dict[str, float], *, shape: tuple[float, ...] = series.PRIOR, lasts_s: float = 7200.0
) -> Prediction:
    return Prediction(
        event_id="ev",
        starts_s=NOON_S,
        ends_s=NOON_S + lasts_s,
        made_s=NOON_S - 60,
        reservations=0,
        show_up=series.SHOW_UP,
        walk_ins=0.0,
        earlier=0,
        viewers=viewers,
        shape=shape,
    )


@given(durations_s)
def test_bins_follow_each_other_and_cover_the_event(lasts_s: float) -> None:
    ends = series.edges(NOON_S, NOON_S + lasts_s)
    assert len(ends) == series.BINS + 1
    assert list(ends) == sorted(set(ends))
    assert ends[0] == NOON_S - series.EARLY_S
    assert ends[-1] == pytest.approx(NOON_S + lasts_s + series.AFTER_S)
    assert NOON_S in ends


@given(st.dictionaries(st.integers(-30, 200), st.floats(0, 500), max_size=40), durations_s)
def test_watch_time_in_the_bins_is_that_of_the_minutes(
    minutes: dict[int, float], lasts_s: float
) -> None:
    found = series.present(attendance(*minutes.items(), peak=500), NOON_S, NOON_S + lasts_s)
    ends = series.edges(NOON_S, NOON_S + lasts_s)
    inside = sum(
        viewers * max(0.0, min(NOON_S + 60 * at + 60, ends[-1]) - max(NOON_S + 60 * at, ends[0]))
        for at, viewers in minutes.items()
    )
    in_bins = sum(x * (b - a) for x, a, b in zip(found, ends, ends[1:], strict=False))
    assert in_bins == pytest.approx(inside, rel=1e-6, abs=1e-3)
    assert all(x >= 0 for x in found)


@given(st.lists(profiles, max_size=5))
def test_what_is_learned_has_its_bounds(events: list[Profile]) -> None:
    found = series.learned(events)
    assert 0 <= found.show_up <= 1
    assert 0 <= found.walk_ins <= max((one.peak for one in events), default=0)
    assert all(0 <= x <= 1 + 1e-9 for x in found.shape)
    assert sum(found.shares.values()) == pytest.approx(1) or not found.shares
    assert found.events == len(events)


@given(reserved, histories)
def test_nodes_have_together_what_is_expected_at_all(
    by_node: dict[str, int], history: History
) -> None:
    found = series.viewers(by_node, history, NODES)
    whole = history.show_up * sum(by_node.values()) + history.walk_ins
    assert sum(found.values()) == pytest.approx(whole, abs=1e-6)
    assert set(found) <= set(NODES)
    assert all(count > 0 for count in found.values())
    assert series.viewers(by_node, history, ()) == {}


@given(reserved, histories, nodes, st.integers(1, 100))
def test_more_reservations_never_mean_fewer_viewers(
    by_node: dict[str, int], history: History, node: str, more: int
) -> None:
    before = series.viewers(by_node, history, NODES)
    after = series.viewers({**by_node, node: by_node.get(node, 0) + more}, history, NODES)
    assert sum(after.values()) > sum(before.values())
    if history.shares.keys() & set(NODES):  # else the unknown ones go where the others are
        assert all(after[n] >= count - 1e-9 for n, count in before.items())


def test_reservations_count_at_their_nodes_and_others_are_spread() -> None:
    none = series.learned([])
    assert series.viewers({"pe1": 10}, none, NODES) == pytest.approx({"pe1": 6.0})
    assert series.viewers({"": 9}, none, NODES) == pytest.approx(dict.fromkeys(NODES, 1.8))
    there = Profile(
        reservations=0, peak=4, curve=(0.0,) * series.BINS, watched_s={"pe1": 30, "pe3": 90}
    )
    history = series.learned([there])
    assert history.walk_ins == 4
    assert series.viewers({"": 10}, history, NODES) == pytest.approx({"pe1": 2.5, "pe3": 7.5})


def test_who_comes_teaches_the_next_time() -> None:
    seen = attendance(*((at, 8.0) for at in range(120)), peak=8)
    one = series.profile(seen, NOON_S, NOON_S + 7200, reservations=40)
    assert one is not None
    assert one.watched_s == {"pe1": pytest.approx(8 * 7200)}
    history = series.learned([one] * 10)
    assert history.show_up == pytest.approx((6 + 80) / (10 + 400))
    assert history.walk_ins == 0
    assert history.shape[5] < 0.05
    assert history.shape[15] > 0.9
    assert history.shape[-1] == 0
    assert series.profile(attendance(peak=0), NOON_S, NOON_S + 7200, reservations=40) is None


def expected(prediction: Prediction, at_s: float) -> dict[str, float]:
    """Expected viewers by access node at that moment, by its bin; nobody outside of all bins."""
    bins = pairwise(series.edges(prediction.starts_s, prediction.ends_s))
    (share,) = [x for x, (a, b) in zip(prediction.shape, bins, strict=True) if a <= at_s < b] or [0]
    return {node: count * share for node, count in prediction.viewers.items()}


@given(counts, st.floats(-2_000, 12_000), durations_s)
def test_a_moment_has_a_share_of_the_peak(
    viewers: dict[str, int], after_s: float, lasts_s: float
) -> None:
    one = prediction({n: float(count) for n, count in viewers.items()}, lasts_s=lasts_s)
    found = expected(one, NOON_S + after_s)
    most = series.most_expected(one, NOON_S + after_s, NOON_S + after_s)
    assert most == found
    assert all(0 <= found[n] <= count for n, count in viewers.items())
    if not -series.EARLY_S <= after_s < lasts_s + series.AFTER_S:
        assert sum(found.values()) == 0


@given(st.floats(-1_000, 9_000), st.floats(0, 3_000))
def test_the_most_of_a_time_is_the_most_of_its_moments(from_s: float, lasts_s: float) -> None:
    one = prediction({"pe1": 100.0})
    until_s = from_s + lasts_s
    found = series.most_expected(one, NOON_S + from_s, NOON_S + until_s)["pe1"]
    moments = [from_s, until_s, *(e - NOON_S for e in series.edges(one.starts_s, one.ends_s))]
    inside = [at for at in moments if from_s <= at <= until_s]
    oracle = max(expected(one, NOON_S + at)["pe1"] for at in inside)
    assert found == pytest.approx(oracle)


@given(st.dictionaries(st.sampled_from(NODES), st.floats(0, 2_000)), counts)
def test_a_viewer_who_is_there_is_not_expected_any_more(
    wanted: dict[str, float], there: dict[str, int]
) -> None:
    rest = series.missing(wanted, there)
    whole = {n: math.ceil(x - 1e-9) for n, x in wanted.items() if x >= series.LEAST_VIEWERS}
    assert all(0 < count <= whole[n] - there.get(n, 0) for n, count in rest.items())
    # Nobody counts twice, and nobody is forgotten, wherever those came who are there.
    assert sum(rest.values()) == max(0, sum(whole.values()) - sum(there.values()))


def test_the_curve_shows_the_past_alone() -> None:
    seen = attendance((0, 3.0), (1, 5.0), peak=5)
    found = series.points(prediction({"pe1": 10.0}), seen, NOON_S + 120)
    assert [one.present for one in found[9:13]] == [0.0, 3.0, 5.0, None]
    assert [round(one.expected, 2) for one in found[9:11]] == [3.0, 3.7]
