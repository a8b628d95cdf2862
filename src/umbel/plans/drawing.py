"""Pictures of a plan or a front: what `work.run` made in, PNG files out. Drawn by `work` only.

Readers with any colour vision can tell the hues apart, and nothing depends on hue alone.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

_INK, _SOFT, _FAINT, _PAPER = "#1b1e23", "#5b6270", "#c3c8d0", "#ffffff"
_ON, _SWITCH_ONLY, _OFF = "#0072b2", "#7fc4ea", "#eceef1"
_ROUTE, _FILL, _BASE_BAND = "#d55e00", "#009e73", "#cc79a7"
# Rising from what a plan can do least about: nodes that are on need these two whatever they do.
_PARTS = (
    ("routers_w", "routers", "#8f96a3"),
    ("switches_w", "switches", "#e69f00"),
    ("servers_w", "servers", "#0072b2"),
)
_DPI = 130
# Rates are written at the arrows up to so many of them.
_MOST_RATES = 24
Answer = Mapping[str, Any]
Place = tuple[float, float]


def draw(made: Answer, folder: Path) -> list[str]:
    """`plan.png` or `front.png` in the folder; nothing for a plan that is not there."""
    if "front" in made:
        _save(front(made), folder / "front.png")
        return ["front.png"]
    if made.get("plan") is None:
        return []
    _save(plan(made), folder / "plan.png")
    return ["plan.png"]


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, facecolor=_PAPER, metadata={"Software": None})


def plan(made: Answer) -> Figure:
    """The network with what is on and off, the routes, and what runs where."""
    found = made["plan"]
    place = layout(found["nodes"], made["links"])
    levels: dict[int, int] = {}
    for node in found["nodes"]:
        levels[node["level"]] = levels.get(node["level"], 0) + 1
    width = min(60.0, max(10.0, 1.15 * max(levels.values(), default=1) + 2))
    height = 1.7 * max(2, len(levels)) + 0.9
    figure = Figure(figsize=(width, height + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Axes
    top, axes = figure.subplots(2, 1, height_ratios=[0.3, height - 0.3])
    _sums(top, made)
    axes.set_axis_off()
    ys = [y for _x, y in place.values()] or [0.0]
    lowest = [node for node in found["nodes"] if place[node["name"]][1] < min(ys) + 0.3]
    lines = max((len(_lines(node)) for node in lowest), default=1)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(min(ys) - 0.2 - 0.09 * lines, max(ys) + 0.24)
    for a, b in made["links"]:
        axes.plot(*zip(place[a], place[b], strict=True), color=_FAINT, lw=1, zorder=1)
    for node in found["nodes"]:
        _node(axes, node, place[node["name"]], max(levels, default=0))
    for end, host in found["hosts"].items():
        if end != host:
            _arrow(axes, (place[host], place[end]), _BASE_BAND, 1.8, -0.16, "dotted")
    figure.legend(
        handles=_legend(found), loc="outside lower center", ncols=3, fontsize=8, frameon=False
    )
    # Bends are in pixels: rates can only be put next to them once the axes have their place.
    figure.draw_without_rendering()
    _routes(axes, found["flows"], place)
    return figure


def _sums(axes: Axes, made: Answer) -> None:
    """Power by part next to the power with everything on, in one bar; quality in words."""
    found = made["plan"]
    power, full_w = found["power"], made["full_power_w"]
    on = sum(node["switch_on"] for node in found["nodes"])
    share = 100 * found["qoe"] / made["full_qoe"] if made["full_qoe"] else 100.0
    gap = "" if made["gap_share"] is None else f", at most {made['gap_share']:.2%} from the best"
    axes.set_title(
        f"{found['variant']}: {power['total_w'] / 1000:.1f} of {full_w / 1000:.1f} kW for "
        f"{share:.1f}% of the best quality; {on} of {len(found['nodes'])} nodes on{gap}",
        color=_INK,
        fontsize=11,
    )
    axes.barh(0, full_w, color=_OFF, height=1.0)
    left = 0.0
    for field, label, color in _PARTS:
        axes.barh(0, power[field], left=left, color=color, height=1.0)
        ink = _PAPER if label == "servers" else _INK
        if power[field] > 0.055 * full_w:
            _label(axes, left + power[field] / 2, f"{label} {power[field] / 1000:.1f}", ink)
        left += power[field]
    if full_w - left > 0.1 * full_w:
        _label(axes, (left + full_w) / 2, f"saved {(full_w - left) / 1000:.1f}", _SOFT)
    axes.set_xlim(-0.03 * full_w, 1.03 * full_w)
    axes.set_axis_off()


def _label(axes: Axes, x: float, text: str, color: str) -> None:
    axes.text(x, 0, text, ha="center", va="center_baseline", fontsize=7.5, color=color)


def layout(nodes: Sequence[Answer], links: Sequence[Sequence[str]]) -> dict[str, Place]:
    """Levels from the PoP downwards; in a level each is as near below its neighbours as it may."""
    near: dict[str, list[str]] = {node["name"]: [] for node in nodes}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    place: dict[str, Place] = {}
    for depth, level in enumerate(sorted({node["level"] for node in nodes})):
        names = [node["name"] for node in nodes if node["level"] == level]
        above = {n: [place[other][0] for other in near[n] if other in place] for n in names}
        row = sorted(names, key=lambda n: sum(above[n]) / len(above[n]) if above[n] else 0.5)
        for number, name in enumerate(row):
            # Every other one lower, so that names have room.
            stagger = 0.22 * (number % 2) if len(row) > 6 else 0.0
            place[name] = ((number + 0.5) / len(row), -float(depth) - stagger)
    return place


def _routes(axes: Axes, flows: Sequence[Answer], place: Mapping[str, Place]) -> None:
    """Each lightpath in use once, as wide as its traffic."""
    carried: dict[tuple[str, str, bool], float] = {}
    for flow in flows:
        path, fetched = flow["path"], not flow["end"]
        for a, b in pairwise(path):
            carried[a, b, fetched] = carried.get((a, b, fetched), 0.0) + flow["mbps"]
    most = max(carried.values(), default=1.0)
    sent = sum(not fetched for _a, _b, fetched in carried)
    for (a, b, fetched), mbps in sorted(carried.items()):
        width = 0.9 + 3.6 * mbps / most
        # What passes a level bows the other way, so that it does not lie on the hops it spares.
        passes = abs(place[a][1] - place[b][1]) > 1.4
        bend = (0.08 if fetched else 0.16) * (-1.4 if passes else 1.0)
        color, style = (_FILL, "dashed") if fetched else (_ROUTE, "solid")
        _arrow(axes, (place[a], place[b]), color, width, bend, style)
        if not fetched and sent <= _MOST_RATES:
            _rate(axes, (place[a], place[b]), bend, mbps)


def _arrow(
    axes: Axes, ends: tuple[Place, Place], color: str, width: float, bend: float, style: str
) -> None:
    axes.annotate(
        "",
        xy=ends[1],
        xytext=ends[0],
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "lw": width,
            "linestyle": style,
            "alpha": 0.85,
            "shrinkA": 12,
            "shrinkB": 13,
            "connectionstyle": f"arc3,rad={bend}",
        },
        zorder=2,
    )


def _rate(axes: Axes, ends: tuple[Place, Place], bend: float, mbps: float) -> None:
    """The rate in the middle of an arrow's bow."""
    (x0, y0), (x1, y1) = axes.transData.transform(ends)
    middle = ((x0 + x1 + bend * (y1 - y0)) / 2, (y0 + y1 - bend * (x1 - x0)) / 2)
    x, y = axes.transData.inverted().transform(middle)
    axes.text(
        x,
        y,
        f"{mbps:.0f}" if mbps >= 10 else f"{mbps:.1f}",
        fontsize=7,
        color=_ROUTE,
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.12", "fc": _PAPER, "ec": "none", "alpha": 0.9},
        zorder=5,
    )


