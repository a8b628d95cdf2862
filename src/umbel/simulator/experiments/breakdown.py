"""Figures 4 and 5: where the power goes in the mobile backhaul, by part and by level."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Topology
from umbel.simulator.experiments import drawing, plans
from umbel.simulator.experiments.drawing import PARTS
from umbel.simulator.experiments.experiment import (
    Cases,
    Claim,
    Experiment,
    Found,
    Row,
    chosen,
    column,
    number,
    percent,
)
from umbel.simulator.experiments.tasks import Optimum

_FIG4_LOADS, _FIG4_GAMMA = (0.05, 0.2, 1.0), 1.0
_FIG5_LOADS, _FIG5_GAMMA = (0.01, 0.05, 0.2, 1.0), 0.4
_LEVELS = {
    Topology.FMC_TREE.value: ("PoP", "level 1", "level 2", "end nodes"),
    Topology.MOBILE_BACKHAUL.value: (
        "PoP",
        "packet gateways",
        "serving gateways",
        "aggregation",
        "end nodes",
    ),
}


def _plan(quick: bool, variant: Variant, load: float, gamma: float) -> Optimum:
    """The backhaul at middle and high load is the hardest to plan: fewer clusters, more time."""
    task = plans.optimum(quick, plans.network(quick), variant, load, gamma=gamma)
    if quick:
        return task
    return replace(task, config=replace(task.config, clusters=6, solver_s=120.0))


def _fig4_cases(quick: bool) -> Cases:
    """(load, variant, topology)."""
    where = plans.network(quick)
    return {
        (load, variant.value, where.value): _plan(quick, variant, load, _FIG4_GAMMA)
        for load in _FIG4_LOADS
        for variant in Variant
    }


def _fig4_rows(found: Found) -> list[Row]:
    return [
        {
            "topology": topology,
            "load": load,
            "variant": variant,
            **plans.watts(made),
            "nodes_on": made.get("nodes_on"),
            "bbu_vcpus": made.get("bbu_vcpus"),
            "transcode_vcpus": made.get("transcode_vcpus"),
            **plans.verdict(made),
        }
        for (load, variant, topology), made in plans.best(found).items()
    ]


def _fig4_draw(made: Sequence[Row]) -> Figure:
    figure, axes = drawing.panels(1, 3, width=9.0, height=3.6)
    for one, (variant, (name, _hue, _mark)) in zip(axes, drawing.VARIANTS.items(), strict=True):
        some = chosen(made, variant=variant)
        at = [float(place) for place in range(len(some))]
        drawing.stacked(one, at, [column(some, part) for part, *_look in PARTS])
        one.set_xticks(at, [f"{load:g}" for load in column(some, "load")])
        one.set_title(name, fontsize=10)
        one.set_xlabel("load factor")
        one.set_ylim(0, 1.05 * max(column(made, "power_w")) / 1000)
    axes[0].set_ylabel("power (kW)")
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def _fig4_claims(made: Sequence[Row]) -> list[Claim]:
    low, middle, high = (chosen(made, load=load, variant="virca")[0] for load in _FIG4_LOADS)

    def times(before: Row, after: Row, *names: str) -> float:
        total = sum(number(before, name) for name in names)
        return sum(number(after, name) for name in names) / total if total else float("nan")

    network = ("switches_w", "routers_w")
    return [
        Claim(
            what="servers, load 0.05 to 0.2",
            paper="almost doubles",
            ours=f"x {times(low, middle, 'servers_w'):.2f}",
        ),
        Claim(
            what="switches and routers, load 0.05 to 0.2",
            paper="almost constant",
            ours=f"x {times(low, middle, *network):.2f}",
        ),
        Claim(
            what="switches and routers, load 0.2 to 1",
            paper="more nodes are on",
            ours=f"x {times(middle, high, *network):.2f}",
        ),
    ]


def _fig5_cases(quick: bool) -> Cases:
    """(load, variant, topology); the other planners help ViRCA, and are not shown."""
    where = plans.network(quick)
    return {
        (load, variant.value, where.value): _plan(quick, variant, load, _FIG5_GAMMA)
        for load in _FIG5_LOADS
        for variant in (Variant.VIRCA, Variant.VIRCA3)
    }


def _fig5_rows(found: Found) -> list[Row]:
    return [
        {
            "topology": topology,
            "load": load,
            "level": place,
            "where": _LEVELS[topology][place],
            **level,
            **plans.verdict(made),
        }
        for (load, variant, topology), made in plans.best(found).items()
        if variant == Variant.VIRCA.value
        for place, level in enumerate(made.get("levels", ()))
    ]


def _fig5_draw(made: Sequence[Row]) -> Figure:
    loads = sorted(set(column(made, "load")))
    figure, axes = drawing.panels(1, len(loads), width=2.6 * len(loads), height=3.6)
    for one, load in zip(axes, loads, strict=True):
        some = chosen(made, load=load)
        at = [float(place) for place in range(len(some))]
        drawing.stacked(one, at, [column(some, part) for part, *_look in PARTS])
        one.set_xticks(at, [str(row["where"]) for row in some], rotation=60, ha="right", fontsize=8)
        one.set_title(f"load factor {load:g}", fontsize=10)
    axes[0].set_ylabel("power (kW)")
    axes[0].legend(frameon=False, fontsize=9)
    return figure


def _fig5_claims(made: Sequence[Row]) -> list[Claim]:
    paper = {0.01: "most of it high up", 0.05: "most of it high up"}
    return [
        Claim(
            what=f"load {load:g}: share of the power above the end nodes",
            paper=paper.get(load, "lower nodes come in"),
            ours=percent(above_ends(chosen(made, load=load))),
        )
        for load in sorted(set(column(made, "load")))
    ]


def above_ends(levels: Sequence[Row]) -> float:
    """The share of the power on all levels but the last."""
    watts = [sum(number(row, part) for part, *_look in PARTS) for row in levels]
    return sum(watts[:-1]) / sum(watts)


FIG4 = Experiment(
    title="power by part, gamma 1",
    cases=_fig4_cases,
    rows=_fig4_rows,
    draw=_fig4_draw,
    claims=_fig4_claims,
)
FIG5 = Experiment(
    title="power by level, gamma 0.4",
    cases=_fig5_cases,
    rows=_fig5_rows,
    draw=_fig5_draw,
    claims=_fig5_claims,
)
