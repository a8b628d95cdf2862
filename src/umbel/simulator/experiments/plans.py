"""What the figures of plans share: a task for one, and sums of what it came to."""

from collections.abc import Mapping
from typing import Any

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Steering, Topology
from umbel.simulator.experiments.drawing import PARTS
from umbel.simulator.experiments.experiment import Row
from umbel.simulator.experiments.tasks import Optimum


def optimum(
    quick: bool,
    topology: Topology,
    variant: Variant,
    load: float,
    *,
    gamma: float = 1.0,
    floor: float | None = None,
) -> Optimum:
    """The task of one plan, with the effort of the quick or of the large instance."""
    config = Config(
        topology=topology,
        steering=Steering(variant.value),
        gamma=gamma,
        clusters=6 if quick else 20,
        solver_s=4.0 if quick else 45.0,
    )
    gap_share = 0.005 if quick else 0.002
    return Optimum(config=config, load=load, floor=floor, gap_share=gap_share)


def watts(made: Mapping[str, Any]) -> Row:
    """Watts by part and in all, over all levels; None without a plan."""
    if "levels" not in made:
        return {**{part: None for part, *_look in PARTS}, "power_w": None}
    parts = {part: sum(level[part] for level in made["levels"]) for part, *_look in PARTS}
    return {**parts, "power_w": sum(parts.values())}


def verdict(made: Mapping[str, Any]) -> Row:
    """What a plan is worth, and its quality."""
    share = None if made["qoe"] is None else made["qoe"] / made["best_qoe"]
    return {
        "meaning": made["meaning"],
        "qoe": made["qoe"],
        "qoe_share": share,
        "gap_w": made["gap_w"],
        "full_w": made["full_w"],
    }