def _node(axes: Axes, node: Answer, at: Place, lowest: int) -> None:
    color = _ON if node["router_on"] else _SWITCH_ONLY if node["switch_on"] else _OFF
    shape = {"fixed": "s", "mobile": "^"}.get(node["access"], "o")
    edge = _INK if node["switch_on"] else _FAINT
    axes.scatter(*at, s=330, c=color, marker=shape, edgecolors=edge, linewidths=1.2, zorder=3)
    # Below at the bottom; elsewhere outwards, where fewer lines are.
    if node["level"] == lowest:
        offset, across, up = (0, -16), "center", "top"
    elif at[0] < 0.5:
        offset, across, up = (-15, 6), "right", "center"
    else:
        offset, across, up = (15, 6), "left", "center"
    axes.annotate(
        "\n".join(_lines(node)),
        at,
        xytext=offset,
        textcoords="offset points",
        ha=across,
        va=up,
        fontsize=7.5,
        linespacing=1.3,
        color=_INK if node["switch_on"] else _SOFT,
        bbox={"boxstyle": "round,pad=0.15", "fc": _PAPER, "ec": "none", "alpha": 0.85},
        zorder=4,
    )


def _lines(node: Answer) -> list[str]:
    """What is written at a node."""
    lines = [node["name"] + (" (PoP)" if node["is_pop"] else "")]
    if node["servers"]:
        lines.append(f"{node['servers']} server" + "s" * (node["servers"] > 1))
    if node["bbu_vcpus"]:
        lines.append(f"base bands {node['bbu_vcpus']} vCPU")
    if node["transcode_vcpus"]:
        lines.append(f"video {node['transcode_vcpus']} vCPU")
    if node["cached_gb"] >= 0.05:
        lines.append(f"cache {node['cached_gb']:.0f} GB")
    return lines


