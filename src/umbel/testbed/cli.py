"""`umbel testbed`: up, down, status, shell. Options in; progress, a table or a shell out."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.compute.service import resolve_document
from umbel.kit import netns
from umbel.kit.errors import NotFound
from umbel.kit.terminal import bars, errors_on_stderr
from umbel.network.documents import builtin_document, read_document
from umbel.testbed import build, inspection, state, teardown
from umbel.testbed.plan import GuestSettings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="An operator's network on this machine, as root.",
)

Name = Annotated[str, typer.Option(help="the testbed's name: a small letter, then up to nine more")]
Dir = Annotated[Path, typer.Option("--dir", help="where testbeds keep their files")]
_BUILT_IN = ("sls", "vpm")


class NoSuchMember(NotFound):
    """The testbed has no node or host of this name."""

    code = "umbel.no_such_testbed_member"


@app.command()
def up(
    topology: Annotated[str, typer.Option(help="sls, vpm, or a network file (YAML)")] = "sls",
    vms: Annotated[
        bool, typer.Option("--vms", help="nodes are hypervisors with a libvirtd of their own")
    ] = False,
    processes_at: Annotated[
        list[str] | None,
        typer.Option(help="with --vms: a node whose functions stay processes; may be repeated"),
    ] = None,
    name: Name = "umbel",
    dir_: Dir = state.FOLDER,
) -> None:
    """Make an emulated network: a namespace and an Open vSwitch for each node, links, and hosts. It
    writes a network file for `umbel serve --network`. With `--vms` functions are guests there:
    build their image first (`umbel image build media`).
    """
    folder = (dir_ / name).resolve()
    with errors_on_stderr():
        built_in = topology in _BUILT_IN
        document = builtin_document(topology) if built_in else read_document(Path(topology))
        document = resolve_document(document)
        with bars() as progress:
            guests = GuestSettings(wanted=vms, processes_at=tuple(processes_at or ()))
            made = build.up(document, name, folder=folder, guests=guests, progress=progress)
    places = f"{len(made.nodes)} nodes, {len(made.links)} links, {len(made.hosts)} hosts"
    typer.echo(f"testbed {name}: {places}; management 10.{made.octet}.0.0/16")
    typer.echo(str(state.sites_file(folder)))


@app.command()
def down(name: Name = "umbel", dir_: Dir = state.FOLDER) -> None:
    """Remove all that is left of a testbed, also of one that crashed. It is not an error if there
    is none."""
    with errors_on_stderr():
        build.check_root()
        with bars() as progress:
            found = teardown.down(name, (dir_ / name).resolve(), progress)
    if found.anything:
        gone = f"{len(found.pids)} processes, {len(found.namespaces)} namespaces"
        typer.echo(f"testbed {name} is gone: {gone}, {len(found.devices)} devices")
    else:
        typer.echo(f"there is nothing of a testbed {name}")


@app.command()
def status(name: Name = "umbel", dir_: Dir = state.FOLDER) -> None:
    """Show a testbed's nodes and hosts. The exit code is 1 when a part is missing."""
    folder = (dir_ / name).resolve()
    with errors_on_stderr():
        made = state.load(folder, name)
        rows = inspection.rows(made, folder)
    table = Table(title=f"testbed {name}: {state.sites_file(folder)}", title_justify="left")
    for heading in ("name", "kind", "namespace", "address", "switch", "processes"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        style = "" if row.good else "red"
        cells = (row.name, row.kind, row.namespace, row.address, row.switch, str(row.processes))
        table.add_row(*cells, style=style)
    Console().print(table)
    if not all(row.good for row in rows):
        raise typer.Exit(1)


@app.command()
def shell(
    node: Annotated[str, typer.Argument(help="a node or host")],
    name: Name = "umbel",
    dir_: Dir = state.FOLDER,
) -> None:
    """Open a shell inside a node or host. Open vSwitch's tools find the node's switch there."""
    folder = (dir_ / name).resolve()
    with errors_on_stderr():
        build.check_root()
        made = state.load(folder, name)
        places = {place.name: place.namespace for place in made.nodes}
        places |= {place.name: place.namespace for place in made.hosts}
        if node not in places or not (netns.FOLDER / places[node]).exists():
            raise NoSuchMember(f"Testbed {name} has: {', '.join(places)}", name=node)
    wanted = os.environ.get("SHELL", "/bin/sh")
    program = wanted if shutil.which(wanted) else "/bin/sh"
    words = ["ip", "netns", "exec", places[node], program]
    # The shell takes this process's place: it gets the terminal, and its exit code is ours.
    os.execvpe("ip", words, build.environment(folder, node))  # noqa: S606, S607
