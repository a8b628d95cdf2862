"""How all pictures look: rows in, a matplotlib Figure out, a Figure to PNG bytes.

Hues are told apart by readers with any colour vision, and nothing is told by hue alone.
"""

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from umbel.planner.problem import Variant

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


def stacked(axes: Axes, at: list[float], parts: list[list[float]], width: float = 0.6) -> None:
    """Bars of servers, switches and routers in kW; `parts` in W, as PARTS has them."""
    base = [0.0] * len(at)
    for (_name, label, hue, hatch), watts in zip(PARTS, parts, strict=True):
        tall = [value / 1000 for value in watts]
        axes.bar(at, tall, width, base, color=hue, hatch=hatch, edgecolor="white", label=label)
        base = [below + more for below, more in zip(base, tall, strict=True)]


def png(figure: Figure) -> bytes:
    """The same bytes for the same rows."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI, metadata={"Software": None})
    return data.getvalue()
