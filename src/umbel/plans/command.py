"""`umbel plan`: a network by its files, or the moves of functions."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from umbel.kit.terminal import errors_on_stderr
from umbel.planner.moves import solve
from umbel.planner.moves.model import MoveEffort, MoveGoal
from umbel.plans import moves
from umbel.plans.main import run

_USUAL = "network"


class _PlanGroup(TyperGroup):
    """Without the name of a command, a network is planned: `umbel plan NETWORK DEMAND`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_named = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if is_named else [_USUAL, *args])


app = typer.Typer(
    cls=_PlanGroup,
    no_args_is_help=True,
    add_completion=False,
    help="Plan a network: which nodes are on, where base bands, caches and transcoders run, and the"
    " paths of requests; or the moves of running functions.",
)
app.command(_USUAL)(run)


@app.command("moves")
def _moves(  # noqa: PLR0913, PLR0917 -- one argument per option
    file: Annotated[Path, typer.Argument(help="nodes and the functions that run on them (YAML)")],
    drain: Annotated[
        list[str] | None, typer.Option(help="a node to empty; may be repeated")
    ] = None,
    power: Annotated[bool, typer.Option("--power", help="for the least power")] = False,
    most_moves: Annotated[int | None, typer.Option(help="move at most so many functions")] = None,
    most_mb: Annotated[float | None, typer.Option(help="send at most so many MB")] = None,
    time_s: Annotated[float, typer.Option(help="seconds of solving", min=0.1, max=3600)] = 5.0,
    gap_share: Annotated[
        float, typer.Option(help="largest gap to the best, as a share of it", min=1e-6, max=1)
    ] = 0.01,
    out: Annotated[Path | None, typer.Option(help="a file to write the moves to (JSON)")] = None,
) -> None:
    """Choose which functions move to which nodes: so that nodes become empty (--drain), for less
    power (--power), or without both so that the fullest node is as little full as possible. As few
    bytes travel as the goal allows.
    """
    console = Console()
    goal = MoveGoal.POWER if power else MoveGoal.DRAIN if drain else MoveGoal.BALANCE
    with errors_on_stderr():
        problem = moves.parse(moves.read(file), frozenset(drain or ()), goal, (most_moves, most_mb))
        with console.status("choosing moves"):
            made = solve.plan(problem, MoveEffort(time_s=time_s, gap_share=gap_share))
        moves.show(problem, made, console)
        if out is not None:
            out.write_text(json.dumps(moves.as_json(made), indent=1) + "\n")
            console.print(f"written: {out}", highlight=False, soft_wrap=True)
