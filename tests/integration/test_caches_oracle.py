"""Hit ratios on Zipf traces beside libCacheSim's, a program of its own (it is under the GPL)."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from umbel.caches.policies import Policy, make
from umbel.caches.tinylfu import WTinyLfu

ORACLE = Path(__file__).parents[1] / "support" / "cache_oracle.py"
CATALOGUE, REQUESTS, ZIPF = 10_000, 120_000, 0.8
MOST_APART = 0.005
EXACT = [policy for policy in Policy if policy is not Policy.W_TINYLFU]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("libcachesim") is None,
    reason="libcachesim, the second opinion on caches, is not installed",
)


def trace(*, sized: bool) -> tuple[list[int], list[int]]:
    random = np.random.default_rng(5)
    weight = np.arange(1, CATALOGUE + 1) ** -ZIPF
    keys = random.choice(CATALOGUE, REQUESTS, p=weight / weight.sum())
    drawn = random.choice([240, 900, 3600], CATALOGUE, p=[0.6, 0.27, 0.13])
    sizes = drawn if sized else np.full(CATALOGUE, 100)
    return keys.tolist(), sizes.tolist()


def case(policy: Policy, share: float, *, sized: bool) -> dict[str, Any]:
    keys, sizes = trace(sized=sized)
    capacity = int(sum(sizes) * share)
    return {"policy": policy.value, "capacity": capacity, "keys": keys, "sizes": sizes}


def ours(case: dict[str, Any]) -> float:
    policy, capacity = Policy(case["policy"]), case["capacity"]
    # The oracle's sketch grows with the bytes of the cache: here it never has to forget.
    never = WTinyLfu(capacity, remembers=1 << 16)
    cache = never if policy is Policy.W_TINYLFU else make(policy, capacity)
    sizes = case["sizes"]
    return sum(cache.request(key, sizes[key], 0.0).hit for key in case["keys"]) / REQUESTS


def oracle(cases: list[dict[str, Any]]) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-P", ORACLE],  # its folder holds an `http` of its own
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return [hits / REQUESTS for hits in json.loads(done.stdout)]


@pytest.mark.parametrize("sized", [True, False])
def test_hit_ratios_are_those_of_the_oracle(sized: bool) -> None:
    cases = [case(policy, share, sized=sized) for policy in EXACT for share in (0.05, 0.2)]
    for one, wanted in zip(cases, oracle(cases), strict=True):
        assert ours(one) == pytest.approx(wanted, abs=MOST_APART), one["policy"]


def test_w_tinylfu_is_the_oracle_s_on_equal_sizes() -> None:
    cases = [case(Policy.W_TINYLFU, share, sized=False) for share in (0.1, 0.2)]
    for one, wanted in zip(cases, oracle(cases), strict=True):
        assert ours(one) == pytest.approx(wanted, abs=MOST_APART)


def test_w_tinylfu_is_no_worse_than_the_oracle_on_unequal_sizes() -> None:
    """There the oracle evicts more than a candidate needs (its issue 162), so it is a floor."""
    cases = [case(Policy.W_TINYLFU, share, sized=True) for share in (0.05, 0.2)]
    for one, floor in zip(cases, oracle(cases), strict=True):
        assert ours(one) >= floor - MOST_APART
