"""`umbel node`: list, add, remove, cordon, uncordon and drain nodes of a running platform.

Options in; a table or lines out. A client of `/api/v1/nodes` like any other.
"""

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from umbel.compute.model import DEFAULT_POOL, Node, NodeKind
from umbel.delivery.model import NodeAvailability
from umbel.kit.terminal import errors_on_stderr
from umbel.portal.client import (
    LOCAL_URL,
    Account,
    ApiClient,
    Token,
    Url,
    UserName,
    signed_in,
)

app = typer.Typer(no_args_is_help=True, add_completion=False)

_NODES = "/api/v1/nodes"
_POLL_S = 0.5
_DRAINS = (NodeAvailability.DRAINING, NodeAvailability.DRAINED, NodeAvailability.LOST)
_COLUMNS = ("node", "pool", "state", "cores", "MiB", "Mbit/s", "functions", "viewers")

Name = Annotated[str, typer.Argument(help="the node's name")]


@app.callback()
def account(
    context: typer.Context,
    url: Url = LOCAL_URL,
    user: UserName = "",
    token: Token = "",
) -> None:
    """Nodes of a running platform, for operators.

    These options stand before the command. Without a token, the user's password is read from
    UMBEL_PASSWORD, or asked for.
    """
    context.obj = Account(url=url, user=user, token=token)


@app.command("list")
def list_nodes(context: typer.Context) -> None:
    """Show every node with its state, what is used of it, and what each owner was promised."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table(*_COLUMNS, "promised", box=None)
        for node in api.get(_NODES):
            table.add_row(*_row(node))
    Console().print(table)


@app.command()
def add(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    name: Name,
    address: Annotated[str, typer.Argument(help="its IP address or host name")],
    link: Annotated[
        list[str],
        typer.Option(help="a node that it is linked to: NODE, NODE,MBPS or NODE,MBPS,DELAY_MS"),
    ],
    kind: NodeKind = NodeKind.PROVIDER_EDGE,
    cores: Annotated[float, typer.Option(help="CPU cores for functions")] = Node.cores,
    memory_mb: Annotated[float, typer.Option(help="MiB for functions")] = Node.memory_mb,
    mbps: Annotated[float, typer.Option(help="Mbit/s that functions may send")] = Node.mbps,
    prefix: Annotated[
        list[str] | None, typer.Option(help="a client network that it gives access to")
    ] = None,
    pool: Annotated[str, typer.Option(help="whose VIM runs its functions")] = DEFAULT_POOL,
) -> None:
    """Add a node with its links; streams may use it at once."""
    body = {
        "name": name,
        "address": address,
        "kind": kind.value,
        "cores": cores,
        "memory_mb": memory_mb,
        "mbps": mbps,
        "prefixes": prefix or [],
        "pool": pool,
        "links": [_link(text) for text in link],
    }
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(_NODES, body)
    typer.echo(f"added {name}")


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove a node that carries nothing: drain it first."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{_NODES}/{name}")
    typer.echo(f"removed {name}")


@app.command()
def cordon(context: typer.Context, name: Name) -> None:
    """Place nothing new on a node; what runs there stays."""
    _schedule(context, name, "cordon")


@app.command()
def uncordon(context: typer.Context, name: Name) -> None:
    """Use a node again, also after a drain."""
    _schedule(context, name, "uncordon")


@app.command()
def drain(
    context: typer.Context,
    name: Name,
    within: Annotated[
        float | None, typer.Option(help="seconds until what is left on it is ended", min=0)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="end what is on it at once")] = False,
    wait: Annotated[bool, typer.Option(help="show progress until the node is empty")] = True,
) -> None:
    """Move everything away from a node, and show progress until it is empty.

    Viewers are asked to leave; encoders do not move by themselves. Without --within or --force
    the drain takes as long as they stay. Ctrl-C ends the display alone; `uncordon` undoes it.
    """
    with errors_on_stderr(), signed_in(context.obj) as api:
        body = {"within_s": 0.0 if force else within}
        node = api.post(f"{_NODES}/{name}/drain", body)
        if wait:
            _wait_until_drained(api, node)
        else:
            typer.echo(f"{name} is {node['state']}")


def _wait_until_drained(api: ApiClient, node: dict[str, Any]) -> None:
    """Show what is left on the node at each change, until nothing is."""
    shown = ""
    while node["functions"] or node["viewers"]:
        if node["state"] not in _DRAINS:
            typer.secho(f"the drain of {node['name']} was cancelled", fg="red", err=True)
            raise typer.Exit(1)
        if (left := _left(node)) != shown:
            typer.echo(left)
            shown = left
        time.sleep(_POLL_S)
        node = api.get(f"{_NODES}/{node['name']}")
    typer.echo(f"{node['name']} is {node['state']}")


def _left(node: dict[str, Any]) -> str:
    functions = ", ".join(node["functions"]) or "no functions"
    return f"{node['name']} is {node['state']}: {node['viewers']} viewers, {functions}"


def _schedule(context: typer.Context, name: str, action: str) -> None:
    with errors_on_stderr(), signed_in(context.obj) as api:
        node = api.post(f"{_NODES}/{name}/{action}")
    typer.echo(f"{name} is {node['state']}")


def _link(text: str) -> dict[str, object]:
    to, *rest = text.split(",")
    try:
        numbers = dict(zip(("mbps", "delay_ms"), map(float, rest), strict=False))
    except ValueError:
        numbers = {}
    if len(numbers) != len(rest):
        raise typer.BadParameter(f"{text}: not NODE, NODE,MBPS or NODE,MBPS,DELAY_MS")
    return {"to": to, **numbers}


def _row(node: dict[str, Any]) -> list[str]:
    promised = (f"{one['owner']}: {one['cores']:g} cores" for one in node["promised"])
    return [
        node["name"],
        node["pool"],
        node["state"],
        f"{node['cores_used']:.2f}/{node['cores']:g}",
        f"{node['memory_used_mb']:.0f}/{node['memory_mb']:g}",
        f"{node['mbps_used']:.1f}/{node['mbps']:g}",
        str(len(node["functions"])),
        str(node["viewers"]),
        ", ".join(promised),
    ]
