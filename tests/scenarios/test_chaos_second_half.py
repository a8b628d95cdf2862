"""The second half of the seeds: a file's tests stay on one worker, and two are to play them."""

import pytest

from support.chaos.run import report_of_first

EACH = 50


@pytest.mark.parametrize("first", range(501, 1001, EACH))
@pytest.mark.timeout(600)
def test_whatever_a_seed_lets_happen_the_invariants_hold(first: int) -> None:
    report = report_of_first(range(first, first + EACH))
    assert not report, report
