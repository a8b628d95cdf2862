"""`umbel provider`: list and add a running platform's providers, set and show service levels.

Options in; a table or lines out. A client of `/api/v1/providers` like any other.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from umbel.kit.terminal import errors_on_stderr
from umbel.portal.client import operators_app, signed_in

app = operators_app("Providers of a running platform, for operators.")

_PROVIDERS = "/api/v1/providers"
_PARTS = ("priority", "viewers", "height", "availability")

Account = Annotated[str, typer.Argument(help="the account's name")]
Id = Annotated[str, typer.Argument(help="the provider's id, as `umbel provider list` shows it")]


@app.command("list")
def list_providers(context: typer.Context) -> None:
    """Show every provider with what it was promised."""
    table = Table("id", "provider", "node", *_PARTS, box=None)
    with errors_on_stderr(), signed_in(context.obj) as api:
        for one in api.get(_PROVIDERS):
            level = api.get(f"{_PROVIDERS}/{one['id']}/service-level")
            promised = (f"{level[part]:g}" for part in _PARTS)
            table.add_row(one["id"], one["name"], one["access_node"], *promised)
    Console().print(table)


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="the provider's name")],
    node: Annotated[str, typer.Option(help="the node at which its encoders arrive")],
) -> None:
    """Add a provider. The last word is its id, for `umbel user add --provider`."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        added = api.post(_PROVIDERS, {"name": name, "access_node": node})
    typer.echo(f"added provider {added['name']}: {added['id']}")


@app.command()
def promise(
    context: typer.Context,
    provider: Id,
    priority: Annotated[
        int | None, typer.Option(help="0 to 100; a higher one goes first when room is short")
    ] = None,
    viewers: Annotated[int | None, typer.Option(help="for how many viewers room is kept")] = None,
    height: Annotated[
        int | None, typer.Option(help="up to which height of pictures, in pixels; 0: any")
    ] = None,
    availability: Annotated[
        float | None, typer.Option(help="which share of them is served, 0 to 1")
    ] = None,
) -> None:
    """Set the given parts of a provider's service level; the others stay."""
    given = dict(zip(_PARTS, (priority, viewers, height, availability), strict=True))
    path = f"{_PROVIDERS}/{provider}/service-level"
    with errors_on_stderr(), signed_in(context.obj) as api:
        before = api.get(path)
        body = {part: before[part] if value is None else value for part, value in given.items()}
        level = api.put(path, {**body, "version": before["version"]})
    typer.echo(_promised(level))


@app.command("service-level")
def service_level(
    context: typer.Context,
    provider: Id,
    hours: Annotated[float, typer.Option(help="length of the period until now")] = 24,
) -> None:
    """Show what a provider was promised, and whether it was kept. Exit code 1: it was not."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        level = api.get(f"{_PROVIDERS}/{provider}/service-level?hours={hours:g}")
    typer.echo(_promised(level))
    typer.echo(
        f"from {level['since']} to {level['until']}: {level['opened']} sessions opened,"
        f" {level['refused']} refused ({level['refused_promised']} of them promised),"
        f" at most {level['peak_viewers']} viewers at once, {level['watching']} now"
    )
    for part, is_kept in level["kept"].items():
        typer.echo(f"{part}: {'kept' if is_kept else 'broken'}")
    if not all(level["kept"].values()):
        raise typer.Exit(1)


@app.command()
def members(context: typer.Context, provider: Id) -> None:
    """Show who works for a provider, and as what."""
    table = Table("account", "role", box=None)
    with errors_on_stderr(), signed_in(context.obj) as api:
        for one in api.get(f"{_PROVIDERS}/{provider}/members"):
            table.add_row(one["username"], one["role"])
    Console().print(table)


@app.command("add-member")
def add_member(
    context: typer.Context,
    provider: Id,
    account: Account,
    role: Annotated[str, typer.Option(help="owner or editor")] = "editor",
) -> None:
    """Have an account run a provider's events, or own it. Repeated, it changes the role."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        added = api.put(f"{_PROVIDERS}/{provider}/members/{account}", {"role": role})
    typer.echo(f"{added['username']} is {added['role']} of {provider}")


@app.command("remove-member")
def remove_member(context: typer.Context, provider: Id, account: Account) -> None:
    """Have an account run a provider's events no more. The last owner stays."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(f"{_PROVIDERS}/{provider}/members/{account}")
    typer.echo(f"{account} is no member of {provider}")


def _promised(level: dict[str, Any]) -> str:
    height = f"up to {level['height']} pixels high" if level["height"] else "of any height"
    return (
        f"{level['provider_id']}: {level['viewers']} viewers of pictures {height}, priority"
        f" {level['priority']}, availability {level['availability']:g}"
    )
