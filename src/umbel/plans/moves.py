"""For `umbel plan moves`: a file of nodes and functions in, the moves printed.

Here the file is read and the answer shown; planner/moves does the choosing.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.table import Table

from umbel.kit.validation import describe_errors
from umbel.planner.moves.model import (
    BadMoves,
    Host,
    HostedFunction,
    Move,
    MoveGoal,
    MovePlan,
    MoveProblem,
    Standing,
)

_MOST_BYTES = 4_000_000
_BAR = 20


class _MovesPart(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Watts(_MovesPart):
    idle: float = 0.0
    full: float = 0.0


class _Node(_MovesPart):
    name: str
    cores: float
    memory_mb: float
    watts: _Watts = _Watts()
    closed: bool = False
    storage: str = ""
    images: list[str] = []


class _Function(_MovesPart):
    name: str
    node: str
    cores: float
    memory_mb: float
    disk_mb: float = 0.0
    changed_mb: float = 0.0
    image: str = ""
    pinned: bool = False
    nodes: list[str] = []
    within_s: float | None = None


class _Rate(_MovesPart):
    a: str
    b: str
    mbps: float


class _Document(_MovesPart):
    nodes: list[_Node]
    functions: list[_Function]
    apart: list[list[str]] = []
    together: list[list[str]] = []
    rates: list[_Rate] = []
    rate_mbps: float = 1000.0


def parse(
    document: object,
    drained: frozenset[str],
    goal: MoveGoal,
    limits: tuple[int | None, float | None] = (None, None),
) -> MoveProblem:
    """The problem of a document. Raises BadMoves with all that is wrong in `problems`."""
    try:
        read = _Document.model_validate(document)
    except ValidationError as error:
        problems = describe_errors("moves", error)
        raise BadMoves("The file has problems", problems=problems) from error
    unknown = drained - {node.name for node in read.nodes}
    if unknown:
        problems = [f"there is no node {name}" for name in sorted(unknown)]
        raise BadMoves("The request has problems", problems=problems)
    rates = {(r.a, r.b): r.mbps for r in read.rates}
    return MoveProblem(
        hosts=tuple(_host(node, node.name in drained) for node in read.nodes),
        functions=tuple(_function(function) for function in read.functions),
        goal=goal,
        apart=tuple(map(frozenset, read.apart)),
        together=tuple(map(frozenset, read.together)),
        mbps={(b, a): mbps for (a, b), mbps in rates.items()} | rates,
        rate_mbps=read.rate_mbps,
        most_moves=limits[0],
        most_mb=limits[1],
    )


def as_json(made: MovePlan) -> dict[str, Any]:
    """The answer for programs."""
    return {**asdict(made), "mb": made.mb, "gap": made.gap}


def show(problem: MoveProblem, made: MovePlan, console: Console) -> None:
    """The moves in their order, and the nodes before and after."""
    if not made.moves:
        console.print("Nothing has to move.")
        return
    console.print(table(made.moves))
    nodes = Table("node", "before", "after", box=None)
    for host in problem.hosts:
        nodes.add_row(host.name, *(_bar(host, one) for one in (made.before, made.after)))
    console.print(nodes)
    before, after = made.before, made.after
    console.print(
        f"{len(made.moves)} moves, {made.mb:.0f} MB; fullest node {before.fullest:.0%} to"
        f" {after.fullest:.0%}; {before.watts:.0f} to {after.watts:.0f} W; at most {made.gap:.1%}"
        " from the best",
        highlight=False,
        soft_wrap=True,
    )


def table(moves: Iterable[Move]) -> Table:
    """The moves in their order."""
    made = Table("", "function", "from", "to", "MB", "s", box=None)
    for number, move in enumerate(moves, 1):
        sizes = (f"{move.mb:.0f}", f"{move.seconds:.1f}")
        made.add_row(str(number), move.function, move.source, move.target, *sizes)
    return made


def _bar(host: Host, standing: Standing) -> str:
    cores, memory_mb = standing.used[host.name]
    share = max(cores / host.cores, memory_mb / host.memory_mb)
    full = min(_BAR, round(share * _BAR))
    return f"{'█' * full}{'░' * (_BAR - full)} {share:4.0%}"


def _host(node: _Node, is_drained: bool) -> Host:
    return Host(
        name=node.name,
        cores=node.cores,
        memory_mb=node.memory_mb,
        idle_w=node.watts.idle,
        full_w=node.watts.full,
        closed=node.closed,
        drained=is_drained,
        storage=node.storage,
        images=frozenset(node.images),
    )


def _function(function: _Function) -> HostedFunction:
    fields = function.model_dump(exclude={"node", "nodes"})
    return HostedFunction(**fields, host=function.node, hosts=frozenset(function.nodes))


def read(file: Path) -> object:
    """The document in a file. Raises BadMoves."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise BadMoves(f"{file} is larger than {_MOST_BYTES} bytes")
        return cast("object", yaml.safe_load(data))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadMoves(f"{file} cannot be read", problems=[str(error)]) from error
