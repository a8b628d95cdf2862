"""`umbel user`: accounts of this installation, changed in its database."""

import asyncio
import os
from typing import Annotated

import typer

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


def _password() -> str:
    given = os.environ.get("UMBEL_PASSWORD")
    return given or typer.prompt("Password", hide_input=True, confirmation_prompt=True)
