"""The admission of a migration: the pre-copy model next to a simulation, and every reason."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from umbel.compute.model import Resources
from umbel.mobility.admission import (
    MBIT_PER_MIB,
    MOST_ROUNDS,
    Load,
    Situation,
    decide,
    predict,
)
from umbel.mobility.model import Terms

MEMORY = st.floats(1.0, 65_536.0)
RATES = st.floats(1.0, 100_000.0)
SHARES = st.floats(0.0, 3.0)
GAPS = st.floats(0.001, 5.0)
ROOM = Resources(cores=4, memory_mb=1024, mbps=100)
NEEDS = Resources(cores=1, memory_mb=256, mbps=10)


def simulated(load: Load, free_mbps: float, max_gap_s: float) -> tuple[float, float]:
    """Seconds in all and of the gap, by sending Mbit after Mbit and counting what is written: an
    oracle that knows no rounds' formula."""
    clean = load.memory_mb * MBIT_PER_MIB
    total_s, to_send = load.disk_mb * MBIT_PER_MIB / free_mbps, clean
    for _ in range(MOST_ROUNDS):
        if to_send / free_mbps <= max_gap_s:
            break
        steps = 200
        written = 0.0
        for _ in range(steps):
            written += load.dirty_mbps * (to_send / steps / free_mbps)
            total_s += to_send / steps / free_mbps
        to_send = min(written, clean)
    return total_s + to_send / free_mbps, to_send / free_mbps


@given(MEMORY, RATES, SHARES, GAPS)
def test_it_is_what_a_simulation_finds(
    memory_mb: float, free_mbps: float, share: float, max_gap_s: float
) -> None:
    load = Load(memory_mb=memory_mb, disk_mb=memory_mb / 3, dirty_mbps=share * free_mbps)
    found = predict(load, free_mbps, max_gap_s)
    assume(not math.isclose(found.gap_s, max_gap_s, rel_tol=1e-6))
    duration_s, gap_s = simulated(load, free_mbps, max_gap_s)
    assert found.duration_s == pytest.approx(duration_s, rel=1e-6)
    assert found.gap_s == pytest.approx(gap_s, rel=1e-6)


@given(MEMORY, RATES, SHARES, GAPS)
def test_its_figures_agree(
    memory_mb: float, free_mbps: float, share: float, max_gap_s: float
) -> None:
    load = Load(memory_mb=memory_mb, dirty_mbps=share * free_mbps)
    found = predict(load, free_mbps, max_gap_s)
    assert found.fits == (found.gap_s <= max_gap_s or math.isclose(found.gap_s, max_gap_s))
    assert found.copied_mb >= memory_mb * (1 - 1e-9)
    assert found.duration_s == pytest.approx(found.copied_mb * MBIT_PER_MIB / free_mbps)
    assert found.gap_s <= found.duration_s
    assert found.rounds <= MOST_ROUNDS
    if share < 0.5:
        assert found.fits, "what halves each round ends within the most rounds"


@given(MEMORY, RATES, st.floats(0.0, 50_000.0), GAPS, st.floats(1.0, 10.0))
def test_a_faster_way_takes_no_longer(
    memory_mb: float, free_mbps: float, dirty_mbps: float, max_gap_s: float, faster: float
) -> None:
    load = Load(memory_mb=memory_mb, dirty_mbps=dirty_mbps)
    slow = predict(load, free_mbps, max_gap_s)
    fast = predict(load, free_mbps * faster, max_gap_s)
    assert fast.fits or not slow.fits
    if slow.fits:
        assert fast.duration_s <= slow.duration_s * (1 + 1e-9)


def test_an_idle_function_is_sent_once() -> None:
    found = predict(Load(memory_mb=1024), 1_000.0, 0.3)
    assert (found.rounds, found.gap_s, found.copied_mb) == (1, 0.0, 1024)
    assert found.duration_s == pytest.approx(1024 * MBIT_PER_MIB / 1_000)


def test_a_function_that_stops_while_it_is_copied_has_a_gap_as_long_as_the_copy() -> None:
    load = Load(memory_mb=128.0, disk_mb=2.0, dirty_mbps=900.0, is_live=False)
    found = predict(load, 1000.0, 1.0)
    assert found.gap_s == found.duration_s == pytest.approx(130 * MBIT_PER_MIB / 1000)
    assert (found.rounds, found.copied_mb, found.fits) == (1, 130.0, False)
    assert predict(load, 1000.0, 1.1).fits


def test_all_that_is_against_it_is_said() -> None:
    situation = Situation(
        target="pe2",
        is_ready=True,
        room=Resources(cores=0.5, memory_mb=100, mbps=100),
        needs=NEEDS,
        load=Load(memory_mb=256, dirty_mbps=200),
        free_mbps=100.0,
    )
    verdict = decide(situation, Terms(max_gap_s=0.3, max_duration_s=60))
    assert not verdict.is_admitted
    assert verdict.reasons == (
        "pe2 has no room: 1 cores needed, 0.5 free, 256 MiB needed, 100 free",
        "it writes its memory at 200 Mbit/s and 100 Mbit/s are free: the gap would be 21.47 s,"
        " 0.3 s are allowed",
        "the copy would take 666 s, 60 s are allowed",
    )


@pytest.mark.parametrize(
    ("is_ready", "free_mbps", "reasons"),
    [
        (True, 1_000.0, ()),
        (True, None, ("no way leads to pe2",)),
        (True, 0.0, ("no way with a free rate leads to pe2",)),
        (True, -5.0, ("no way with a free rate leads to pe2",)),
        (
            False,
            1_000.0,
            ("pe2 takes no functions now: it is cordoned, in standby or lost",),
        ),
    ],
)
def test_one_reason_each(
    *, is_ready: bool, free_mbps: float | None, reasons: tuple[str, ...]
) -> None:
    situation = Situation(
        target="pe2",
        is_ready=is_ready,
        room=ROOM,
        needs=NEEDS,
        load=Load(memory_mb=256),
        free_mbps=free_mbps,
    )
    assert decide(situation, Terms()).reasons == reasons


def test_where_nothing_is_copied_no_way_is_needed() -> None:
    situation = Situation(target="pe2", is_ready=True, room=ROOM, needs=NEEDS)
    verdict = decide(situation, Terms())
    assert (verdict.is_admitted, verdict.prediction) == (True, None)
