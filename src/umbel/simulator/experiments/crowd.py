"""Figures 8, 9 and 10: audiences that move in time and space, and catalogues that change.

Four quarters; the end nodes are divided in halves. Figure 8's run is one of figure 9's.
"""

import math
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.experiments import drawing, plans
from umbel.simulator.experiments.drawing import CAUSES, Line
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
    span,
)
from umbel.simulator.experiments.tasks import Simulation

CROWD = ((0.05, 0.05), (1.0, 0.05), (0.05, 1.0), (0.05, 0.05))
SHARES = ((1.0, 1.0), (1.0, 0.8), (0.8, 0.0), (0.0, 0.0))
_QUARTERS = len(CROWD)
_VCPUS, _MORE_VCPUS = 12, 48


def _run(quick: bool, variant: Variant = Variant.VIRCA, vcpus: int = _VCPUS) -> Simulation:
    quarter_s = _quarter_s(quick)
    quarters = tuple(Phase(duration_s=quarter_s, loads=loads) for loads in CROWD)
    return _simulation(quick, quarters, variant, vcpus)


def _other_catalogue(quick: bool) -> Simulation:
    quarter_s = _quarter_s(quick)
    quarters = tuple(
        Phase(duration_s=quarter_s, loads=(0.05, 0.05), first_shares=shares) for shares in SHARES
    )
    return _simulation(quick, quarters, Variant.VIRCA, _VCPUS)


def _quarter_s(quick: bool) -> float:
    return 600.0 if quick else 3600.0


def _simulation(
    quick: bool, quarters: tuple[Phase, ...], variant: Variant, vcpus: int
) -> Simulation:
    """The quick one has short quarters and looks three times as often."""
    often = 1 / 3 if quick else 1.0
    quarter_s = quarters[0].duration_s
    config = Config(
        topology=plans.network(quick),
        steering=Steering(variant.value),
        phases=quarters,
        warmup_s=quarter_s / 2,
        gamma=10.0,
        catalogues=2 if any(quarter.first_shares for quarter in quarters) else 1,
        vcpus_per_server=vcpus,
        clusters=4 if quick else 20,
        solver_s=3.0 if quick else 40.0,
        sample_s=240.0 * often,
        rca_s=300.0 * often,
        virca_s=1800.0 * often,
    )
    return Simulation(config=config, bin_s=quarter_s / 30)


def _series_rows(found: Found) -> list[Row]:
    """One for each bin of each run."""
    made_rows: list[Row] = []
    for case, made in found.items():
        variant, vcpus = case
        series = made["series"]
        starts = series["from_s"]
        until = [*starts[1:], float("inf")]
        for place, from_s in enumerate(starts):
            marks = [why for at_s, why in made["marks"] if from_s <= at_s < until[place]]
            made_rows.append(
                {
                    "variant": variant,
                    "vcpus_per_server": vcpus,
                    **{name: values[place] for name, values in series.items()},
                    "nodes_on_share": series["nodes_on"][place] / made["nodes"],
                    "marks": " ".join(marks),
                    "full_w": made["full_w"],
                }
            )
    return made_rows


def quarter_of(some: Sequence[Row], number_: int) -> list[Row]:
    """The bins of a quarter, from 0."""
    size = len(some) // _QUARTERS
    return list(some[number_ * size : (number_ + 1) * size])


def refused(some: Sequence[Row]) -> float:
    """The share of requests that were refused."""
    asked = sum(column(some, "requests"))
    return sum(sum(column(some, name)) for name, *_look in CAUSES) / asked if asked else 0.0


def _hours(some: Sequence[Row]) -> list[float]:
    return [from_s / 3600 for from_s in column(some, "from_s")]


def _marked(axes: Axes, some: Sequence[Row]) -> None:
    """Where it was optimised again: dashed for ViRCA, dotted for RCA."""
    for row in some:
        for why in str(row["marks"]).split():
            style = "--" if why == "virca" else ":"
            at_h = number(row, "from_s") / 3600
            axes.axvline(at_h, color="#555555", linestyle=style, linewidth=0.7, zorder=0)


def _steering_draw(made: Sequence[Row]) -> Figure:
    """What is on, what quality, what was refused and why, over time."""
    figure, axes = drawing.timeline(
        ("share of the most", "relative rate", "refused, by cause", "power (kW)"),
        list(_steering_lines(made)),
        "hours (dashed: ViRCA, dotted: RCA)",
        width=7.2,
        height=6.8,
    )
    axes[1].set_ylim(0, 1.05)
    for one in axes:
        _marked(one, made)
    return figure


def _steering_lines(made: Sequence[Row]) -> Iterator[Line]:
    at_h, blue = _hours(made), "#0072b2"
    nodes, bbu, transcode = (
        column(made, name) for name in ("nodes_on", "bbu_vcpus", "transcode_vcpus")
    )
    vcpus = max(bbu + transcode)
    for values, most, label, hue, style in (
        (nodes, max(nodes), "nodes on", blue, "-"),
        (bbu, vcpus, "vCPUs for base bands", "#d55e00", "--"),
        (transcode, vcpus, "vCPUs for transcoding", "#009e73", "-."),
    ):
        shares = [value / most if most else 0.0 for value in values]
        yield Line(panel=0, at_h=at_h, values=shares, hue=hue, label=label, style=style)
    yield Line(panel=1, at_h=at_h, values=column(made, "relative_rate"), hue=blue)
    for name, label, hue, mark in CAUSES:
        there = [row for row in made if number(row, name)]
        if there:
            yield Line(
                panel=2,
                at_h=_hours(there),
                values=column(there, name),
                hue=hue,
                label=label,
                style="none",
                mark=mark,
            )
    power_kw = [watts / 1000 for watts in column(made, "power_w")]
    yield Line(panel=3, at_h=at_h, values=power_kw, hue=blue)


