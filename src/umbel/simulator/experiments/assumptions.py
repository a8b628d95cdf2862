"""Not in the paper: what moves its two power gains. Three planners on both networks, least power
for 95 % of the quality at load 0.05, one assumption changed at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import PowerScale, Topology
from umbel.simulator.experiments import drawing, plans
from umbel.simulator.experiments.experiment import (
    Cases,
    Claim,
    Experiment,
    Found,
    Row,
    chosen,
    claims_of,
    number,
    percent,
)
from umbel.simulator.experiments.tasks import Optimum

_LOAD, _FLOOR = 0.05, 0.95
_PAPER = {Topology.FMC_TREE: 0.10, Topology.MOBILE_BACKHAUL: 0.30}
_BASE = "as elsewhere (8 vCPUs a base band)"


_QUICK = (_BASE, "100 vCPUs a base band", "switch 202 W, router 455 W", "no optical bypass")


def _changes(quick: bool, base: Optimum) -> Mapping[str, Optimum]:
    """The task under each assumption."""
    config = base.config
    found = {
        _BASE: base,
        **{
            f"{vcpus} vCPUs a base band": replace(
                base, config=replace(config, bbu_vcpus=float(vcpus))
            )
            for vcpus in (50, 80, 100, 120)
        },
        "switch 202 W, router 455 W": replace(base, config=replace(config, power=PowerScale.LOW)),
        "the same, and 50 vCPUs a base band": replace(
            base, config=replace(config, power=PowerScale.LOW, bbu_vcpus=50.0)
        ),
        "no optical bypass": replace(base, bypass=False),
        "base bands move a hop further": replace(base, more_reach=1),
        "100 GB of storage a node": replace(base, config=replace(config, storage_gb=100.0)),
    }
    return {name: found[name] for name in _QUICK} if quick else found


def cases(quick: bool) -> Cases:
    """(topology, variant, change)."""
    found = {}
    for topology in Topology:
        for variant in Variant:
            base = plans.optimum(quick, topology, variant, _LOAD, floor=_FLOOR)
            for change, task in _changes(quick, base).items():
                found[topology.value, variant.value, change] = task
    return found


def rows(found: Found) -> list[Row]:
    """One for each plan."""
    return [
        {
            "topology": topology,
            "change": change,
            "variant": variant,
            **plans.watts(made),
            "hosts": made.get("hosts"),
            "nodes_on": made.get("nodes_on"),
            **plans.verdict(made),
        }
        for (topology, variant, change), made in plans.best(found).items()
    ]


def gains(made: Sequence[Row], topology: str) -> dict[str, float]:
    """By change: the share of ViRCA2's power that ViRCA saves; NaN where one has no plan."""
    of = {
        (row["change"], row["variant"]): number(row, "power_w")
        for row in chosen(made, topology=topology)
    }
    names = dict.fromkeys(str(row["change"]) for row in chosen(made, topology=topology))
    return {name: 1 - of[name, "virca"] / of[name, "virca2"] for name in names}


def draw(made: Sequence[Row]) -> Figure:
    """A bar for each change, with the paper's gain as a line."""
    figure, axes = drawing.panels(1, len(Topology), width=10.0, height=4.2)
    for one, topology in zip(axes, Topology, strict=True):
        found = gains(made, topology.value)
        at = list(range(len(found)))[::-1]
        bars = one.barh(at, [100 * gain for gain in found.values()], 0.6, color="#56b4e9")
        one.bar_label(bars, fmt="%.0f", fontsize=8)
        one.axvline(100 * _PAPER[topology], color="#d55e00", linestyle="--", label="the paper")
        one.set_yticks(at, list(found) if one is axes[0] else [""] * len(at), fontsize=8)
        one.set_title(topology.value, fontsize=10)
        one.set_xlabel("power saved against ViRCA2 (%)")
        drawing.legend(one)
    return figure


def claims(made: Sequence[Row]) -> list[Claim]:
    """The gain under each assumption."""
    return claims_of(
        *(
            (f"{topology.value}: power saved, {change}", f"{_PAPER[topology]:.0%}", percent(gain))
            for topology in Topology
            for change, gain in gains(made, topology.value).items()
        )
    )


ASSUMPTIONS = Experiment(
    title="what moves the two power gains", cases=cases, rows=rows, draw=draw, claims=claims
)
