"""`umbel version`: which release this is, and what runs it."""

import platform

import typer

import umbel
from umbel import migrations


def version() -> None:
    """Show the release of Umbel, its schema of the database, and the release of Python. `umbel
    --version` shows the first alone."""
    typer.echo(f"umbel {umbel.__version__}")
    typer.echo(f"schema {migrations.newest()}")
    typer.echo(f"python {platform.python_version()}")
