"""Waits that grow, and that differ between those who wait."""

import pytest

from umbel.kit import backoff
from umbel.network.drivers.openflow.retries import Retries


@pytest.mark.parametrize("failures", range(1, 40))
def test_draws_are_the_names_own(failures: int) -> None:
    waits = [
        backoff.wait_s(failures, backoff.draw(name, failures), first_s=0.5, longest_s=30.0)
        for name in ("a", "b")
    ]
    whole = min(0.5 * 2 ** (failures - 1), 30.0)
    assert all(whole / 2 <= wait <= whole for wait in waits)
    assert waits[0] != waits[1]


def test_refused_rules_are_tried_ever_more_rarely_until_none_are_refused() -> None:
    retries, now_s, waits = Retries(1.0), 0.0, []
    for _ in range(12):
        at_s = retries.update(now_s, is_refused=True)
        assert at_s is not None
        # A run in between changes nothing.
        assert retries.update((now_s + at_s) / 2, is_refused=True) == at_s
        assert not retries.is_due((now_s + at_s) / 2)
        assert retries.is_due(at_s)
        waits.append(at_s - now_s)
        now_s = at_s
    assert waits[0] <= 1.0
    assert all(later > wait for wait, later in zip(waits[:4], waits[2:6], strict=True))
    assert 30.0 <= waits[-1] <= 60.0
    assert retries.update(now_s, is_refused=False) is None
    assert not retries.is_due(now_s)
    assert (retries.update(now_s, is_refused=True) or 0.0) - now_s <= 1.0
