"""A plan or a front for people: what the worker made in, tables on a console out."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_MOST_ROUTES = 40
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


def _table(*titles: str) -> Table:
    table = Table()
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _headline(made: Mapping[str, Any]) -> str:
    text = f"{_WORDS[made['meaning']]} ({made['solver']}, {made['run_s']:.2f} s)"
    found = made["plan"]
    if found is None:
        return text
    power = found["power"]
    parts = ", ".join(f"{name} {power[f'{name}_w']:.0f}" for name in ("servers", "switches"))
    gap = "unknown" if made["gap"] is None else f"{made['gap']:.0f} W ({made['gap_share']:.2%})"
    return (
        f"{text}\npower {power['total_w']:.0f} W of {made['full_power_w']:.0f}"
        f" ({parts}, routers {power['routers_w']:.0f}); QoE {found['qoe']:.2f} of"
        f" {made['full_qoe']:.2f}; gap {gap}"
    )


def _nodes(found: Mapping[str, Any]) -> Table:
    titles = ("node", "access", "state", "servers", "BBU", "video", "cached GB", "base bands of")
    table = _table(*titles)
    for node in found["nodes"]:
        name = node["name"]
        ends = [end for end, host in found["hosts"].items() if host == name]
        state = "on" if node["router_on"] else "router off" if node["switch_on"] else "off"
        table.add_row(
            escape(name),
            node["access"] + (" PoP" if node["is_pop"] else ""),
            state,
            *(str(node[key]) for key in ("servers", "bbu_vcpus", "transcode_vcpus")),
            f"{node['cached_gb']:.1f}",
            escape(", ".join(ends)),
            style=None if node["switch_on"] else "dim",
        )
    return table


def _services(found: Mapping[str, Any]) -> Table:
    table = _table("end", "served by", "of its requests", "Mbit/s")
    for one in found["services"]:
        table.add_row(
            escape(one["end"]), escape(one["source"]), f"{one['share']:.1%}", f"{one['mbps']:.1f}"
        )
    return table


def _flows(found: Mapping[str, Any]) -> Table:
    table = _table("for", "path", "Mbit/s")
    for flow in found["flows"][:_MOST_ROUTES]:
        table.add_row(
            escape(flow["end"]) or "a cache",
            escape(" > ".join(flow["path"])),
            f"{flow['mbps']:.2f}",
        )
    if len(found["flows"]) > _MOST_ROUTES:
        table.add_row("", f"and {len(found['flows']) - _MOST_ROUTES} more, in plan.json", "")
    return table


def _reasons(found: Mapping[str, Any], console: Console) -> None:
    for node in found["nodes"]:
        _because(console, node["name"], node["why"])
    for flow in found["flows"][:_MOST_ROUTES]:
        _because(console, f"{flow['end'] or 'cache'}: {' > '.join(flow['path'])}", flow["why"])


def _because(console: Console, title: str, why: list[str]) -> None:
    console.print(title, style="bold", highlight=False, markup=False)
    for text in why:
        console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)


def _front(made: Mapping[str, Any], console: Console) -> None:
    table = _table("QoE", "power, W", "nodes on", "asked as", "meaning", "gap, W", "")
    for point in made["front"]:
        goal = f"gamma {point['gamma']:.3g}" if point["gamma"] is not None else ""
        goal = goal or f"QoE >= {point['qoe_floor']:.1f}"
        there = point["qoe"] is not None
        table.add_row(
            f"{point['qoe']:.1f}" if there else "",
            f"{point['power_w']:.0f}" if there else "",
            str(point["nodes_on"]) if there else "",
            goal,
            point["meaning"],
            f"{point['gap']:.0f}" if point["gap"] is not None else "",
            "" if point["ideal"] else "beaten",
        )
    console.print(table)
