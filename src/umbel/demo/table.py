"""What the demo shows while it runs: nodes, functions, tree and viewers. Values in, text out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree as TreeText

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The platform's answers of one moment."""

    nodes: Rows
    functions: Rows
    tree: Mapping[str, Any]
    event: Mapping[str, Any]


def render(picture: Picture, greeting: Sequence[str]) -> RenderableType:
    """The whole screen."""
    return Group(
        Panel("\n".join(greeting), title="Umbel", border_style="green"),
        _event(picture.event),
        _nodes(picture),
        Panel(_tree(picture.tree), title="delivery tree", border_style="dim"),
        *([_links(picture.tree)] if picture.tree["links"] else []),
        Text("Ctrl-C ends everything.", style="dim"),
    )


def _event(event: Mapping[str, Any]) -> Text:
    stream = event.get("stream") or {}
    state = str(event["state"])
    text = Text.assemble((f" {state.upper()} ", "black on green" if state == "live" else "reverse"))
    if stream.get("flowing"):
        size = f"{stream['width']}x{stream['height']}"
        said = f"  {stream['protocol']}: {stream['video']} {size}, {stream['audio']}"
        text.append(f"{said}, {stream['mbps']:.2f} Mbit/s, {stream['viewers']} viewers")
    if stream.get("transcoding"):
        text.append(f"  transcoding: {stream['transcoding']}", style="yellow")
    if stream.get("error"):
        text.append(f"  {stream['error']}", style="red")
    return text


def _nodes(picture: Picture) -> Table:
    known = [node["watts"] for node in picture.nodes if node["watts"] is not None]
    power = f"{sum(known) / 1000:.1f} kW in all, by the planner's model of power"
    table = Table(expand=True, header_style="bold", caption=power if known else None)
    for name in ("node", "address", "power", "cpu", "memory", "sends"):
        table.add_column(name, justify="left" if name in ("node", "address") else "right")
    for name in ("function", "state", "viewers"):
        table.add_column(name)
    for node in picture.nodes:
        here = [f for f in picture.functions if f["node"] == node["name"]]
        table.add_row(
            _node(node),
            node["address"],
            "-" if node["watts"] is None else f"{node['watts'] / 1000:.1f} kW",
            f"{node['cores_used']:.2f}/{node['cores']:g}",
            f"{node['memory_used_mb']:.0f}/{node['memory_mb']:g} MB",
            f"{node['mbps_used']:.1f} Mbit/s",
            _lines(f["id"] for f in here),
            _lines(f["state"] for f in here),
            _lines(str(f["viewers"]) for f in here),
            style="dim" if node["power"] == "standby" else "",
        )
    return table


def _node(node: Mapping[str, Any]) -> str:
    """Its name, and what is special about it."""
    state = node["state"] if node["state"] != "ready" else node["power"]
    return str(node["name"]) if state == "active" else f"{node['name']} ({state})"


def _lines(words: Iterable[str]) -> str:
    return "\n".join(words)


def _links(tree: Mapping[str, Any]) -> RenderableType:
    ways = [f"[green]{a}[/green] -> [green]{b}[/green]" for a, b in tree["links"]]
    return Panel("   ".join(ways), title="tunnels it goes over", border_style="dim")


def _tree(tree: Mapping[str, Any]) -> RenderableType:
    branches = tree["branches"]
    drawn: dict[str | None, TreeText] = {None: TreeText("encoder", guide_style="green")}
    waiting = list(branches)
    while waiting:
        ready = [b for b in waiting if b["parent"] in drawn]
        if not ready:
            break
        for branch in ready:
            label = f"{branch['function']} [dim]on {branch['node']}[/dim]"
            drawn[branch["function"]] = drawn[branch["parent"]].add(label)
            waiting.remove(branch)
    return drawn[None]
