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
    claims_of,
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
    """The backhaul at middle and high load is the hardest to plan: more time."""
    task = plans.optimum(quick, plans.network(quick), variant, load, gamma=gamma)
    if quick:
        return task
    return replace(task, config=replace(task.config, solver_s=120.0))


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
    some = {
        name: chosen(made, variant=variant)
        for variant, (name, _hue, _mark) in drawing.VARIANTS.items()
    }
    figure, axes = drawing.power_panels(
        {
            name: ([f"{load:g}" for load in column(rows, "load")], rows)
            for name, rows in some.items()
        },
        width=9.0,
        height=3.6,
    )
    for one in axes:
        one.set_xlabel("load factor")
        one.set_ylim(0, 1.05 * max(column(made, "power_w")) / 1000)
    return figure


def _fig4_claims(made: Sequence[Row]) -> list[Claim]:
    low, middle, high = (chosen(made, load=load, variant="virca")[0] for load in _FIG4_LOADS)

    def times(before: Row, after: Row, *names: str) -> float:
        total = sum(number(before, name) for name in names)
        return sum(number(after, name) for name in names) / total if total else float("nan")

    network = ("switches_w", "routers_w")
    servers = f"x {times(low, middle, 'servers_w'):.2f}"
    rises = [f"x {times(*pair, *network):.2f}" for pair in ((low, middle), (middle, high))]
    return claims_of(
        ("servers, load 0.05 to 0.2", "almost doubles", servers),
        ("switches and routers, load 0.05 to 0.2", "almost constant", rises[0]),
        ("switches and routers, load 0.2 to 1", "more nodes are on", rises[1]),
    )


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
    some = {load: chosen(made, load=load) for load in _loads(made)}
    figure, _axes = drawing.power_panels(
        {
            f"load factor {load:g}": ([str(row["where"]) for row in rows], rows)
            for load, rows in some.items()
        },
        width=2.6 * len(some),
        height=3.6,
        rotation=60,
        ha="right",
        fontsize=8,
    )
    return figure


def _fig5_claims(made: Sequence[Row]) -> list[Claim]:
    paper = {0.01: "most of it high up", 0.05: "most of it high up"}
    return claims_of(
        *(
            (
                f"load {load:g}: share of the power above the end nodes",
                paper.get(load, "lower nodes come in"),
                percent(above_ends(chosen(made, load=load))),
            )
            for load in _loads(made)
        )
    )


def _loads(made: Sequence[Row]) -> list[float]:
    return sorted(set(column(made, "load")))


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