def _fig8_claims(made: Sequence[Row]) -> list[Claim]:
    rates = [rate for rate in column(made, "relative_rate") if not math.isnan(rate)]
    power_kw = [number(quarter_of(made, place)[-1], "power_w") / 1000 for place in (1, 3)]
    drops = ("a drop, then back to the most", "a drop, then back", "none")
    return claims_of(
        ("vCPUs of base bands", "constant", span(column(made, "bbu_vcpus"))),
        *(
            (f"refused in quarter {place + 1}", paper, _fading(quarter_of(made, place)))
            for place, paper in enumerate(drops, 1)
        ),
        ("least relative rate of a bin", "drops when the crowd comes", f"{min(rates):.3f}"),
        (
            "power at the end of the first crowd, and at the end",
            "scaled back down",
            f"{power_kw[0]:.1f}, {power_kw[1]:.1f} kW",
        ),
    )


def _fading(quarter: Sequence[Row]) -> str:
    """Refused in each third of a quarter."""
    third = len(quarter) // 3
    parts = [quarter[place * third : (place + 1) * third] for place in range(3)]
    return ", ".join(percent(refused(part)) for part in parts) + " by thirds"


def _fig9_cases(quick: bool) -> Cases:
    """(variant, vCPUs of a server)."""
    return {
        (variant.value, vcpus): _run(quick, variant, vcpus)
        for vcpus in (_VCPUS, _MORE_VCPUS)
        for variant in (Variant.VIRCA, Variant.VIRCA3)
    }


def _fig9_draw(made: Sequence[Row]) -> Figure:
    lines = []
    for vcpus, style in ((_VCPUS, "-"), (_MORE_VCPUS, "--")):
        for variant in (Variant.VIRCA, Variant.VIRCA3):
            name, hue, _mark = drawing.VARIANTS[variant.value]
            some = chosen(made, variant=variant.value, vcpus_per_server=vcpus)
            shown = [(1, _sums(some))]
            if variant is Variant.VIRCA:
                shown.append((0, column(some, "multipath_share")))
            lines += [
                Line(
                    panel=panel,
                    at_h=_hours(some),
                    values=values,
                    hue=hue,
                    label=f"{name}, {vcpus} vCPUs a server",
                    style=style,
                )
                for panel, values in shown
            ]
    titles = ("requests on several paths", "refused so far")
    figure, _axes = drawing.timeline(titles, lines, "hours", width=8.0, height=5.5)
    return figure


def _sums(some: Sequence[Row]) -> list[float]:
    total, found = 0.0, []
    for row in some:
        total += sum(number(row, name) for name, *_look in CAUSES)
        found.append(total)
    return found


def _fig9_claims(made: Sequence[Row]) -> list[Claim]:
    several, fewer = [], []
    for vcpus, paper, fewer_paper in (
        (_VCPUS, "15 to 25 %", ""),
        (_MORE_VCPUS, "more", "about 50 %"),
    ):
        of = {
            name: chosen(made, variant=name, vcpus_per_server=vcpus) for name in ("virca", "virca3")
        }
        what = f"{vcpus} vCPUs a server"
        shares = percent(_on_several_paths(of["virca"]))
        several.append((f"{what}: on several paths during the crowds, on average", paper, shares))
        ours, theirs = (refused(some) for some in of.values())
        less = percent(1 - ours / theirs if theirs else float("nan"))
        both = f"{less} ({percent(ours)} against {percent(theirs)})"
        fewer.append((f"{what}: fewer refused than with ViRCA3", fewer_paper, both))
    return claims_of(*several, *fewer)


def _on_several_paths(some: Sequence[Row]) -> float:
    """The mean share during the crowds."""
    crowds = [*quarter_of(some, 1), *quarter_of(some, 2)]
    shares = [number(row, "multipath_share") for row in _filled(crowds, "multipath_share")]
    return sum(shares) / len(shares) if shares else float("nan")


def _fig10_claims(made: Sequence[Row]) -> list[Claim]:
    quarters = [quarter_of(made, place) for place in range(_QUARTERS)]
    rates = [column(_filled(some, "relative_rate"), "relative_rate") for some in quarters]
    return claims_of(
        (
            "relative rate by quarter",
            "kept up",
            ", ".join(f"{sum(some) / len(some):.3f}" for some in rates),
        ),
        ("refused by quarter", "", ", ".join(percent(refused(some)) for some in quarters)),
    )


def _filled(some: Sequence[Row], name: str) -> list[Row]:
    return [row for row in some if row[name] is not None]


FIG8 = Experiment(
    title="flash crowds in time and space, gamma 10",
    cases=lambda quick: {("virca", _VCPUS): _run(quick)},
    rows=_series_rows,
    draw=_steering_draw,
    claims=_fig8_claims,
)
FIG9 = Experiment(
    title="several paths, and refusals compared with ViRCA3, in figure 8's crowds",
    cases=_fig9_cases,
    rows=_series_rows,
    draw=_fig9_draw,
    claims=_fig9_claims,
)
FIG10 = Experiment(
    title="another catalogue, load 0.05, gamma 10",
    cases=lambda quick: {("virca", _VCPUS): _other_catalogue(quick)},
    rows=_series_rows,
    draw=_steering_draw,
    claims=_fig10_claims,
)
