"""The caches of a run hit as often as the formula foretells, and policies rank as they should."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from umbel.caches import approximation
from umbel.caches.approximation import Law
from umbel.caches.policies import Policy
from umbel.planner import demand
from umbel.simulator import run, world
from umbel.simulator.compiled import POLICIES as COMPILED
from umbel.simulator.config import Config, Phase
from umbel.simulator.run import EngineName, Run
from umbel.simulator.workload import Workload, audience

HOUR_S = 3600.0
# Nothing is scarce but storage, so every end serves its own viewers.
PLENTY = Config(
    catalogue=2000,
    servers=1000,
    storage_gb=150.0,
    warmup_s=10 * HOUR_S,
    phases=(Phase(duration_s=40 * HOUR_S),),
)

SHORT = replace(
    PLENTY,
    catalogue=400,
    storage_gb=30.0,
    requests_per_s=0.1,
    warmup_s=3 * HOUR_S,
    phases=(Phase(duration_s=HOUR_S),),
)


def ample(config: Config, engine: EngineName | None = None) -> Run:
    there = world.build(config)
    there = replace(there, capacity_mbps=np.full(len(there.capacity_mbps), 1e9))
    workload = Workload(config, there)
    return run.replay(config, there, workload.catalogue, workload, engine=engine)


def foretold(config: Config, law: Law, mobile: int) -> approximation.Steady:
    """The steady state of one end's cache."""
    viewers = audience(config)
    share = viewers.popularity[mobile] / viewers.popularity[mobile].sum()
    sizes = viewers.catalogue.size_bytes.astype(float)
    capacity = config.storage_gb * 1e9
    return approximation.approximate(law, share * demand.REQUESTS_PER_S, sizes, capacity)


def ends(found: Run) -> Iterator[tuple[int, float]]:
    """Of each end: whether it is mobile, and the hit ratio of its cache."""
    record = found.record
    for end in range(len(record.world.ends)):
        here = record.measured & (record.requests.end == end)
        yield int(record.world.mobile[end]), float(record.outcomes.hit[here].mean())


@pytest.mark.parametrize(("policy", "law"), [(Policy.LRU, Law.LRU), (Policy.FIFO, Law.FIFO)])
@pytest.mark.parametrize("storage_gb", [50.0, 600.0])
def test_a_run_hits_as_the_formula_says(policy: Policy, law: Law, storage_gb: float) -> None:
    config = replace(PLENTY, cache=policy, storage_gb=storage_gb)
    found = ample(config)
    assert found.totals().rejection_ratio == 0.0
    source = found.record.world.path_from[found.record.outcomes.path]
    names = found.record.world.names
    own = [found.record.world.node_number[end] for end in found.record.world.ends]
    assert (source == np.array(own)[found.record.requests.end]).all(), names
    for mobile, ratio in ends(found):
        assert ratio == pytest.approx(foretold(config, law, mobile).hit_ratio, abs=0.012)
    seen = [ratio for mobile, ratio in ends(found) if mobile]
    wanted = foretold(config, law, 1).hit_ratio
    assert np.mean(seen) == pytest.approx(wanted, abs=0.004)


@pytest.mark.parametrize("policy", COMPILED)
def test_compiled_caches_keep_what_the_others_keep(policy: Policy) -> None:
    config = replace(SHORT, cache=policy, warmup_s=HOUR_S, storage_gb=60.0)
    one, other = (ample(config, engine).record.outcomes for engine in EngineName)
    assert np.array_equal(one.hit, other.hit)
    assert 0.1 < one.hit.mean() < 0.9


def test_policies_rank_as_on_any_zipf_catalogue() -> None:
    """What looks at frequency beats what looks at time alone; FIFO comes last."""
    ratio = {policy: ample(replace(SHORT, cache=policy)).totals().hit_ratio for policy in Policy}
    assert ratio[Policy.FIFO] < ratio[Policy.LRU]
    for better in (Policy.LFU, Policy.W_TINYLFU, Policy.S3_FIFO, Policy.SIEVE):
        assert ratio[better] > ratio[Policy.LRU] + 0.03, ratio
