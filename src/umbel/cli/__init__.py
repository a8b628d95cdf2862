"""The `umbel` command: every way to start something, explained by `--help`.

A command's module is imported when the command is run: `umbel --help` imports none of them, and
`umbel media` nothing of the control plane (tests/integration/test_imports.py).
"""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

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
    "provider": Command(
        "umbel.portal.provider_cli", "app", "Providers of a running platform, for operators."
    ),
    "testbed": Command(
        "umbel.testbed.cli", "app", "An operator's network on this machine, as root."
    ),
    "plan": Command(
        "umbel.plans.main",
        "run",
        "Plan a network: which nodes are on, where base bands, caches and transcoders run, and the"
        " paths of requests.",
    ),
    "simulate": Command(
        "umbel.simulator.experiments.command",
        "run",
        "Make a figure of the ViRCA paper, as CSV and PNG.",
    ),
    "media": Command("umbel.media.main", "run", "Run a media server until SIGTERM."),
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


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help=_HELP)


@app.callback()
def umbel() -> None:
    """Live video over an operator's own edge."""


def main() -> None:
    """Run the command."""
    app()
