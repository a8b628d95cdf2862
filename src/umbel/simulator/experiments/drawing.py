"""How all pictures look: rows in, a matplotlib Figure out, a Figure to PNG bytes.

Readers with any colour vision can tell the hues apart, and nothing depends on hue alone.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from umbel.planner.problem import Variant
from umbel.simulator.experiments.experiment import Row, column

VARIANTS = {
    Variant.VIRCA.value: ("ViRCA", "#0072b2", "o"),
    Variant.VIRCA2.value: ("ViRCA2", "#d55e00", "s"),
    Variant.VIRCA3.value: ("ViRCA3", "#009e73", "^"),
}
PARTS = (
    ("servers_w", "servers", "#0072b2", ""),
    ("switches_w", "switches", "#e69f00", "//"),
    ("routers_w", "routers", "#999999", ".."),
)
CAUSES = (
    ("rejected_cpu", "1: CPU", "#0072b2", "o"),
    ("rejected_bandwidth", "2: bandwidth to the end", "#d55e00", "s"),
    ("rejected_fill", "4: bandwidth from the PoP", "#009e73", "^"),
    ("rejected_unreachable", "no path", "#000000", "x"),
)
_DPI = 90


def panels(
    rows: int, columns: int, *, width: float, height: float, share_x: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of that many inches, and its axes row by row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share_x)
    flat: list[Axes] = list(axes.ravel())
    for one in flat:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, linewidth=0.6)
        one.set_axisbelow(True)
    return figure, flat


def legend(axes: Axes, size: int = 8) -> None:
    """One where anything has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=size)


def power_panels(
    some: Mapping[str, tuple[Sequence[str], Sequence[Row]]],
    *,
    width: float,
    height: float,
    **ticks: Any,
) -> tuple[Figure, list[Axes]]:
    """A panel by title, in it a bar for each tick and row: servers, switches and routers in kW.
    `ticks` say how these look."""
    figure, axes = panels(1, len(some), width=width, height=height)
    for one, (title, (names, rows)) in zip(axes, some.items(), strict=True):
        at = [float(place) for place in range(len(rows))]
        base = [0.0] * len(at)
        for part, label, hue, hatch in PARTS:
            tall = [watts / 1000 for watts in column(rows, part)]
            one.bar(at, tall, 0.6, base, color=hue, hatch=hatch, edgecolor="white", label=label)
            base = [below + more for below, more in zip(base, tall, strict=True)]
        one.set_xticks(at, names, **ticks)
        one.set_title(title, fontsize=10)
    axes[0].set_ylabel("power (kW)")
    legend(axes[0], 9)
    return figure, axes


def grouped(
    axes: Axes,
    tall: Mapping[str, Sequence[float]],
    names: Sequence[str],
    *,
    width: float = 0.25,
    numbers: bool = False,
    **ticks: Any,
) -> None:
    """A group of bars for each name, in it one for each variant; `numbers` over them."""
    for place, (variant, (label, hue, _mark)) in enumerate(VARIANTS.items()):
        at = [group + (width + 0.02) * (place - 1) for group in range(len(names))]
        bars = axes.bar(at, tall[variant], width, color=hue, label=label)
        if numbers:
            axes.bar_label(bars, fmt="{:.3g}", fontsize=7)
    axes.set_xticks(range(len(names)), names, **ticks)


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values over hours in a panel, or with the style "none" marks alone."""

    panel: int
    at_h: Sequence[float]
    values: Sequence[float]
    hue: str
    label: str = ""
    style: str = "-"
    mark: str = ""


def timeline(
    titles: Sequence[str],
    lines: Sequence[Line],
    hours: str,
    *,
    width: float,
    height: float,
) -> tuple[Figure, list[Axes]]:
    """A panel for each title, below each other, with their lines over the same hours."""
    figure, axes = panels(len(titles), 1, width=width, height=height, share_x=True)
    for line in lines:
        axes[line.panel].plot(
            line.at_h,
            line.values,
            color=line.hue,
            label=line.label,
            linestyle=line.style,
            marker=line.mark,
            ms=4,
        )
    for one, title in zip(axes, titles, strict=True):
        one.set_ylabel(title)
        legend(one)
    axes[-1].set_xlabel(hours)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The same bytes for the same rows."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI, metadata={"Software": None})
    return data.getvalue()
