"""`umbel node prepare` and `umbel node prepared`: functions that run on nodes in advance.

Options in; a line or a table out. A client of `/api/v1/prepared` like any other.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.delivery.prepared.model import MOST_PREPARED
from umbel.kit.terminal import errors_on_stderr
from umbel.portal.client import signed_in
from umbel.portal.node_waits import NODES

PREPARED = "/api/v1/prepared"


def prepare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="the node's name")],
    edges: Annotated[int, typer.Option(help="idle edges", min=0, max=MOST_PREPARED)] = 0,
    forwarders: Annotated[int, typer.Option(help="idle forwarders", min=0, max=MOST_PREPARED)] = 0,
) -> None:
    """Have idle functions run on a node in advance: the next stream there need not wait for a
    start. Without options the node has none any more."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.put(f"{NODES}/{name}/prepared", {"edges": edges, "forwarders": forwarders})
    typer.echo(f"{name} is to have {edges} idle edges and {forwarders} idle forwarders")


def prepared(context: typer.Context) -> None:
    """Show the functions that run on nodes in advance."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table("node", "edges", "forwarders", "ready", box=None)
        for one in api.get(PREPARED):
            counts = (str(one[role]) for role in ("edges", "forwarders"))
            table.add_row(one["node"], *counts, ", ".join(one["ready"]))
    Console().print(table)
