"""Figure 3: quality against power on the FMC tree, for three planners at several loads.

Weights alone find the points on the front's convex hull; least power for floors of quality finds
those between, and compares the planners at equal quality.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Topology
from umbel.simulator.experiments import drawing, plans
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

_GAMMAS = (0.0, 0.2, 0.4, 0.7, 1.0, 2.0, 10.0)
_FLOORS = (0.35, 0.5, 0.65, 0.8, 0.9, 0.99)
_LOADS = (0.05, 0.2, 1.0)
_QUICK_GAMMAS = (0.0, 0.4, 1.0, 10.0)
_QUICK_FLOORS = (0.3, 0.6, 0.9, 0.99)
_QUICK_LOADS = (0.05,)
_WORTH_W = 1.0


def cases(quick: bool) -> Cases:
    """(load, variant, "gamma" or "floor", value)."""
    gammas, floors = (_QUICK_GAMMAS, _QUICK_FLOORS) if quick else (_GAMMAS, _FLOORS)
    tree = Topology.FMC_TREE
    found = {}
    for load in _QUICK_LOADS if quick else _LOADS:
        for variant in Variant:
            for gamma in gammas:
                task = plans.optimum(quick, tree, variant, load, gamma=gamma)
                found[load, variant.value, "gamma", gamma] = task
            for floor in floors:
                task = plans.optimum(quick, tree, variant, load, floor=floor)
                found[load, variant.value, "floor", floor] = task
    return found


def rows(found: Found) -> list[Row]:
    """One for each plan that was asked for; without one, power and quality are empty."""
    return [
        {
            "load": load,
            "variant": variant,
            "goal": goal,
            "value": value,
            **plans.verdict(made),
            **plans.watts(made),
        }
        for (load, variant, goal, value), made in plans.best(found).items()
    ]


def front(some: Sequence[Row]) -> list[Row]:
    """Those with a plan that no other beats in both, by rising quality."""
    there = sorted(
        (row for row in some if row["qoe"] is not None),
        key=lambda row: (-number(row, "qoe"), number(row, "power_w")),
    )
    best: list[Row] = []
    for row in there:
        if not best or number(row, "power_w") < number(best[-1], "power_w") - _WORTH_W:
            best.append(row)
    return best[::-1]


def draw(made: Sequence[Row]) -> Figure:
    """A panel for each load."""
    loads = sorted({number(row, "load") for row in made})
    figure, axes = drawing.panels(1, len(loads), width=1.5 + 3.4 * len(loads), height=3.6)
    for one, load in zip(axes, loads, strict=True):
        for variant, (name, hue, mark) in drawing.VARIANTS.items():
            points = front(chosen(made, load=load, variant=variant))
            power_kw = [watt / 1000 for watt in column(points, "power_w")]
            one.plot(power_kw, column(points, "qoe"), color=hue, marker=mark, ms=4, label=name)
        one.set_title(f"load factor {load:g}", fontsize=10)
        one.set_xlabel("power (kW)")
    axes[0].set_ylabel("QoE (requests served at their best)")
    drawing.legend(axes[0], 9)
    return figure


def claims(made: Sequence[Row]) -> list[Claim]:
    """Gain at the highest floor that both reach; ViRCA3's best next to ViRCA's."""
    found = []
    for load in sorted({number(row, "load") for row in made}):
        some = chosen(made, load=load)
        floor, gain = top_gain(some)
        share = best_qoe(some, Variant.VIRCA3) / best_qoe(some, Variant.VIRCA)
        found += claims_of(
            (
                f"load {load:g}: power saved against ViRCA2 at {percent(floor)} of the QoE",
                "10 %",
                percent(gain),
            ),
            (
                f"load {load:g}: the most QoE that ViRCA3 reaches, of ViRCA's",
                "all at low load, less as it rises",
                percent(share),
            ),
        )
    return found


def top_gain(some: Sequence[Row]) -> tuple[float, float]:
    """The highest floor at which ViRCA and ViRCA2 have plans, and the power that ViRCA saves."""
    power = {
        (row["variant"], number(row, "value")): number(row, "power_w")
        for row in chosen(some, goal="floor")
        if row["power_w"] is not None
    }
    both = [floor for name, floor in power if name == "virca" and ("virca2", floor) in power]
    if not both:
        return float("nan"), float("nan")
    floor = max(both)
    return floor, 1 - power["virca", floor] / power["virca2", floor]


def best_qoe(some: Sequence[Row], variant: Variant) -> float:
    """The most quality that a planner reached."""
    there = [row for row in chosen(some, variant=variant.value) if row["qoe"] is not None]
    return max(column(there, "qoe"), default=0.0)


FIG3 = Experiment(
    title="quality against power, FMC tree", cases=cases, rows=rows, draw=draw, claims=claims
)
