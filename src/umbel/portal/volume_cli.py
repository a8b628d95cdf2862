"""`umbel volume`: disks of guests that outlive them.

Options in; a table or lines out. A client of `/api/v1/volumes` like any other.
"""

import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.kit.terminal import errors_on_stderr, printable
from umbel.portal.client import operators_app, signed_in

app = operators_app("Volumes: disks of guests that outlive them, for operators.")

VOLUMES = "/api/v1/volumes"
_WITHIN_S = 1000.0
_SIZE = re.compile(r"(\d{1,9})([MGT])")
_MIB = {"M": 1, "G": 1024, "T": 1024 * 1024}

Name = Annotated[str, typer.Argument(help="the volume's name: a-z, 0-9 and -")]
Snapshot = Annotated[str, typer.Argument(help="the snapshot's name: a-z, 0-9 and -")]


@app.command("list")
def list_volumes(context: typer.Context) -> None:
    """Show every volume, and which function has it."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table("volume", "node", "MiB", "state", "function", "problem", box=None)
        for one in api.get(VOLUMES):
            names = ("name", "node", "size_mb", "state", "function", "problem")
            table.add_row(*(printable(str(one[name])) for name in names))
    Console().print(table)


@app.command()
def create(
    context: typer.Context,
    name: Name,
    node: Annotated[str, typer.Option(help="the node where it is: a hypervisor's")],
    size: Annotated[str, typer.Option(help="such as 512M, 20G or 1T (MiB, GiB, TiB)")],
) -> None:
    """Create an empty volume. All its room is taken at once."""
    found = _SIZE.fullmatch(size.upper())
    if found is None:
        raise typer.BadParameter(f"{size}: no size such as 512M, 20G or 1T")
    size_mb = int(found[1]) * _MIB[found[2]]
    with errors_on_stderr(), signed_in(context.obj) as api:
        body = {"name": name, "node": node, "size_mb": size_mb}
        api.post(VOLUMES, body, within_s=_WITHIN_S)
    typer.echo(f"{name} is at {node}, {size_mb} MiB")


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    force: Annotated[bool, typer.Option(help="also where its node does not answer")] = False,
) -> None:
    """Remove a volume with its data and its snapshots."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{VOLUMES}/{name}{'?force=true' if force else ''}", within_s=_WITHIN_S)
    typer.echo(f"removed {name}")


@app.command()
def attach(
    context: typer.Context,
    name: Name,
    function: Annotated[str, typer.Argument(help="the function's id")],
) -> None:
    """Give a volume to a running guest, which has it whenever it runs."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{VOLUMES}/{name}/attach", {"function": function}, within_s=_WITHIN_S)
    typer.echo(f"{function} has the volume {name}")


@app.command()
def detach(context: typer.Context, name: Name) -> None:
    """Take a volume away from its function, once the guest has released it."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{VOLUMES}/{name}/detach", within_s=_WITHIN_S)
    typer.echo(f"{name} is available")


@app.command()
def snapshots(context: typer.Context, name: Name) -> None:
    """Show a volume's snapshots, the oldest first."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        for one in api.get(f"{VOLUMES}/{name}/snapshots"):
            note = "" if one["is_complete"] else "  not complete"
            typer.echo(f"{one['taken_at']}  {one['name']}{note}")


@app.command()
def snapshot(context: typer.Context, name: Name, snapshot: Snapshot) -> None:
    """Keep a volume's data as they are now, also while a guest writes to it."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{VOLUMES}/{name}/snapshots", {"name": snapshot}, within_s=_WITHIN_S)
    typer.echo(f"{name} has the snapshot {snapshot}")


@app.command()
def restore(context: typer.Context, name: Name, snapshot: Snapshot) -> None:
    """Have the data of a detached volume as they were; what was written since is lost."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.post(f"{VOLUMES}/{name}/snapshots/{snapshot}/restore", within_s=_WITHIN_S)
    typer.echo(f"{name} is as it was at {snapshot}")


@app.command("remove-snapshot")
def remove_snapshot(context: typer.Context, name: Name, snapshot: Snapshot) -> None:
    """Forget a volume's snapshot."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{VOLUMES}/{name}/snapshots/{snapshot}", within_s=_WITHIN_S)
    typer.echo(f"{name} has no snapshot {snapshot} any more")
