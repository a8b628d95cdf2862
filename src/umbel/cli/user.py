"""`umbel user`: accounts of this installation, changed in its database."""

import asyncio
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.catalogue import console
from umbel.catalogue.model import UserRole
from umbel.cli.options import DataDir, settings
from umbel.kit.terminal import errors_on_stderr

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Accounts of this installation.")


@app.command("password")
def user_password(name: str, data_dir: DataDir = None) -> None:
    """Change the password of an account. Umbel asks for it, or reads it from UMBEL_PASSWORD."""
    with errors_on_stderr():
        asyncio.run(console.set_password(settings(data_dir=data_dir), name, _password()))
    typer.echo(f"changed the password of {name}")


@app.command("add")
def user_add(
    name: str,
    role: UserRole = UserRole.VIEWER,
    provider: Annotated[str, typer.Option(help="the provider this user acts for (its id)")] = "",
    data_dir: DataDir = None,
) -> None:
    """Add an account. Umbel asks for the password, or reads it from UMBEL_PASSWORD."""
    with errors_on_stderr():
        asyncio.run(console.add(settings(data_dir=data_dir), name, _password(), role, provider))
    typer.echo(f"added {role.value} {name}")


@app.command("list")
def user_list(data_dir: DataDir = None) -> None:
    """Show every account with its role, and the provider that it acts for."""
    with errors_on_stderr():
        found = asyncio.run(console.users(settings(data_dir=data_dir)))
    table = Table("name", "role", "provider", box=None)
    for user in found:
        table.add_row(user.username, user.role.value, user.provider_id)
    Console().print(table)


@app.command("remove")
def user_remove(name: str, data_dir: DataDir = None) -> None:
    """Remove an account. Its tokens end at once; the last operator stays."""
    with errors_on_stderr():
        asyncio.run(console.remove(settings(data_dir=data_dir), name))
    typer.echo(f"removed {name}")


def _password() -> str:
    given = os.environ.get("UMBEL_PASSWORD")
    return given or typer.prompt("Password", hide_input=True, confirmation_prompt=True)
