"""Figures 6 and 7: three planners at full load, in all and by how
popular the content is. Both come from the same runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.experiments import drawing, plans
from umbel.simulator.experiments.experiment import (
    Case,
    Cases,
    Claim,
    Experiment,
    Found,
    Row,
    chosen,
    claims_of,
    column,
    percent,
)
from umbel.simulator.experiments.simulation import CLASSES
from umbel.simulator.experiments.tasks import Simulation

GAMMAS = (1.0, 10.0)


def cases(quick: bool) -> Cases:
    """(variant, gamma): at load 1, after a warm-up that fills caches and sessions. The paper has
    gamma 1; what weight that is in our units is not certain, so a larger one is shown, too."""
    return {
        (variant.value, gamma): _run(quick, variant, gamma)
        for gamma in GAMMAS
        for variant in Variant
    }


def _run(quick: bool, variant: Variant, gamma: float) -> Simulation:
    config = Config(
        topology=plans.network(quick),
        steering=Steering(variant.value),
        phases=(Phase(duration_s=900.0 if quick else 3600.0),),
        warmup_s=300.0 if quick else 1800.0,
        gamma=gamma,
        clusters=4 if quick else 20,
        solver_s=3.0 if quick else 60.0,
    )
    return Simulation(config=config, bin_s=300.0)


def _fig6_rows(found: Found) -> list[Row]:
    return [_fig6_row(case, made) for case, made in found.items()]


def _fig6_row(case: Case, made: Mapping[str, Any]) -> Row:
    variant, gamma = case
    series = made["series"]
    bins = len(series["power_w"])
    return {
        "variant": variant,
        "gamma": gamma,
        **made["totals"],
        "power_w": sum(series["power_w"]) / bins,
        "nodes_on": sum(series["nodes_on"]) / bins,
        "full_w": made["full_w"],
    }


_FIG6_PANELS = (
    ("rejection_ratio", "share of requests refused", 1.0),
    ("relative_rate", "relative rate", 1.0),
    ("delay_s", "start-up delay (s)", 1.0),
    ("power_w", "power (kW)", 0.001),
)


def _fig6_draw(made: Sequence[Row]) -> Figure:
    figure, axes = drawing.panels(1, len(_FIG6_PANELS), width=10.5, height=3.2)
    names = [f"gamma {gamma:g}" for gamma in GAMMAS]
    for one, (name, title, scale) in zip(axes, _FIG6_PANELS, strict=True):
        tall = {
            variant: [value * scale for value in column(chosen(made, variant=variant), name)]
            for variant in drawing.VARIANTS
        }
        drawing.grouped(one, tall, names, numbers=True)
        one.set_title(title, fontsize=10)
    drawing.legend(axes[0])
    return figure


def _fig6_claims(made: Sequence[Row]) -> list[Claim]:
    return [claim for gamma in GAMMAS for claim in _at_gamma(chosen(made, gamma=gamma), gamma)]


def _at_gamma(some: Sequence[Row], gamma: float) -> list[Claim]:
    def all_of(name: str, scale: float = 1.0, form: str = ".3g") -> str:
        return ", ".join(f"{value * scale:{form}}" for value in column(some, name))

    rows = (
        ("refused", "fewest with ViRCA", all_of("rejection_ratio", 100, ".1f") + " %"),
        ("relative rate", "near 1 with all", all_of("relative_rate")),
        ("start-up delay", "ViRCA between, ViRCA3 least", all_of("delay_s") + " s"),
        ("power", "ViRCA close to ViRCA3", all_of("power_w", 0.001, ".1f") + " kW"),
    )
    return claims_of(
        *((f"gamma {gamma:g}: {what}, ViRCA, 2, 3", paper, ours) for what, paper, ours in rows)
    )


def _fig7_rows(found: Found) -> list[Row]:
    return [
        {"variant": variant, "gamma": gamma, "class": name, **totals}
        for (variant, gamma), made in found.items()
        for name, totals in zip(CLASSES, made["classes"], strict=True)
    ]


_FIG7_PANELS = (
    ("delay_s", "start-up delay (s)"),
    ("rejection_ratio", "share of requests refused"),
    ("relative_rate", "relative rate"),
)


def _fig7_draw(made: Sequence[Row]) -> Figure:
    figure, axes = drawing.panels(
        len(GAMMAS), len(_FIG7_PANELS), width=9.5, height=2.7 * len(GAMMAS)
    )
    looks = [(gamma, *panel) for gamma in GAMMAS for panel in _FIG7_PANELS]
    for one, (gamma, name, title) in zip(axes, looks, strict=True):
        tall = {
            variant: column(chosen(made, variant=variant, gamma=gamma), name)
            for variant in drawing.VARIANTS
        }
        drawing.grouped(one, tall, CLASSES, width=0.24, fontsize=8)
        one.set_title(f"{title}, gamma {gamma:g}", fontsize=9)
    drawing.legend(axes[0])
    return figure


def _fig7_claims(made: Sequence[Row]) -> list[Claim]:
    found = []
    for gamma in GAMMAS:
        some = chosen(made, variant="virca", gamma=gamma)
        delays = ", ".join(f"{value:.3g}" for value in column(some, "delay_s"))
        refused = ", ".join(percent(value) for value in column(some, "rejection_ratio"))
        who = f"gamma {gamma:g}, ViRCA"
        found += claims_of(
            (
                f"{who}: start-up delay from most to least popular",
                "shown, not stated",
                f"{delays} s",
            ),
            (f"{who}: refused", "does not depend on popularity", refused),
        )
    return found


FIG6 = Experiment(
    title="all metrics at load 1",
    cases=cases,
    rows=_fig6_rows,
    draw=_fig6_draw,
    claims=_fig6_claims,
)
FIG7 = Experiment(
    title="metrics by popularity at load 1",
    cases=cases,
    rows=_fig7_rows,
    draw=_fig7_draw,
    claims=_fig7_claims,
)
