"""A request in a process of its own: what it comes to, and what it says on the way."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from support import plan_files
from umbel.planner import clustering, demand, topologies
from umbel.plans import child, work
from umbel.plans.child import PlannerCrashed
from umbel.plans.model import PlanRequest
from umbel.plans.requests import BadPlanRequest

SMALL = PlanRequest(
    document=yaml.safe_load(plan_files.NETWORK), rows=tuple(plan_files.rows()), gamma=1.0
)


def busy() -> PlanRequest:
    """A request that takes minutes: to the last watt on a busy network."""
    network = topologies.fmc_tree()
    seen = demand.observe(np.random.default_rng(0), network, 1.0)
    found = clustering.cluster(seen, 40).demand
    sizes = {content.name: content for content in found.contents}
    rows = tuple(
        {
            "end": bundle.end,
            "content": bundle.content,
            "resolution": bundle.resolution.value,
            "parallel": bundle.parallel,
            "watch_s": bundle.watch_s,
            "size_gb": sizes[bundle.content].size_gb,
            "mean_gb": sizes[bundle.content].mean_gb,
        }
        for bundle in found.bundles
    )
    document = plan_files.document_of(network)
    return PlanRequest(document=document, rows=rows, gamma=1.5, time_s=600.0, gap_share=1e-6)


async def ignore(_progress: Mapping[str, object]) -> None:
    return None


async def test_what_takes_too_long_is_stopped() -> None:
    with pytest.raises(PlannerCrashed, match="had not ended after 3 s"):
        await child.run(busy(), ignore, most_s=3.0)


async def test_refusals_come_with_their_reasons() -> None:
    with pytest.raises(BadPlanRequest) as caught:
        await child.run(replace(SMALL, variant="virca9"), ignore)
    assert "variant is 'virca9'" in str(caught.value.details["problems"])


async def test_progress_comes_in_order(tmp_path: Path) -> None:
    stages: list[object] = []

    async def on_progress(progress: Mapping[str, object]) -> None:
        stages.append(progress["stage"])

    made: Any = await child.run(SMALL, on_progress, pictures=tmp_path)
    assert stages[0] == "looking for paths"
    assert stages[-1] == "drawing"
    assert made["pictures"] == ["plan.png"]


def test_many_contents_are_clustered_and_demand_is_kept() -> None:
    contents = 400
    rows = tuple(
        {
            "end": "fixed-1",
            "content": f"c{number}",
            "resolution": "720p",
            "parallel": 1 + number % 3,
            "watch_s": 300 + number % 7,
            "size_gb": 1 + number % 5,
        }
        for number in range(contents)
    )
    document = plan_files.document_of(topologies.fmc_tree())
    heard: list[Mapping[str, object]] = []
    made: Any = work.run(replace(SMALL, document=document, rows=rows), heard.append)
    assert any("clustering 400 contents into" in str(one["stage"]) for one in heard)
    assert made["meaning"] == "optimal"
    every = sum(1 + number % 3 for number in range(contents))
    served = sum(one["requests"] for one in made["plan"]["services"])
    assert served == pytest.approx(every)


def test_more_paths_than_may_be_listed_are_generated() -> None:
    document = yaml.safe_load(plan_files.NETWORK)
    document["planner"]["routing"] = {"most_paths": 3}
    heard: list[Mapping[str, object]] = []
    made: Any = work.run(replace(SMALL, document=document), heard.append)
    listed: Any = work.run(SMALL, heard.append)
    assert "generating paths" in [progress["stage"] for progress in heard]
    assert made["meaning"] == "optimal"
    close = abs(made["objective"] - listed["objective"])
    assert close <= made["gap"] + listed["gap"] + 1.0
