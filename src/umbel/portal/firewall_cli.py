"""`umbel firewall`: which sources may reach which ports of functions that are guests.

Options in; a table or lines out. A client of `/api/v1/firewall-rules` like any other.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.compute.model import Transport
from umbel.kit.terminal import errors_on_stderr, printable
from umbel.portal.client import operators_app, signed_in

app = operators_app("Which sources may reach which ports of guests, for operators.")

RULES = "/api/v1/firewall-rules"
_WITHIN_S = 120.0


@app.command("list")
def list_rules(
    context: typer.Context,
    function: Annotated[str, typer.Option(help="the rules of this function alone")] = "",
) -> None:
    """Show every rule. A port that no rule names is open."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table("rule", "function", "node", "transport", "ports", "sources", box=None)
        for one in api.get(f"{RULES}{f'?function={function}' if function else ''}"):
            names = ("id", "function", "node", "transport", "ports")
            table.add_row(*(printable(one[name]) for name in names), ", ".join(one["sources"]))
    Console().print(table)


@app.command()
def allow(
    context: typer.Context,
    function: Annotated[str, typer.Argument(help="the function's id")],
    ports: Annotated[str, typer.Argument(help="a number, a range FIRST-LAST, or a port's name")],
    source: Annotated[list[str], typer.Option(help="a network such as 192.0.2.0/24; repeatable")],
    transport: Annotated[Transport, typer.Option(help="what the ports are of")] = Transport.TCP,
) -> None:
    """Close ports to all sources but these, and but those of the function's other rules."""
    body = {
        "function": function,
        "transport": transport.value,
        "ports": ports,
        "sources": source,
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        made = api.post(RULES, body, within_s=_WITHIN_S)
    given = ", ".join(made["sources"])
    typer.echo(f"{made['id']}: {transport.value} {ports} of {function} takes from {given} alone")


@app.command()
def remove(
    context: typer.Context, rule: Annotated[str, typer.Argument(help="the rule's id")]
) -> None:
    """Remove a rule. Without one for a port, that port is open."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{RULES}/{rule}", within_s=_WITHIN_S)
    typer.echo(f"removed {rule}")
