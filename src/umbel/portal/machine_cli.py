"""`umbel node` where a node is a machine over SSH: `add --ssh`, `upgrade`, `key`, and `remove`.

Options in; lines and bars out. A client of `/api/v1/machines` and `/api/v1/nodes` like any other.
"""

from typing import Annotated, Any

import typer

from umbel.compute.machines.service import MachineState
from umbel.kit.terminal import errors_on_stderr
from umbel.portal.client import ApiClient, RefusedByPlatform, signed_in
from umbel.portal.node_waits import (
    LOOK_WITHIN_S,
    MACHINES,
    NODES,
    wait_until_drained,
    wait_until_installed,
)


def add_machine(api: ApiClient, wanted: dict[str, str]) -> dict[str, Any]:
    """Add the machine, or go on with one that was added, until it is ready; what was found there,
    empty the second time."""
    name = wanted["name"]
    known = {one["name"]: one for one in api.get(MACHINES)}
    if name in known:
        machine = api.post(f"{MACHINES}/{name}/upgrade", within_s=LOOK_WITHIN_S)
        facts: dict[str, Any] = {}
    else:
        machine = api.post(MACHINES, wanted, within_s=LOOK_WITHIN_S)
        facts = machine["facts"]
        kept = "systemd" if facts["systemd"] else "no systemd, so without limits"
        typer.echo(
            f"{name}: {facts['system']}, Python {facts['python']}, GStreamer {facts['gstreamer']}, "
            f"{facts['cores']} cores, {facts['memory_mb']} MiB, {kept}"
        )
        typer.echo(f"{name}: host key {machine['fingerprint']}, from now on this one alone")
    wait_until_installed(api, machine)
    return facts


def key(context: typer.Context) -> None:
    """Show the line that a machine's ~/.ssh/authorized_keys needs before `add --ssh`."""
    with errors_on_stderr(), signed_in(context.obj) as api:
        typer.echo(api.get(f"{MACHINES}-key")["public_key"])


def upgrade(
    context: typer.Context,
    name: Annotated[
        list[str] | None, typer.Argument(help="machines; all that are outdated without one")
    ] = None,
    within: Annotated[
        float | None, typer.Option(help="seconds until what is left on one is ended", min=0)
    ] = None,
) -> None:
    """Bring machines to this control plane's version, one at a time.

    The new version is installed next to the old one. Then the node is drained: viewers move to
    other nodes and leave without a gap. When it is empty, it is used again, with the new version.
    """
    with errors_on_stderr(), signed_in(context.obj) as api:
        known = {one["name"]: one for one in api.get(MACHINES)}
        outdated = [n for n, one in known.items() if one["state"] == MachineState.OUTDATED]
        if not (names := name or outdated):
            typer.echo("every machine is up to date")
        for one in names:
            _upgrade(api, one, within)


def _upgrade(api: ApiClient, name: str, within_s: float | None) -> None:
    before = api.get(f"{MACHINES}/{name}")["bundle"]
    begun = api.post(f"{MACHINES}/{name}/upgrade", within_s=LOOK_WITHIN_S)
    now = wait_until_installed(api, begun)["bundle"]
    try:
        node = api.post(f"{NODES}/{name}/drain", {"within_s": within_s})
    except RefusedByPlatform as error:
        if error.code != "umbel.no_such_node":
            raise
        typer.echo(f"{name}: {before or 'nothing'} -> {now}")
        return
    wait_until_drained(api, node)
    api.post(f"{NODES}/{name}/uncordon")
    # Nothing runs out of the old bundle any more: a second call removes it.
    wait_until_installed(api, api.post(f"{MACHINES}/{name}/upgrade", within_s=LOOK_WITHIN_S))
    typer.echo(f"{name}: {before or 'nothing'} -> {now}")
