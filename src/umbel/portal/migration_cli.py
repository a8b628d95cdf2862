"""`umbel migration`: try, start, list, show and cancel moves of functions to other nodes.

Options in; a table, lines or a bar out. A client of `/api/v1/migrations` like any other.
"""

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from umbel.kit.terminal import errors_on_stderr
from umbel.mobility.admission import MBIT_PER_MIB
from umbel.mobility.model import OVER, MigrationKind, MigrationState, Terms
from umbel.planner.moves.model import Move, MoveGoal
from umbel.plans import moves
from umbel.portal import migration_rules_cli
from umbel.portal.client import ApiClient, operators_app, signed_in

app = operators_app("Moves of functions to other nodes, for operators.")
app.add_typer(migration_rules_cli.app, name="rule")

MIGRATIONS = "/api/v1/migrations"
_POLL_S = 0.5
_CHOOSE_S = 90.0
_WAIT_S = 60.0
"""For how long a chosen move may wait for its turn."""
DEFAULT_TERMS = Terms()
_OVER = {state.value for state in OVER}

MaxGap = Annotated[
    float, typer.Option(help="seconds for which a function that is copied may not answer")
]
Id = Annotated[str, typer.Argument(help="the migration's id")]


@app.command()
def start(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    function: Annotated[str, typer.Argument(help="the function's id")],
    target: Annotated[str, typer.Argument(help="the node it is to go to")],
    kind: Annotated[
        MigrationKind | None,
        typer.Option(help="how; else copied where its VIM can do that, or replaced"),
    ] = None,
    max_gap: MaxGap = DEFAULT_TERMS.max_gap_s,
    max_duration: Annotated[
        float, typer.Option(help="seconds that the copy may take, or viewers may stay")
    ] = DEFAULT_TERMS.max_duration_s,
    dirty_mbps: Annotated[
        float,
        typer.Option(help="how fast it writes its memory, in Mbit/s; 0: as in its last copy"),
    ] = DEFAULT_TERMS.dirty_mbps,
    wait: Annotated[
        float, typer.Option(help="seconds for which it may wait to be admitted", min=0)
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say whether it would be admitted; begin nothing")
    ] = False,
    follow: Annotated[bool, typer.Option(help="show progress until it is over")] = True,
) -> None:
    """Move a function to another node while it serves, and show progress until it is over.

    Ctrl-C ends the display alone; `cancel` aborts the migration.
    """
    body = {
        "function": function,
        "target": target,
        "kind": kind.value if kind else None,
        "max_gap_s": max_gap,
        "max_duration_s": max_duration,
        "dirty_mbps": dirty_mbps,
        "wait_s": wait,
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        if dry_run:
            _show_check(api.post(f"{MIGRATIONS}/check", body), function, target)
            return
        migration = api.post(MIGRATIONS, body)
        typer.echo(f"{migration['id']}: {function} to {target} by {migration['kind']}")
        if follow:
            migration = _follow(api, migration)
    if migration["state"] == MigrationState.ABORTED:
        typer.secho(f"aborted: {migration['reason']}", fg="red", err=True)
        raise typer.Exit(1)
    typer.echo(f"{migration['state']}{_took(migration)}")


@app.command()
def choose(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    drain: Annotated[
        list[str] | None, typer.Option(help="a node to empty; may be repeated")
    ] = None,
    power: Annotated[bool, typer.Option("--power", help="for the least power")] = False,
    most_moves: Annotated[int | None, typer.Option(help="move at most so many functions")] = None,
    most_mb: Annotated[float | None, typer.Option(help="send at most so many MB")] = None,
    start: Annotated[
        bool, typer.Option("--start", help="make the moves, one after the other")
    ] = False,
    max_gap: MaxGap = DEFAULT_TERMS.max_gap_s,
) -> None:
    """Choose which running functions to move where: so that nodes become empty (--drain), for less
    power (--power), or without both so that the fullest node is as little full as possible."""
    body = {
        "drain": drain or [],
        "goal": MoveGoal.POWER.value if power else None,
        "most_moves": most_moves,
        "most_mb": most_mb,
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        choice = ask_choice(api, body)
        is_done = not start or make_moves(api, choice, max_gap)
    if not is_done:
        raise typer.Exit(1)


def ask_choice(api: ApiClient, question: dict[str, Any]) -> dict[str, Any]:
    """What the platform chooses, shown. Raises RefusedByPlatform, PlatformUnreachable."""
    console = Console()
    with Console(stderr=True).status("choosing moves"):
        choice: dict[str, Any] = api.post(f"{MIGRATIONS}/choice", question, within_s=_CHOOSE_S)
    if choice["moves"]:
        console.print(moves.table(Move(**move) for move in choice["moves"]))
    before, after = choice["fullest_before"], choice["fullest_after"]
    text = f"{len(choice['moves'])} moves; fullest node {before:.0%} to {after:.0%}"
    if choice["watts_before"]:
        text += f"; {choice['watts_before']:.0f} to {choice['watts_after']:.0f} W"
    console.print(text, highlight=False, soft_wrap=True)
    for one in choice["staying"]:
        console.print(f"{one['function']} stays: {one['reason']}", highlight=False, soft_wrap=True)
    return choice


def make_moves(api: ApiClient, choice: dict[str, Any], max_gap_s: float) -> bool:
    """Make the chosen moves in their order, with progress. Whether all were made; the first one
    that is not ends it, because those behind it may need its room."""
    for move in choice["moves"]:
        body = {name: move[name] for name in ("function", "target")}
        body |= {"max_gap_s": max_gap_s, "wait_s": _WAIT_S}
        migration = _follow(api, api.post(MIGRATIONS, body))
        way = f"{move['function']} from {move['source']} to {move['target']}"
        if migration["state"] == MigrationState.ABORTED:
            typer.secho(f"{way}: aborted: {migration['reason']}", fg="red", err=True)
            return False
        typer.echo(f"{way}: {migration['state']}{_took(migration)}")
    return True


@app.command("list")
def list_migrations(context: typer.Context) -> None:
    """Show migrations, the newest first."""
    columns = ("id", "function", "from", "to", "by", "state", "predicted s", "took s", "reason")
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table(*columns, box=None)
        for one in api.get(MIGRATIONS):
            table.add_row(
                *(one[name] for name in ("id", "function", "source", "target", "kind", "state")),
                *(_seconds(one[name]) for name in ("predicted", "achieved")),
                one["reason"],
            )
    Console().print(table)


@app.command()
def show(context: typer.Context, migration: Id) -> None:
    """Show one migration: where it is, what was predicted, and what it took."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        one = api.get(f"{MIGRATIONS}/{migration}")
    typer.echo(f"{one['function']} from {one['source']} to {one['target']} by {one['kind']}")
    typer.echo(f"{one['state']} since {one['changed_at']}, requested by {one['requested_by']}")
    if one["reason"]:
        typer.echo(f"reason: {one['reason']}")
    if one["predicted"]:
        typer.echo(f"predicted: {_prediction(one['predicted'])}")
    if one["achieved"]:
        typer.echo(f"took: {_achieved(one['achieved'])}")


@app.command()
def cancel(context: typer.Context, migration: Id) -> None:
    """Abort a migration; the function stays where it is."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        one = api.post(f"{MIGRATIONS}/{migration}/cancel")
    typer.echo(f"{one['function']} is to stay on {one['source']}")


def _follow(api: ApiClient, migration: dict[str, Any]) -> dict[str, Any]:
    """Show its state, and how much is copied, until it is over."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[copied]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as shown:
        bar = shown.add_task(migration["state"], total=None, copied="")
        while migration["state"] not in _OVER:
            progress = migration["progress"]
            shown.update(
                bar,
                description=_state(migration),
                completed=progress["copied_mb"] or 0,
                total=progress["total_mb"],
                copied=copied(progress),
            )
            time.sleep(_POLL_S)
            migration = api.get(f"{MIGRATIONS}/{migration['id']}")
        shown.update(bar, description=migration["state"])
    return migration


def copied(progress: dict[str, Any]) -> str:
    """How far a copy is, as far as it is known: MiB, rate, when it will end."""
    if progress["viewers"] is not None:
        return f"{progress['viewers']} viewers left"
    done, total, mbps = (progress[name] for name in ("copied_mb", "total_mb", "mbps"))
    if total is None:
        return ""
    text = f"{done:.0f}/{total:.0f} MiB"
    if not mbps:
        return text
    rates = f"{text}, {mbps:.0f} Mbit/s"
    if dirty_mbps := progress["dirty_mbps"]:
        rates += f", writes {dirty_mbps:.0f} Mbit/s"
    return f"{rates}, {(total - done) * MBIT_PER_MIB / mbps:.0f} s left"


def _state(migration: dict[str, Any]) -> str:
    reason = migration["reason"]
    return f"{migration['state']}: {reason}" if reason else str(migration["state"])


def _show_check(found: dict[str, Any], function: str, target: str) -> None:
    way = f"{function} from {found['source']} to {target} by {found['kind']}"
    if found["predicted"]:
        typer.echo(f"predicted: {_prediction(found['predicted'])}")
    if found["admitted"]:
        typer.echo(f"would be admitted: {way}")
        return
    typer.secho(f"would be refused: {way}", fg="red", err=True)
    for reason in found["reasons"]:
        typer.echo(f"  - {reason}", err=True)
    raise typer.Exit(1)


def _prediction(found: dict[str, Any]) -> str:
    return (
        f"{found['duration_s']:.1f} s, of which {found['gap_s']:.2f} s without an answer; "
        f"{found['copied_mb']:.0f} MiB at {found['free_mbps']:.0f} Mbit/s"
    )


def _achieved(found: dict[str, Any]) -> str:
    text = f"{found['duration_s']:.1f} s"
    if found["gap_s"] is not None:
        text += f", of which it did not run for {found['gap_s']:.2f} s"
    if found["copied_mb"] is not None:
        text += f"; {found['copied_mb']:.1f} MiB"
    return text


def _seconds(found: dict[str, Any] | None) -> str:
    return f"{found['duration_s']:.1f}" if found else ""


def _took(migration: dict[str, Any]) -> str:
    return f" in {_achieved(migration['achieved'])}" if migration["achieved"] else ""