def _legend(found: Answer) -> list[Patch | Line2D]:
    def shape(marker: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, mfc=_PAPER, mec=_INK, ms=8, label=label)

    entries: list[Patch | Line2D] = [Patch(fc=_ON, ec=_INK, label="on")]
    if any(node["switch_on"] and not node["router_on"] for node in found["nodes"]):
        entries.append(Patch(fc=_SWITCH_ONLY, ec=_INK, label="on, router off"))
    return [
        *entries,
        Patch(fc=_OFF, ec=_FAINT, label="off"),
        Line2D([], [], color=_FAINT, lw=1, label="fibre"),
        Line2D([], [], color=_ROUTE, lw=2.5, label="to viewers, Mbit/s"),
        Line2D([], [], color=_FILL, lw=1.5, ls="dashed", label="from the PoP into caches"),
        Line2D([], [], color=_BASE_BAND, lw=1.8, ls="dotted", label="base band run elsewhere"),
        shape("s", "homes"),
        shape("^", "base station"),
        shape("o", "transit"),
    ]


def front(made: Answer) -> Figure:
    """Quality over power, and next to it what uses the power."""
    points = [point for point in made["front"] if point["qoe"] is not None]
    ideal = [point for point in points if point["ideal"]]
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    most = made["full_qoe"] or 1.0
    _scatter(left, points, ideal, made)
    share = [100 * point["qoe"] / most for point in ideal]
    base = [0.0] * len(ideal)
    for field, label, color in _PARTS:
        top = [one + point[field] / 1000 for one, point in zip(base, ideal, strict=True)]
        right.fill_between(share, base, top, color=color, lw=0, label=label)
        base = top
    right.plot(share, base, color=_INK, lw=1, marker="o", ms=3)
    right.set_xlabel("quality, % of all demand at its best")
    right.set_ylabel("power, kW")
    right.set_ylim(0, 1.25 * max(base, default=1.0))
    right.set_title("What the power goes into", fontsize=11, color=_INK)
    right.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eceef1", lw=0.8)
        axes.set_axisbelow(True)
    return figure


def _scatter(axes: Axes, points: Sequence[Answer], ideal: Sequence[Answer], made: Answer) -> None:
    most = made["full_qoe"] or 1.0

    def spots(some: Sequence[Answer]) -> tuple[list[float], list[float]]:
        return [one["power_w"] / 1000 for one in some], [100 * one["qoe"] / most for one in some]

    axes.step(*spots(ideal), where="post", color=_SOFT, lw=1, zorder=1)
    weighed = [point for point in ideal if point["gamma"] is not None]
    floors = [point for point in ideal if point["gamma"] is None]
    beaten = [point for point in points if not point["ideal"]]
    axes.scatter(*spots(weighed), c=_ON, marker="o", label="by weight", zorder=4)
    axes.scatter(*spots(floors), c=_ROUTE, marker="D", s=28, label="by QoE floor", zorder=4)
    if beaten:
        axes.scatter(*spots(beaten), c=_SOFT, marker="x", label="no better than another", zorder=3)
    known = [point for point in ideal if point["gap"] is not None]
    x, y = spots(known)
    gap = [[point["gap"] / 1000 for point in known], [0.0] * len(known)]
    axes.errorbar(x, y, xerr=gap, fmt="none", ecolor=_FAINT, lw=3, zorder=2, label="gap left open")
    axes.set_xlabel("power, kW")
    axes.set_ylabel(f"quality, % of all demand at its best ({most:.0f})")
    full_kw = made["full_power_w"] / 1000
    axes.set_title(
        f"Pareto front of {made['variant']}; everything on: {full_kw:.1f} kW",
        fontsize=11,
        color=_INK,
    )
    axes.legend(frameon=False, fontsize=8, loc="lower right")
