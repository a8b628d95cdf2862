"""Figures 8, 9 and 10: audiences that move in time and space, and catalogues that change.

Four quarters; the end nodes are divided in halves. Figure 8's run is one of figure 9's.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.config import Config, Phase, Steering
from umbel.simulator.experiments import drawing, plans
from umbel.simulator.experiments.drawing import CAUSES
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


def _of_most(values: list[float]) -> list[float]:
    most = max(values)
    return [value / most if most else 0.0 for value in values]


def _hours(some: Sequence[Row]) -> list[float]:
    return [from_s / 3600 for from_s in column(some, "from_s")]


def _marked(axes: Axes, some: Sequence[Row]) -> None:
    """Where it was optimised again: dashed for ViRCA, dotted for RCA."""
    for row in some:
        for why in str(row["marks"]).split():
            style = "--" if why == "virca" else ":"
            at_h = number(row, "from_s") / 3600
            axes.axvline(at_h, color="#555555", linestyle=style, linewidth=0.7, zorder=0)


def _course_draw(made: Sequence[Row]) -> Figure:
    """What is on, what quality, what was refused and why, over time."""
    figure, axes = drawing.panels(4, 1, width=7.2, height=6.8, share_x=True)
    at_h = _hours(made)
    axes[0].plot(at_h, _of_most(column(made, "nodes_on")), color="#0072b2", label="nodes on")
    for name, label, hue, style in (
        ("bbu_vcpus", "vCPUs for base bands", "#d55e00", "--"),
        ("transcode_vcpus", "vCPUs for transcoding", "#009e73", "-."),
    ):
        most = max(column(made, "bbu_vcpus") + column(made, "transcode_vcpus"))
        shares = [value / most if most else 0.0 for value in column(made, name)]
        axes[0].plot(at_h, shares, color=hue, linestyle=style, label=label)
    axes[0].set_ylabel("share of the most")
    axes[1].plot(at_h, column(made, "relative_rate"), color="#0072b2")
    axes[1].set_ylabel("relative rate")
    axes[1].set_ylim(0, 1.05)
    for name, label, hue, mark in CAUSES:
        counts = column(made, name)
        some = [place for place, count in enumerate(counts) if count]
        if some:
            axes[2].plot(
                [at_h[place] for place in some],
                [counts[place] for place in some],
                linestyle="none",
                marker=mark,
                ms=4,
                color=hue,
                label=label,
            )
    axes[2].set_ylabel("refused, by cause")
    axes[3].plot(at_h, [watt / 1000 for watt in column(made, "power_w")], color="#0072b2")
    axes[3].set_ylabel("power (kW)")
    axes[3].set_xlabel("hours (dashed: ViRCA, dotted: RCA)")
    for one in axes:
        _marked(one, made)
    for one in (axes[0], axes[2]):
        if one.get_legend_handles_labels()[0]:
            one.legend(frameon=False, fontsize=8)
    return figure


def _fig8_claims(made: Sequence[Row]) -> list[Claim]:
    last = quarter_of(made, 1)[-10:]
    ends = quarter_of(made, 3)
    bbu = column(made, "bbu_vcpus")
    power_kw = [[watt / 1000 for watt in column(some, "power_w")] for some in (last, ends[-3:])]
    return [
        Claim(what="vCPUs of base bands", paper="constant", ours=span(bbu)),
        *(
            Claim(
                what=f"refused in quarter {place + 1}",
                paper=("", "a drop, then back to the most", "a drop, then back", "none")[place],
                ours=_fading(quarter_of(made, place)),
            )
            for place in range(1, _QUARTERS)
        ),
        Claim(
            what="least relative rate of a bin",
            paper="drops when the crowd comes",
            ours=f"{min(v for v in column(made, 'relative_rate') if v == v):.3f}",  # noqa: PLR0124
        ),
        Claim(
            what="power at the end of the first crowd, and at the end",
            paper="scaled back down",
            ours=f"{power_kw[0][-1]:.1f}, {power_kw[1][-1]:.1f} kW",
        ),
    ]


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
    figure, axes = drawing.panels(2, 1, width=8.0, height=5.5, share_x=True)
    for vcpus, style in ((_VCPUS, "-"), (_MORE_VCPUS, "--")):
        for variant in (Variant.VIRCA, Variant.VIRCA3):
            name, hue, _mark = drawing.VARIANTS[variant.value]
            some = chosen(made, variant=variant.value, vcpus_per_server=vcpus)
            label = f"{name}, {vcpus} vCPUs a server"
            at_h = _hours(some)
            if variant is Variant.VIRCA:
                shares = column(some, "multipath_share")
                axes[0].plot(at_h, shares, color=hue, linestyle=style, label=label)
            axes[1].plot(at_h, _sums(some), color=hue, linestyle=style, label=label)
    axes[0].set_ylabel("requests on several paths")
    axes[1].set_ylabel("refused so far")
    axes[1].set_xlabel("hours")
    for one in axes:
        one.legend(frameon=False, fontsize=8)
    return figure


def _sums(some: Sequence[Row]) -> list[float]:
    total, found = 0.0, []
    for row in some:
        total += sum(number(row, name) for name, *_look in CAUSES)
        found.append(total)
    return found


def _fig9_claims(made: Sequence[Row]) -> list[Claim]:
    found = []
    for vcpus, paper in ((_VCPUS, "15 to 25 %"), (_MORE_VCPUS, "more")):
        some = chosen(made, variant="virca", vcpus_per_server=vcpus)
        crowd = [
            number(row, "multipath_share")
            for place in (1, 2)
            for row in quarter_of(some, place)
            if row["multipath_share"] is not None
        ]
        middle = sum(crowd) / len(crowd) if crowd else float("nan")
        found.append(
            Claim(
                what=f"{vcpus} vCPUs a server: on several paths during the crowds, on average",
                paper=paper,
                ours=percent(middle),
            )
        )
    for vcpus, paper in ((_VCPUS, ""), (_MORE_VCPUS, "about 50 %")):
        of = {
            name: refused(chosen(made, variant=name, vcpus_per_server=vcpus))
            for name in ("virca", "virca3")
        }
        fewer = 1 - of["virca"] / of["virca3"] if of["virca3"] else float("nan")
        both = f"{percent(of['virca'])} against {percent(of['virca3'])}"
        found.append(
            Claim(
                what=f"{vcpus} vCPUs a server: fewer refused than with ViRCA3",
                paper=paper,
                ours=f"{percent(fewer)} ({both})",
            )
        )
    return found


def _fig10_claims(made: Sequence[Row]) -> list[Claim]:
    rates = [
        f"{sum(column(some, 'relative_rate')) / len(some):.3f}"
        for some in (_filled(quarter_of(made, place)) for place in range(_QUARTERS))
    ]
    shares = [percent(refused(quarter_of(made, place))) for place in range(_QUARTERS)]
    return [
        Claim(what="relative rate by quarter", paper="kept up", ours=", ".join(rates)),
        Claim(what="refused by quarter", paper="", ours=", ".join(shares)),
    ]


def _filled(some: Sequence[Row]) -> list[Row]:
    return [row for row in some if row["relative_rate"] is not None]


FIG8 = Experiment(
    title="flash crowds in time and space, gamma 10",
    cases=lambda quick: {("virca", _VCPUS): _run(quick)},
    rows=_series_rows,
    draw=_course_draw,
    claims=_fig8_claims,
)
FIG9 = Experiment(
    title="several paths, and refusals beside ViRCA3, in figure 8's crowds",
    cases=_fig9_cases,
    rows=_series_rows,
    draw=_fig9_draw,
    claims=_fig9_claims,
)
FIG10 = Experiment(
    title="another catalogue, load 0.05, gamma 10",
    cases=lambda quick: {("virca", _VCPUS): _other_catalogue(quick)},
    rows=_series_rows,
    draw=_course_draw,
    claims=_fig10_claims,
)
