"""A short storm: each kind of process is killed once under two real viewers, and comes back."""

from pathlib import Path

import pytest

from support.storm import plan
from support.storm.plan import Kind
from support.storm.report import report
from support.storm.run import kinds_back, storm

pytestmark = [pytest.mark.lab, pytest.mark.timeout(480)]

LEAST_SHARE = 0.5
LONGEST_GAP_S = 40.0


async def test_all_that_is_killed_comes_back_and_the_viewers_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    played = await storm(
        plan.in_order(seed=1), 30.0, tmp_path, seed=1, say=said.append, one_by_one=True
    )
    found = report(played)
    assert kinds_back(played) == set(Kind), said
    assert [loss.kind for loss in played.losses] == list(Kind)
    assert found["share"] >= LEAST_SHARE, (found, said)
    assert found["longest_gap_s"] <= LONGEST_GAP_S, (found, said)
