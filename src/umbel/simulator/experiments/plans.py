"""What the figures of plans share: a task for one, the best of several, and sums of what it came
to."""

from collections.abc import Mapping
from typing import Any

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Steering, Topology
from umbel.simulator.experiments.drawing import PARTS
from umbel.simulator.experiments.experiment import Case, Found, Row
from umbel.simulator.experiments.tasks import Optimum


def network(quick: bool) -> Topology:
    """The paper shows the backhaul; the tree solves ten times as fast and is what is quick."""
    return Topology.FMC_TREE if quick else Topology.MOBILE_BACKHAUL


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
        solver_s=6.0 if quick else 20.0,
    )
    gap_share = 0.005 if quick else 0.002
    return Optimum(config=config, load=load, floor=floor, gap_share=gap_share)


def best(found: Found) -> Found:
    """By case, the variant being its second member: plans of ViRCA2 and ViRCA3 are ViRCA's too, so
    ViRCA has the best of all three, `by` whom it came, and its gap to its own bound."""
    return {case: _best(found, case) for case in found}


def _best(found: Found, case: Case) -> Mapping[str, Any]:
    own = {**found[case], "by": case[1]}
    if case[1] != Variant.VIRCA.value:
        return own
    others = [(case[0], variant.value, *case[2:]) for variant in Variant]
    known = [{**found[one], "by": one[1]} for one in others if one in found]
    there = [one for one in known if one["objective_w"] is not None]
    made = min(there, key=lambda one: float(one["objective_w"]), default=own)
    if own["bound_w"] is None or made["objective_w"] is None:
        return {**made, "gap_w": None}
    return {**made, "gap_w": max(0.0, made["objective_w"] - own["bound_w"])}


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
        "by": made.get("by"),
        "gap_w": made["gap_w"],
        "full_w": made["full_w"],
    }
