"""The `umbel` command: every way to start something, explained by `--help`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from pydantic import ValidationError

from umbel.catalogue import console
from umbel.catalogue.model import UserRole
from umbel.demo.ground import Fabric
from umbel.demo.run import Wanted
from umbel.demo.run import demo as run_demo
from umbel.kit import log
from umbel.kit.config import Settings
from umbel.kit.terminal import errors_on_stderr
from umbel.media.main import run as run_media
from umbel.plans.main import run as run_plan
from umbel.portal.node_cli import app as node_app
from umbel.serve import serve_until_stopped
from umbel.simulator.experiments.command import run as run_simulate
from umbel.testbed.cli import app as testbed_app

app = typer.Typer(no_args_is_help=True, help="Live video over an operator's own edge.")
user_app = typer.Typer(no_args_is_help=True, help="Accounts of this installation.")
app.add_typer(user_app, name="user")
app.add_typer(node_app, name="node")
app.add_typer(testbed_app, name="testbed")
app.command("media")(run_media)
app.command("plan")(run_plan)
app.command("simulate")(run_simulate)

DataDir = Annotated[Path | None, typer.Option(help="folder of the platform's state")]


@app.command()
def serve(  # noqa: PLR0913, PLR0917 -- one argument per option
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on; 0: any free one")] = None,
    network: Annotated[Path | None, typer.Option(help="the network file (YAML)")] = None,
    policy: Annotated[str | None, typer.Option(help="sls, consolidation, qos or virca")] = None,
    stop_functions_on_exit: Annotated[
        bool | None, typer.Option(help="stop all functions on a clean exit")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="write the front end's URL here once it listens")
    ] = None,
) -> None:
    """Run the control plane: REST, web app, and the delivery loop. Functions are separate
    processes. They continue when this command ends, and the next start adopts them. Every option is
    also a variable UMBEL_..., such as UMBEL_DATABASE_URL.
    """
    settings = _settings(
        data_dir=data_dir,
        host=host,
        port=port,
        network_file=network,
        policy=policy,
        stop_functions_on_exit=stop_functions_on_exit,
    )
    log.configure(level=settings.log_level)
    with errors_on_stderr(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings, ready_file))


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="check the whole path with viewers, then end")
    ] = False,
    source: Annotated[
        Path | None, typer.Option(help="a media file to stream instead of the test pattern")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="where the demo keeps its state")] = Path(
        ".umbel/demo"
    ),
    policy: Annotated[str, typer.Option(help="sls, consolidation, qos or virca")] = "sls",
    fabric: Annotated[
        Fabric, typer.Option(help="loopback, or openflow: an emulated network of switches (root)")
    ] = Fabric.LOOPBACK,
) -> None:
    """Run a whole network on this machine: seven nodes, a provider, a live event, an encoder."""
    wanted = Wanted(once=once, source=source, data_dir=data_dir, policy=policy, fabric=fabric)
    raise typer.Exit(asyncio.run(run_demo(wanted)))


@user_app.command("password")
def user_password(name: str, data_dir: DataDir = None) -> None:
    """Change the password of an account."""
    settings = _settings(data_dir=data_dir)
    with errors_on_stderr():
        asyncio.run(console.set_password(settings, name, _password()))
    typer.echo(f"changed the password of {name}")


@user_app.command("add")
def user_add(
    name: str,
    role: UserRole = UserRole.VIEWER,
    provider: Annotated[str, typer.Option(help="the provider this user acts for (its id)")] = "",
    data_dir: DataDir = None,
) -> None:
    """Add an account. Umbel asks for the password, or reads it from UMBEL_PASSWORD."""
    settings = _settings(data_dir=data_dir)
    with errors_on_stderr():
        asyncio.run(console.add(settings, name, _password(), role, provider))
    typer.echo(f"added {role.value} {name}")


def _password() -> str:
    given = os.environ.get("UMBEL_PASSWORD")
    return given or typer.prompt("Password", hide_input=True, confirmation_prompt=True)


def _settings(**given: object) -> Settings:
    """The settings with what the command line said over them."""
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        for found in error.errors(include_url=False):
            name = "_".join(str(part) for part in found["loc"])
            typer.secho(
                f"umbel: {name} (or UMBEL_{name.upper()}): {found['msg']}", fg="red", err=True
            )
        raise typer.Exit(2) from error


def main() -> None:
    """Run the command."""
    app()
