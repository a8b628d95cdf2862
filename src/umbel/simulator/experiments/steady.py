"""Figures 6 and 7: three planners steering the mobile backhaul at full load, in all and by how
popular the content is. Both come from the same runs.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Phase, Steering, Topology
from umbel.simulator.experiments import drawing
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
from umbel.simulator.experiments.simulation import CLASSES
from umbel.simulator.experiments.tasks import Simulation

_REJECTED = ("rejected_cpu", "rejected_bandwidth", "rejected_fill", "rejected_unreachable")


def cases(quick: bool) -> Cases:
    """(variant,): load 1, gamma 1, after a warm-up that fills caches and sessions."""
    return {(variant.value,): _run(quick, variant) for variant in Variant}


def _run(quick: bool, variant: Variant) -> Simulation:
    config = Config(
        topology=Topology.MOBILE_BACKHAUL,
        steering=Steering(variant.value),
        phases=(Phase(duration_s=900.0 if quick else 7200.0),),
        warmup_s=300.0 if quick else 3600.0,
        gamma=1.0,
        clusters=5 if quick else 20,
        solver_s=2.0 if quick else 30.0,
    )
    return Simulation(config=config, bin_s=300.0)


def _fig6_rows(found: Found) -> list[Row]:
    return [_fig6_row(variant, made["totals"], made) for (variant,), made in found.items()]


def _fig6_row(variant: str, totals: Row, made: Row) -> Row:
    series: dict[str, list[float]] = made["series"]  # type: ignore[assignment]
    power_w = series["power_w"]
    return {
        "variant": variant,
        **totals,
        "power_w": sum(power_w) / len(power_w),
        "nodes_on": sum(series["nodes_on"]) / len(power_w),
        "full_w": made["full_w"],
    }


_FIG6_PANELS = (
    ("rejection_ratio", "share of requests refused", 1.0),
    ("relative_rate", "relative rate", 1.0),
    ("delay_s", "start-up delay (s)", 1.0),
    ("power_w", "power (kW)", 0.001),
)


def _fig6_draw(made: Sequence[Row]) -> Figure:
    figure, axes = drawing.panels(1, len(_FIG6_PANELS), width=10.0, height=3.2)
    names = [drawing.VARIANTS[str(row["variant"])] for row in made]
    for one, (name, title, scale) in zip(axes, _FIG6_PANELS, strict=True):
        tall = [value * scale for value in column(made, name)]
        bars = one.bar([name for name, *_ in names], tall, 0.6, color=[hue for _, hue, _ in names])
        one.bar_label(bars, fmt="%.3g", fontsize=8)
        one.set_title(title, fontsize=10)
        one.tick_params(axis="x", labelsize=8)
    return figure


def _fig6_claims(made: Sequence[Row]) -> list[Claim]:
    of = {str(row["variant"]): row for row in made}

    def all_of(name: str, scale: float = 1.0, form: str = ".3g") -> str:
        return ", ".join(f"{number(of[one], name) * scale:{form}}" for one in of)

    return [
        Claim(
            what="refused, ViRCA, ViRCA2, ViRCA3",
            paper="fewest with ViRCA",
            ours=all_of("rejection_ratio", 100, ".1f") + " %",
        ),
        Claim(what="relative rate", paper="near 1 with all", ours=all_of("relative_rate")),
        Claim(
            what="start-up delay",
            paper="ViRCA between, ViRCA3 least",
            ours=all_of("delay_s") + " s",
        ),
        Claim(
            what="power",
            paper="ViRCA close to ViRCA3",
            ours=all_of("power_w", 0.001, ".1f") + " kW",
        ),
    ]


def _fig7_rows(found: Found) -> list[Row]:
    return [
        {"variant": variant, "class": name, **totals}
        for (variant,), made in found.items()
        for name, totals in zip(CLASSES, made["classes"], strict=True)
    ]


_FIG7_PANELS = (
    ("delay_s", "start-up delay (s)"),
    ("rejection_ratio", "share of requests refused"),
    ("relative_rate", "relative rate"),
)


def _fig7_draw(made: Sequence[Row]) -> Figure:
    figure, axes = drawing.panels(1, len(_FIG7_PANELS), width=9.5, height=3.2)
    for one, (name, title) in zip(axes, _FIG7_PANELS, strict=True):
        for place, (variant, (label, hue, _mark)) in enumerate(drawing.VARIANTS.items()):
            at = [number + 0.26 * (place - 1) for number in range(len(CLASSES))]
            one.bar(at, column(chosen(made, variant=variant), name), 0.24, color=hue, label=label)
        one.set_xticks(range(len(CLASSES)), CLASSES, fontsize=8)
        one.set_title(title, fontsize=10)
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _fig7_claims(made: Sequence[Row]) -> list[Claim]:
    some = chosen(made, variant="virca")
    delays = ", ".join(f"{value:.3g}" for value in column(some, "delay_s"))
    refused = ", ".join(percent(value) for value in column(some, "rejection_ratio"))
    return [
        Claim(
            what="ViRCA: start-up delay from most to least popular",
            paper="grows as popularity falls",
            ours=f"{delays} s",
        ),
        Claim(what="ViRCA: refused", paper="does not depend on popularity", ours=refused),
    ]


FIG6 = Experiment(
    title="all metrics at load 1, mobile backhaul, gamma 1",
    cases=cases,
    rows=_fig6_rows,
    draw=_fig6_draw,
    claims=_fig6_claims,
)
FIG7 = Experiment(
    title="metrics by popularity at load 1, mobile backhaul, gamma 1",
    cases=cases,
    rows=_fig7_rows,
    draw=_fig7_draw,
    claims=_fig7_claims,
)
