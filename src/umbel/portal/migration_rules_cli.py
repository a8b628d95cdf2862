"""`umbel migration rule`: moves that operators do not want, with the reason.

Options in; a table or lines out. A client of `/api/v1/migration-rules` like any other.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from umbel.kit.terminal import errors_on_stderr, printable
from umbel.mobility.model import MigrationKind
from umbel.mobility.rules import Hours
from umbel.portal.client import signed_in

app = typer.Typer(help="Rules against moves: who may not move what, where, and when.")

RULES = "/api/v1/migration-rules"
_HOURS = Hours()

Name = Annotated[str, typer.Argument(help="the rule's name")]
Patterns = list[str] | None


@app.command("list")
def list_rules(context: typer.Context) -> None:
    """Show every rule. Without one every operator may move everything."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table("rule", "functions", "from", "to", "users", "by", "when", "reason", box=None)
        for one in api.get(RULES):
            lists = ("functions", "sources", "targets", "users", "kinds")
            cells = (printable(", ".join(one[name]) or "all") for name in lists)
            table.add_row(one["name"], *cells, _when(one["hours"]), printable(one["reason"]))
    Console().print(table)


@app.command("set")
def set_rule(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="what the operator who is refused reads")],
    function: Annotated[
        Patterns, typer.Option(help="functions, such as edge-*; all options may be repeated")
    ] = None,
    source: Annotated[Patterns, typer.Option(help="nodes that they leave, or pool:NAME")] = None,
    target: Annotated[Patterns, typer.Option(help="nodes that they go to, or pool:NAME")] = None,
    user: Annotated[Patterns, typer.Option(help="operators; !anna is everybody but anna")] = None,
    kind: Annotated[list[MigrationKind] | None, typer.Option(help="ways to move")] = None,
    first: Annotated[str, typer.Option("--from", help="from this time of the day")] = "",
    last: Annotated[str, typer.Option("--until", help="until before this time")] = "",
    day: Annotated[list[str] | None, typer.Option(help="mon to sun")] = None,
    zone: Annotated[str, typer.Option(help="the times' zone, such as Europe/Rome")] = _HOURS.zone,
) -> None:
    """Refuse moves that match all options. A rule of that name is replaced."""
    has_hours = bool(first or last or day)
    hours = {
        "first": first or _HOURS.first,
        "last": last or _HOURS.last,
        "days": day or [],
        "zone": zone,
    }
    body: dict[str, Any] = {
        "reason": reason,
        "functions": function or [],
        "sources": source or [],
        "targets": target or [],
        "users": user or [],
        "kinds": [one.value for one in kind or []],
        "hours": hours if has_hours else None,
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.put(f"{RULES}/{name}", body)
    typer.echo(f"{name} holds from now on")


@app.command("remove")
def remove_rule(context: typer.Context, name: Name) -> None:
    """Remove a rule."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{RULES}/{name}")
    typer.echo(f"removed {name}")


def _when(hours: dict[str, Any] | None) -> str:
    if hours is None:
        return "always"
    days = ", ".join(hours["days"]) or "every day"
    return f"{days} {hours['first']}-{hours['last']} {hours['zone']}"
