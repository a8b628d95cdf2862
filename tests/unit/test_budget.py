"""The line that says what a run took of its budget."""

import pytest

from support.budget import line


@pytest.mark.parametrize(
    ("took_s", "cpu_s", "end"),
    [
        (59.0, 110.0, "59.0 s of a budget of 60 s, with 110 s of CPU"),
        (75.0, 140.0, "over the budget; --durations=20 names the slowest tests"),
        (75.0, 80.0, "over the budget, and other programs used the machine; run it again later"),
    ],
)
def test_a_run_over_its_budget_says_why(took_s: float, cpu_s: float, end: str) -> None:
    assert line(took_s, cpu_s, budget_s=60.0, cores=2).endswith(end)
