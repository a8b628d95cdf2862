"""`umbel function`: what runs on the nodes; suspend, resume and snapshots of guests.

Options in; a table or lines out. A client of the REST interface like any other.
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.kit.terminal import errors_on_stderr, printable
from umbel.portal.client import operators_app, signed_in

app = operators_app("Functions on the nodes, for operators.")

FUNCTIONS = "/api/v1/functions"
STORAGE = "/api/v1/storage-functions"
_SNAPSHOT_WITHIN_S = 600.0

Id = Annotated[str, typer.Argument(help="the function's id")]
Name = Annotated[str, typer.Argument(help="the snapshot's name: a-z, 0-9 and -")]


@app.command("list")
def list_functions(context: typer.Context) -> None:
    """Show what runs on the nodes, and what it carries."""
    columns = (
        "id",
        "owner",
        "node",
        "state",
        "address",
        "cores",
        "MiB",
        "viewers",
        "replays",
        "Mbit/s",
    )
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table(*columns, box=None)
        for one in api.get(FUNCTIONS):
            state = "suspended" if one["is_suspended"] else one["state"]
            table.add_row(
                *(one[name] for name in ("id", "owner", "node")),
                state,
                one["address"],
                f"{one['cpu_cores']:.2f}",
                f"{one['rss_mb']:.0f}",
                str(one["viewers"]),
                str(one["replay_viewers"]),
                f"{one['mbps_out']:.1f}",
            )
    Console().print(table)


@app.command("storage")
def list_storage(context: typer.Context) -> None:
    """Show the nodes that keep shards of the repository, and how full they are."""
    columns = ("shard", "node", "state", "address", "used MiB", "limit MiB", "free MiB", "problem")
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table(*columns, box=None)
        for one in api.get(STORAGE):
            state = one["state"] if one["answers"] else f"{one['state']}, does not answer"
            sizes = (one[name] / 2**20 for name in ("used_bytes", "limit_bytes", "free_bytes"))
            table.add_row(
                str(one["shard"]),
                one["node"],
                state,
                one["address"],
                *(f"{size:.0f}" for size in sizes),
                one["problem"],
            )
    Console().print(table)


@app.command()
def suspend(context: typer.Context, function: Id) -> None:
    """Stop a guest's processors. Its function answers nobody until it is resumed."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{FUNCTIONS}/{function}/suspend")
    typer.echo(f"{function} is suspended")


@app.command()
def resume(context: typer.Context, function: Id) -> None:
    """Let a suspended guest continue."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{FUNCTIONS}/{function}/resume")
    typer.echo(f"{function} continues")


@app.command()
def console(context: typer.Context, function: Id) -> None:
    """Show the end of what a guest wrote on its console."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        text = api.get(f"{FUNCTIONS}/{function}/console")["text"]
    typer.echo(printable(text), nl=False)


@app.command()
def snapshots(context: typer.Context, function: Id) -> None:
    """Show a guest's snapshots, the oldest first."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        for one in api.get(f"{FUNCTIONS}/{function}/snapshots"):
            typer.echo(f"{one['taken_at']}  {one['name']}")


@app.command()
def snapshot(context: typer.Context, function: Id, name: Name) -> None:
    """Keep a guest's memory and disk as they are now, until it is stopped."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{FUNCTIONS}/{function}/snapshots", {"name": name}, within_s=_SNAPSHOT_WITHIN_S)
    typer.echo(f"{function} has the snapshot {name}")


@app.command()
def revert(context: typer.Context, function: Id, name: Name) -> None:
    """Have a guest as it was at a snapshot; what happened since is lost."""
    path = f"{FUNCTIONS}/{function}/snapshots/{name}/revert"
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(path, within_s=_SNAPSHOT_WITHIN_S)
    typer.echo(f"{function} is as it was at {name}")


@app.command("remove-snapshot")
def remove_snapshot(context: typer.Context, function: Id, name: Name) -> None:
    """Forget a guest's snapshot."""
    path = f"{FUNCTIONS}/{function}/snapshots/{name}"
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(path, within_s=_SNAPSHOT_WITHIN_S)
    typer.echo(f"{function} has no snapshot {name} any more")
