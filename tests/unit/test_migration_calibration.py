"""What earlier migrations teach the prediction: lines found again, limits, and what is compared."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.model import Resources
from umbel.mobility.admission import Load, Situation, decide, predict
from umbel.mobility.calibration import Calibration, Line, calibrated, fitted
from umbel.mobility.model import Migration, MigrationKind, MigrationState, Terms

FULL = MigrationKind.FULL_TRANSFER
PLAIN = Migration(
    id="mi_1",
    function="edge",
    owner="delivery",
    source="pe1",
    target="pe2",
    kind=FULL,
    requested_by="bert",
    requested_s=0.0,
    changed_s=0.0,
    wait_until_s=0.0,
    state=MigrationState.COMMITTED,
)
VALUES = st.floats(0.0, 1e6)
POINTS = st.lists(st.tuples(VALUES, VALUES), max_size=30)


def copied(load: Load, *, duration_s: float, gap_s: float = 0.1, **more: float) -> Migration:
    """A copy that took so long, as the store returns it."""
    achieved = {"duration_s": duration_s, "gap_s": gap_s, "copied_mb": load.memory_mb, **more}
    return replace(PLAIN, predicted=asdict(predict(load, 1000.0, 0.3)), achieved=achieved)


def learned(*history: Migration, function: str = "edge", is_live: bool = True) -> Calibration:
    return calibrated(history, function, FULL, is_live=is_live)


@given(st.floats(0.0, 60.0), st.floats(0.1, 10.0))
def test_a_line_is_found_again_from_many_points(extra: float, factor: float) -> None:
    line = fitted([(float(x), extra + factor * x) for x in range(1, 2001)])
    for x in (1.0, 1000.0, 2000.0):
        mean = extra + max(factor, 1.0) * 1000
        assert line.at(x) == pytest.approx(extra + factor * x, abs=0.002 * mean)


@given(POINTS)
def test_no_point_makes_it_negative(points: list[tuple[float, float]]) -> None:
    line = fitted(points)
    assert line.extra >= 0
    assert line.factor >= 0


def test_one_copy_says_most_of_it_and_none_leaves_the_model() -> None:
    assert fitted([]) == Line(0.0, 1.0)
    assert fitted([(2.0, 6.0)]).at(2.0) == pytest.approx(2.0 + (6.0 - 2.0) * 0.8)


@given(st.floats(0.0, 100.0), st.floats(0.01, 100.0), st.floats(0.0, 1e4))
def test_the_largest_is_the_inverse(extra: float, factor: float, most: float) -> None:
    line = Line(extra, factor)
    if most >= extra:
        assert line.at(line.largest(most)) == pytest.approx(most)
    else:
        assert line.largest(most) == 0.0


def test_a_flat_line_allows_everything_or_nothing() -> None:
    assert Line(1.0, 0.0).largest(2.0) == float("inf")
    assert Line(1.0, 0.0).largest(1.0) == 0.0


def test_what_copies_took_comes_on_top_of_the_model() -> None:
    load = Load(memory_mb=256.0)
    known = learned(*(copied(load, duration_s=9.0, gap_s=0.2) for _ in range(8)))
    found = predict(load, 1000.0, 0.3, known)
    assert found.moves == 8
    assert found.duration_s == pytest.approx(9.0, rel=0.05)
    assert found.gap_s == pytest.approx(0.2, rel=0.1)
    assert found.fits
    assert found.model == predict(load, 1000.0, 0.3).model


def test_a_stop_that_always_takes_longer_than_is_allowed_does_not_fit() -> None:
    load = Load(memory_mb=256.0, dirty_mbps=10.0)
    known = learned(*(copied(load, duration_s=9.0, gap_s=0.9) for _ in range(8)))
    assert not predict(load, 1000.0, 0.3, known).fits
    assert predict(load, 1000.0, 2.0, known).fits


def test_a_refusal_by_what_was_learned_says_so() -> None:
    load = Load(memory_mb=256.0)
    known = learned(*(copied(load, duration_s=9.0, gap_s=0.9) for _ in range(8)))
    room = Resources(cores=4, memory_mb=1024, mbps=100)
    situation = Situation(
        target="pe2",
        is_ready=True,
        room=room,
        needs=room,
        load=load,
        free_mbps=1000.0,
        calibration=known,
    )
    (reason,) = decide(situation, Terms(max_gap_s=0.3)).reasons
    assert reason.startswith("earlier copies stopped for longer (8 of them)")


def test_only_like_copies_that_were_made_count() -> None:
    load = Load(memory_mb=256.0)
    one = copied(load, duration_s=9.0)
    others = (
        replace(one, state=MigrationState.ABORTED),
        replace(one, kind=MigrationKind.SHARED_STORAGE),
        replace(one, achieved=None),
        replace(one, predicted={"duration_s": 1.0}),
        replace(one, predicted=None),
        copied(replace(load, is_live=False), duration_s=9.0),
    )
    assert learned(*others) == Calibration()
    assert learned(*others, one).moves == 1
    assert learned(*others, is_live=False).moves == 1


def test_the_newest_twenty_count() -> None:
    load = Load(memory_mb=256.0)
    new = [copied(load, duration_s=5.0) for _ in range(20)]
    old = [copied(load, duration_s=500.0) for _ in range(50)]
    assert learned(*new, *old) == learned(*new)


def test_a_functions_own_disk_and_writes_are_expected_again() -> None:
    load = Load(memory_mb=256.0)
    mine = replace(copied(load, duration_s=5.0, disk_mb=3.0), progress={"dirty_mbps": 40.0})
    earlier = replace(copied(load, duration_s=5.0, disk_mb=9.0), progress={"dirty_mbps": 90.0})
    other = replace(copied(load, duration_s=5.0, disk_mb=30.0), function="other")
    known = learned(other, mine, earlier)
    assert (known.disk_mb, known.dirty_mbps) == (3.0, 40.0)
    stranger = learned(other, mine, earlier, function="new")
    assert (stranger.disk_mb, stranger.dirty_mbps) == (9.0, None)
