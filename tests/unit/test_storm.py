"""What a storm counts: shares of frames, gaps, and whose fault they are."""

from itertools import pairwise

from support.storm import plan
from support.storm.plan import Kind
from support.storm.report import Loss, Storm, Viewing, costs, report

FPS = 25


def viewing(*spans: tuple[float, float]) -> Viewing:
    """Frames at a steady rate during these spans, decoded a tenth of a second after they were
    drawn."""
    drawn = [a + n / FPS for a, b in spans for n in range(round((b - a) * FPS))]
    return Viewing(drawn_s=drawn, decoded_s=[at_s + 0.1 for at_s in drawn])


def stormy(*viewings: Viewing, losses: tuple[Loss, ...] = (), load: int = 0) -> Storm:
    """100 s, in which the encoder sends all the time."""
    return Storm(
        begin_s=1000.0,
        begin_sent=50,
        end_s=1100.0,
        end_sent=50 + 100 * FPS,
        losses=losses,
        viewings=viewings,
        load=load,
    )


def loss(at_s: float, kind: Kind, back_s: float | None = 1.0) -> Loss:
    return Loss(at_s=at_s, kind=kind, sent=50 + round((at_s - 1000.0) * FPS), back_s=back_s)


def test_a_seed_draws_the_same_deaths_every_4_to_6_s() -> None:
    deaths = plan.drawn(7, 300)
    assert deaths == plan.drawn(7, 300) != plan.drawn(8, 300)
    pauses = [b.at_s - a.at_s for a, b in pairwise(deaths)]
    assert 4.0 <= min(pauses) <= max(pauses) <= 6.0
    assert {death.kind for death in deaths} == set(Kind)
    assert 50 <= len(deaths) <= 75 and deaths[-1].at_s < 300
    assert [death.kind for death in plan.in_order(7)] == list(Kind)


def test_frames_that_no_viewer_misses_are_a_share_of_one() -> None:
    found = report(stormy(viewing((1000.0, 1100.5)), viewing((1000.0, 1100.5))))
    assert (found["ok"], found["share"]) == (True, 1.0)
    assert found["longest_gap_s"] <= 0.2


def test_what_one_viewer_misses_counts_by_half() -> None:
    found = report(stormy(viewing((1000, 1100)), viewing((1000, 1040), (1048, 1100))))
    assert (found["ok"], found["share"], found["longest_gap_s"]) == (False, 0.96, 8.04)
    assert report(stormy(viewing((1000, 1048), (1051, 1100))))["ok"] is False  # 3.04 s
    assert report(stormy(viewing((1000, 1048), (1050, 1100))))["ok"] is True


def test_a_load_has_other_goals() -> None:
    seen = viewing((1000, 1040), (1048, 1100))
    assert report(stormy(seen, load=4))["ok"] is True
    assert report(stormy(viewing((1000, 1070)), load=4))["ok"] is False


def test_a_picture_that_does_not_come_back_is_a_gap_to_the_end() -> None:
    assert report(stormy(viewing((1000, 1060))))["longest_gap_s"] == 39.94
    assert report(stormy(viewing()))["longest_gap_s"] == 100.0


def test_what_was_killed_and_is_not_back_is_not_ok() -> None:
    seen = viewing((1000.0, 1100.5))
    found = report(stormy(seen, losses=(loss(1010, Kind.EDGE, None),)))
    assert (found["ok"], found["not_back"]) == (False, ["edge"])


def test_a_gap_is_put_down_to_the_kill_that_it_began_with() -> None:
    losses = (loss(1010, Kind.CONTROL_PLANE), loss(1014, Kind.EDGE), loss(1020, Kind.EDGE))
    seen = viewing((1000, 1014), (1019, 1020), (1021, 1100))
    # The first gap begins with the picture that was on its way when the edge was killed.
    assert [
        (one.kind, round(gap_s, 2), missed)
        for one, gap_s, missed in costs(stormy(seen, losses=losses))
    ] == [
        (Kind.CONTROL_PLANE, 0.04, 0),
        (Kind.EDGE, 5.04, 125),
        (Kind.EDGE, 1.04, 25),
    ]
    by_kind = report(stormy(seen, losses=losses))["by_kind"]
    assert by_kind["edge"] == {
        "restarts": 2,
        "gap_median_s": 3.04,
        "gap_worst_s": 5.04,
        "missed_median": 75,
        "back_median_s": 1.0,
    }
