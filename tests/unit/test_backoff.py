"""Waits that grow, and that differ between those who wait."""

import pytest

from umbel.kit import backoff


@pytest.mark.parametrize("failures", range(1, 40))
def test_draws_are_the_names_own(failures: int) -> None:
    waits = [
        backoff.wait_s(failures, backoff.draw(name, failures), first_s=0.5, longest_s=30.0)
        for name in ("a", "b")
    ]
    whole = min(0.5 * 2 ** (failures - 1), 30.0)
    assert all(whole / 2 <= wait <= whole for wait in waits)
    assert waits[0] != waits[1]
