"""Pictures of a plan or a front: what `work.run` made in, PNG files out. Drawn in the worker only.

Hues are told apart by readers with any colour vision, and nothing is told by hue alone.
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

_INK, _FAINT, _PAPER = "#1b1e23", "#b9bec7", "#ffffff"
_ON, _SWITCH_ONLY, _OFF = "#0072b2", "#56b4e9", "#e6e8ec"
_ROUTE, _FILL, _BASE_BAND = "#d55e00", "#009e73", "#cc79a7"
_PARTS = (
    ("servers_w", "servers", "#0072b2"),
    ("switches_w", "switches", "#e69f00"),
    ("routers_w", "routers", "#999999"),
)
_DPI = 120
Told = Mapping[str, Any]
Place = tuple[float, float]


def draw(made: Told, folder: Path) -> list[str]:
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


def plan(made: Told) -> Figure:
    """The network with what is on and off, the routes, and what runs where."""
    found = made["plan"]
    place = layout(found["nodes"], made["links"])
    levels: dict[int, int] = {}
    for node in found["nodes"]:
        levels[node["level"]] = levels.get(node["level"], 0) + 1
    width = min(60.0, max(9.0, 1.1 * max(levels.values(), default=1) + 2))
    figure = Figure(figsize=(width, 2.0 + 1.7 * max(2, len(levels))), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Axes = figure.add_subplot()
    axes.set_axis_off()
    for a, b in made["links"]:
        axes.plot(*zip(place[a], place[b], strict=True), color=_FAINT, lw=1, zorder=1)
    _routes(axes, found["flows"], place)
    for end, host in found["hosts"].items():
        if end != host:
            _arrow(axes, (place[host], place[end]), _BASE_BAND, 1.6, -0.16, "dotted")
    for node in found["nodes"]:
        _node(axes, node, place[node["name"]])
    on = sum(node["switch_on"] for node in found["nodes"])
    power, share = found["power"], made["gap_share"]
    axes.set_title(
        f"{found['variant']}: {power['total_w'] / 1000:.1f} kW, QoE {found['qoe']:.1f} of "
        f"{made['full_qoe']:.1f}, {on} of {len(found['nodes'])} nodes on"
        + (f", gap {share:.2%} of full power" if share is not None else ""),
        color=_INK,
        fontsize=12,
    )
    axes.legend(handles=_legend(), loc="lower center", ncols=3, fontsize=8, frameon=False)
    low = min((y for _x, y in place.values()), default=0.0)
    axes.set_ylim(low - 0.95, 0.45)
    axes.margins(x=0.05)
    return figure


def layout(nodes: Sequence[Told], links: Sequence[Sequence[str]]) -> dict[str, Place]:
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


def _routes(axes: Axes, flows: Sequence[Told], place: Mapping[str, Place]) -> None:
    """Each lightpath in use once, as wide as its traffic."""
    carried: dict[tuple[str, str, bool], float] = {}
    for flow in flows:
        path, fetched = flow["path"], not flow["end"]
        for a, b in pairwise(path):
            carried[a, b, fetched] = carried.get((a, b, fetched), 0.0) + flow["mbps"]
    most = max(carried.values(), default=1.0)
    for (a, b, fetched), mbps in sorted(carried.items()):
        width = 0.8 + 3.2 * mbps / most
        bend = 0.09 if fetched else 0.16
        style = "dashed" if fetched else "solid"
        _arrow(axes, (place[a], place[b]), _FILL if fetched else _ROUTE, width, bend, style)


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
            "alpha": 0.75,
            "shrinkA": 10,
            "shrinkB": 11,
            "connectionstyle": f"arc3,rad={bend}",
        },
        zorder=2,
    )


def _node(axes: Axes, node: Told, at: Place) -> None:
    color = _ON if node["router_on"] else _SWITCH_ONLY if node["switch_on"] else _OFF
    shape = {"fixed": "s", "mobile": "^"}.get(node["access"], "o")
    edge = _INK if node["switch_on"] else _FAINT
    axes.scatter(*at, s=260, c=color, marker=shape, edgecolors=edge, linewidths=1.2, zorder=3)
    lines = [node["name"] + (" (PoP)" if node["is_pop"] else "")]
    if node["bbu_vcpus"]:
        lines.append(f"BBU {node['bbu_vcpus']}")
    if node["transcode_vcpus"]:
        lines.append(f"video {node['transcode_vcpus']}")
    if node["cached_gb"] >= 0.05:
        lines.append(f"cache {node['cached_gb']:.0f} GB")
    axes.annotate(
        "\n".join(lines),
        at,
        xytext=(0, -13),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7,
        color=_INK if node["switch_on"] else "#6b7280",
        bbox={"boxstyle": "round,pad=0.15", "fc": _PAPER, "ec": "none", "alpha": 0.8},
        zorder=4,
    )


def _legend() -> list[Patch | Line2D]:
    def shape(marker: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, mfc=_PAPER, mec=_INK, ms=8, label=label)

    return [
        Patch(fc=_ON, ec=_INK, label="on"),
        Patch(fc=_SWITCH_ONLY, ec=_INK, label="on, router off"),
        Patch(fc=_OFF, ec=_FAINT, label="off"),
        Line2D([], [], color=_ROUTE, lw=2.5, label="to viewers"),
        Line2D([], [], color=_FILL, lw=1.5, ls="dashed", label="from the PoP into caches"),
        Line2D([], [], color=_BASE_BAND, lw=1.6, ls="dotted", label="deported base band (CPRI)"),
        shape("s", "homes"),
        shape("^", "base station"),
        shape("o", "transit"),
    ]


def front(made: Told) -> Figure:
    """Quality over power, and beside it what the power goes into."""
    points = [point for point in made["front"] if point["qoe"] is not None]
    ideal = [point for point in points if point["ideal"]]
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _scatter(left, points, ideal, made)
    names = [f"{point['qoe']:.0f}" for point in ideal]
    base = [0.0] * len(ideal)
    for field, label, color in _PARTS:
        height = [point[field] / 1000 for point in ideal]
        right.bar(names, height, bottom=base, color=color, label=label, width=0.75)
        base = [one + other for one, other in zip(base, height, strict=True)]
    right.set_xlabel("QoE of the point")
    right.set_ylabel("power, kW")
    right.tick_params(axis="x", rotation=60)
    right.margins(y=0.18)
    right.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _scatter(axes: Axes, points: Sequence[Told], ideal: Sequence[Told], made: Told) -> None:
    def spots(some: Sequence[Told]) -> tuple[list[float], list[float]]:
        return [one["power_w"] / 1000 for one in some], [one["qoe"] for one in some]

    axes.step(*spots(ideal), where="post", color=_FAINT, lw=1, zorder=1)
    weighed = [point for point in ideal if point["gamma"] is not None]
    floors = [point for point in ideal if point["gamma"] is None]
    beaten = [point for point in points if not point["ideal"]]
    axes.scatter(*spots(weighed), c=_ON, marker="o", label="by weight", zorder=3)
    axes.scatter(*spots(floors), c=_ROUTE, marker="D", s=28, label="by QoE floor", zorder=3)
    axes.scatter(*spots(beaten), c=_FAINT, marker="x", label="beaten by another", zorder=2)
    axes.set_xlabel("power, kW")
    axes.set_ylabel(f"QoE (all demand at its best: {made['full_qoe']:.0f})")
    axes.set_title(f"Pareto front of {made['variant']}", fontsize=11, color=_INK)
    axes.legend(frameon=False, fontsize=8)
