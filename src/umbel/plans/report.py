"""A plan or a front for people: what `work` made in, tables on a console out."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_MOST_ROUTES = 40
# A share of requests that is too small to report.
_TOLD = 5e-4
_WORDS = {
    "optimal": "optimal within the gap",
    "feasible": "the best known; time ran out",
    "infeasible": "there is no plan",
    "unknown": "no plan was found in time, nor a proof that there is none",
}


def show(made: Mapping[str, Any], console: Console, *, why: bool = False) -> None:
    """Print it."""
    if "front" in made:
        _front(made, console)
        return
    console.print(_headline(made), highlight=False, soft_wrap=True)
    for one in made["binding"]:
        console.print(f"  binding: {one['family']} {one['what']}", highlight=False, markup=False)
    if made["plan"] is not None:
        console.print(_nodes(made["plan"]))
        console.print(_services(made["plan"]))
        console.print(_flows(made["plan"]))
    if made["plan"] is not None and why:
        _reasons(made["plan"], console)


def _table(title: str, *columns: str) -> Table:
    """A table of named columns; those whose name begins with # hold numbers, and the last one may
    take several lines."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in columns:
        numbers = name.startswith("#")
        table.add_column(
            name.removeprefix("#"),
            justify="right" if numbers else "left",
            no_wrap=name != columns[-1],
            overflow="fold" if name == columns[-1] else "ellipsis",
        )
    return table


def _headline(made: Mapping[str, Any]) -> str:
    text = f"{_WORDS[made['meaning']]} ({made['solver']}, {made['run_s']:.2f} s)"
    found = made["plan"]
    if found is None:
        return text
    power, full_w, qoe = found["power"], made["full_power_w"], found["qoe"]
    parts = ", ".join(
        f"{name} {power[f'{name}_w']:.0f}" for name in ("servers", "switches", "routers")
    )
    gap = "unknown" if made["gap"] is None else f"{made['gap']:.0f} W ({made['gap_share']:.2%})"
    best = made["full_qoe"]
    share = f" ({qoe / best:.1%})" if best else ""
    return (
        f"{text}\n"
        f"  power    {power['total_w']:.0f} W of {full_w:.0f} W with everything on ({parts})\n"
        f"  quality  QoE {qoe:.2f} of {best:.2f}, all demand at its best{share}\n"
        f"  gap      {gap}: no plan is better by more"
    )


def _nodes(found: Mapping[str, Any]) -> Table:
    titles = ("node", "is", "state", "#servers", "#BBU", "#video", "#cache, GB", "base bands of")
    table = _table("Nodes (vCPUs of base bands and of video)", *titles)
    for node in found["nodes"]:
        name = node["name"]
        ends = [end for end, host in found["hosts"].items() if host == name]
        table.add_row(
            escape(name),
            "PoP" if node["is_pop"] else node["access"],
            "on" if node["router_on"] else "router off" if node["switch_on"] else "off",
            f"{node['servers']}/{node['most_servers']}",
            *(str(node[key] or "-") for key in ("bbu_vcpus", "transcode_vcpus")),
            f"{node['cached_gb']:.0f}/{node['storage_gb']:.0f}",
            escape(", ".join(ends)),
            style=None if node["switch_on"] else "dim",
        )
    return table


def _services(found: Mapping[str, Any]) -> Table:
    table = _table("Who serves whom", "end", "#unserved", "#Mbit/s", "served by")
    for end in dict.fromkeys(one["end"] for one in found["services"]):
        mine = [one for one in found["services"] if one["end"] == end]
        mine.sort(key=lambda one: (-one["share"], one["source"]))
        left = 1.0 - sum(one["share"] for one in mine)
        by = ", ".join(f"{one['source']} {one['share']:.1%}" for one in mine)
        table.add_row(
            escape(end),
            f"{left:.1%}" if left >= _TOLD else "-",
            f"{sum(one['mbps'] for one in mine):.1f}",
            escape(by),
        )
    return table


def _flows(found: Mapping[str, Any]) -> Table:
    table = _table("Paths", "for", "#Mbit/s", "along")
    for flow in found["flows"][:_MOST_ROUTES]:
        table.add_row(escape(flow["end"]) or "a cache", f"{flow['mbps']:.2f}", escape(_path(flow)))
    if len(found["flows"]) > _MOST_ROUTES:
        table.add_row("", "", f"and {len(found['flows']) - _MOST_ROUTES} more, in plan.json")
    return table


def _path(flow: Mapping[str, Any]) -> str:
    inside = len(flow["path"]) == 1
    return f"inside {flow['path'][0]}" if inside else " > ".join(flow["path"])


def _reasons(found: Mapping[str, Any], console: Console) -> None:
    for node in found["nodes"]:
        _because(console, node["name"], node["why"])
    for flow in found["flows"][:_MOST_ROUTES]:
        _because(console, f"{flow['end'] or 'a cache'}: {_path(flow)}", flow["why"])


def _because(console: Console, title: str, why: list[str]) -> None:
    console.print(title, style="bold", highlight=False, markup=False)
    for text in why:
        console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)


def _front(made: Mapping[str, Any], console: Console) -> None:
    titles = ("#QoE", "#of best", "#power, W", "#nodes on", "asked as", "#gap, W", "meaning")
    table = _table("Pareto front: by rising quality, the least power found", *titles)
    for point in made["front"]:
        table.add_row(*_point(point, made["full_qoe"]), style=None if point["ideal"] else "dim")
    console.print(table)


def _point(point: Mapping[str, Any], best: float) -> Iterator[str]:
    there = point["qoe"] is not None
    yield f"{point['qoe']:.1f}" if there else ""
    yield f"{point['qoe'] / best:.1%}" if there and best else ""
    yield f"{point['power_w']:.0f}" if there else ""
    yield str(point["nodes_on"]) if there else ""
    weighed = point["gamma"] is not None
    yield f"gamma {point['gamma']:.3g}" if weighed else f"QoE >= {point['qoe_floor']:.1f}"
    yield f"{point['gap']:.0f}" if point["gap"] is not None else ""
    yield point["meaning"] + ("" if point["ideal"] else ", no better than another")
