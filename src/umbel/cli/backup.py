"""`umbel backup` and `umbel restore`: the installation as one file, and back."""

from pathlib import Path
from typing import Annotated

import typer

from umbel.bootstrap.backup import back_up
from umbel.bootstrap.backup import restore as restore_from
from umbel.cli.options import DataDir, settings
from umbel.kit.clock import SystemClock
from umbel.kit.terminal import bars, errors_on_stderr

File = Annotated[Path, typer.Argument(help="the backup, a tar file")]


def backup(
    file: File,
    data_dir: DataDir = None,
    network: Annotated[Path | None, typer.Option(help="the network file (YAML)")] = None,
) -> None:
    """Write the database, the keys and the network file to one new file of mode 0600. The
    platform may run. The file holds secrets: keep it as safe as the platform."""
    made = settings(data_dir=data_dir, network_file=network)
    with errors_on_stderr(), bars() as move:
        facts = back_up(made, file, move, SystemClock().now_s())
    typer.echo(f"backed up to {file} ({facts.database}, schema {facts.schema})")


def restore(file: File, data_dir: DataDir = None) -> None:
    """Restore a backup into an empty data directory and an empty database. The restore is
    complete, or nothing is left of it."""
    made = settings(data_dir=data_dir)
    with errors_on_stderr(), bars() as move:
        facts, network = restore_from(made, file, move)
    typer.echo(f"restored the backup of {facts.created_at} into {made.data_dir}")
    if network is not None:
        typer.echo(f"its network file is {network}: name it with UMBEL_NETWORK_FILE")
