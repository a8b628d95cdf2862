"""The `umbel` command: every way to start something, explained by `--help`.

A command's module is imported when the command is run: `umbel --help` imports none of them, and
`umbel media` nothing of the control plane (tests/integration/test_imports.py).
"""

import importlib
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from umbel import __version__

_HELP = "Live video over an operator's own edge."


class Command(NamedTuple):
    """Where a command is: `attribute` of `module`, a function or a Typer. `line` is what the list
    of commands says; the command's own help begins with it."""

    module: str
    attribute: str
    line: str


COMMANDS: Mapping[str, Command] = {
    "serve": Command(
        "umbel.cli.serve", "serve", "Run the control plane: REST, web app, and the delivery loop."
    ),
    "demo": Command(
        "umbel.cli.demo",
        "demo",
        "Run a whole network on this machine: seven nodes, a provider, a live event, an encoder.",
    ),
    "user": Command("umbel.cli.user", "app", "Accounts of this installation."),
    "node": Command("umbel.portal.node_cli", "app", "Nodes of a running platform, for operators."),
    "image": Command("umbel.cli.image", "app", "Images that guests of hypervisors boot."),
    "function": Command(
        "umbel.portal.function_cli", "app", "Functions on the nodes, for operators."
    ),
    "volume": Command(
        "umbel.portal.volume_cli",
        "app",
        "Volumes: disks of guests that outlive them, for operators.",
    ),
    "firewall": Command(
        "umbel.portal.firewall_cli",
        "app",
        "Which sources may reach which ports of guests, for operators.",
    ),
    "migration": Command(
        "umbel.portal.migration_cli",
        "app",
        "Moves of functions to other nodes, for operators.",
    ),
    "provider": Command(
        "umbel.portal.provider_cli", "app", "Providers of a running platform, for operators."
    ),
    "backup": Command(
        "umbel.cli.backup",
        "backup",
        "Write the database, the keys and the network file to one new file of mode 0600.",
    ),
    "restore": Command(
        "umbel.cli.backup",
        "restore",
        "Restore a backup into an empty data directory and an empty database.",
    ),
    "testbed": Command(
        "umbel.testbed.cli", "app", "An operator's network on this machine, as root."
    ),
    "plan": Command(
        "umbel.plans.command",
        "app",
        "Plan a network: which nodes are on, where base bands, caches and transcoders run, and the"
        " paths of requests; or the moves of running functions.",
    ),
    "simulate": Command(
        "umbel.simulator.experiments.command",
        "run",
        "Make a figure of the ViRCA paper, as CSV and PNG.",
    ),
    "media": Command("umbel.media.main", "run", "Run a media server until SIGTERM."),
    "storage": Command(
        "umbel.repository.node_storage.main",
        "run",
        "Run a storage function until SIGTERM: it keeps a shard of the repository on its node.",
    ),
    "version": Command(
        "umbel.cli.version",
        "version",
        "Show the release of Umbel, its schema of the database, and the release of Python.",
    ),
}


class LazyGroup(TyperGroup):
    """The commands of the table, imported one by one."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the table's lines, without the commands."""
        lines = typer.Typer(help=_HELP)
        lines.callback()(umbel)
        for name, command in COMMANDS.items():
            lines.command(name, help=command.line)(lambda: None)
        typer.main.get_group(lines).format_help(ctx, formatter)


def load(name: str) -> Any:
    """The command of this name, imported."""
    command = COMMANDS[name]
    found = getattr(importlib.import_module(command.module), command.attribute)
    if isinstance(found, typer.Typer):
        made: Any = typer.main.get_command(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        made = typer.main.get_command(alone)
    made.name = name
    return made


def _show_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"umbel {__version__}")
        raise typer.Exit


def umbel(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="show the release"),
    ] = False,
) -> None:
    """Live video over an operator's own edge."""


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help=_HELP)
app.callback()(umbel)


def main() -> None:
    """Run the command."""
    app()
